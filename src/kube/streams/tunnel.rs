//! `port-forward` for clients that speak WebSocket: what SPDY would be sent as bytes of a connection is sent in
//! messages, and is handed to the kubelet as it is.

use bytes::BytesMut;
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::websocket::{Connection, Kind, NORMAL, Reader, Role, Writer, protocols};

/// Before the name of a SPDY protocol whose bytes are carried in messages.
pub const PREFIX: &str = "SPDY/3.1+";
/// Behind it.
const SUFFIX: &str = ".k8s.io";
/// Bytes of a message.
const PIECE: usize = 32 << 10;

/// The SPDY protocols that a client would have carried, in its order.
pub fn carried(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    protocols(headers)
        .filter(|protocol| protocol.ends_with(SUFFIX))
        .filter_map(|protocol| protocol.strip_prefix(PREFIX))
}

/// Carries bytes until either side ends.
pub async fn carry<C, K>(client: C, kubelet: K)
where
    C: AsyncRead + AsyncWrite,
    K: AsyncRead + AsyncWrite,
{
    let Connection { reader, writer } = Connection::new(client, Role::Server);
    let (from, to) = tokio::io::split(kubelet);
    let ended = tokio::select! {
        ended = up(reader, to) => ended,
        ended = down(from, &writer) => ended,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a tunnel ended");
    }
    // The client may have gone.
    let _gone = writer.close(NORMAL).await;
}

async fn up<C: AsyncRead + AsyncWrite>(
    mut from: Reader<C>,
    mut to: impl AsyncWrite + Unpin,
) -> std::io::Result<()> {
    while let Some(piece) = from.next().await {
        if piece.text {
            let why = "invalid message type received";
            return Err(std::io::Error::other(why));
        }
        to.write_all(&piece.bytes).await?;
        to.flush().await?;
    }
    Ok(())
}

async fn down<C: AsyncRead + AsyncWrite>(
    mut from: impl AsyncRead + Unpin,
    to: &Writer<C>,
) -> std::io::Result<()> {
    let mut piece = BytesMut::with_capacity(PIECE);
    while from.read_buf(&mut piece).await? > 0 {
        to.send(Kind::Binary, &[&piece]).await?;
        piece.clear();
        piece.reserve(PIECE);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn protocols_that_are_carried() {
        let mut headers = HeaderMap::new();
        let offered =
            "SPDY/3.1+portforward.k8s.io, v4.channel.k8s.io, SPDY/3.1+x, SPDY/3.1+b.k8s.io";
        let offered = HeaderValue::from_static(offered);
        headers.insert("sec-websocket-protocol", offered);
        let carried: Vec<_> = carried(&headers).collect();
        assert_eq!(carried, ["portforward.k8s.io", "b.k8s.io"]);
    }

    #[tokio::test]
    async fn bytes_are_carried_both_ways() {
        let (near, far) = tokio::io::duplex(100);
        let (up, mut down) = tokio::io::duplex(100);
        let asks = async {
            let mut client = Connection::new(near, Role::Client);
            let writer = &client.writer;
            writer.send(Kind::Binary, &[b"hel"]).await.unwrap();
            writer.send(Kind::Binary, &[b"lo"]).await.unwrap();
            let mut all = Vec::new();
            while let Some(piece) = client.reader.next().await {
                all.extend_from_slice(&piece.bytes);
            }
            assert_eq!(all, b"world");
        };
        let answers = async {
            let mut hello = [0; 5];
            down.read_exact(&mut hello).await.unwrap();
            assert_eq!(&hello, b"hello");
            down.write_all(b"world").await.unwrap();
            down.shutdown().await.unwrap();
            drop(down);
        };
        tokio::join!(carry(far, up), asks, answers);
    }
}
