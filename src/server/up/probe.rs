//! Whether a member serves, asked as a load balancer would.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Time for an answer; a member without a leader answers late, and then no.
const PATIENCE: Duration = Duration::from_secs(1);

const REQUEST: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// The begin of an answer that says yes.
const YES: &[u8] = b"HTTP/1.1 200 ";

/// Whether `/readyz` on a client port of this machine says so.
pub(super) async fn is_ready(port: u16) -> bool {
    matches!(
        tokio::time::timeout(PATIENCE, ask(port)).await,
        Ok(Ok(true))
    )
}

async fn ask(port: u16) -> io::Result<bool> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(REQUEST).await?;
    let mut begin = [0u8; YES.len()];
    stream.read_exact(&mut begin).await?;
    Ok(begin == YES)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn answered_with(answer: &'static [u8]) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0u8; REQUEST.len()];
            stream.read_exact(&mut request).await.unwrap();
            stream.write_all(answer).await.unwrap();
        };
        tokio::join!(is_ready(port), serve).0
    }

    #[tokio::test]
    async fn only_200_is_ready() {
        assert!(answered_with(b"HTTP/1.1 200 OK\r\n\r\nok").await);
        assert!(!answered_with(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").await);
        assert!(!answered_with(b"HTTP").await);
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = closed.local_addr().unwrap().port();
        drop(closed);
        assert!(!is_ready(port).await);
    }
}
