//! Asking a peer port for a page, before this member belongs to anything: who joins asks who is there.

use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::dial::DEFAULT_PORT;
use super::handshake::PAGE_CLUSTER;
use crate::base::ids::ClusterId;

/// The longest page that is read.
const MAX_PAGE: usize = 4 << 20;

/// A page of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The cluster that the peer belongs to.
    pub cluster: ClusterId,
    /// The page: JSON.
    pub body: Bytes,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// A URL that cannot be asked.
    #[error("cannot dial {0}")]
    BadUrl(String),
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// HTTP failed.
    #[error("http: {0}")]
    Http(#[from] hyper::Error),
    /// The peer answers something else.
    #[error("answers {0}")]
    Status(StatusCode),
    /// The page is too long, broke off, or does not say which cluster it is about.
    #[error("not a member's page: {0}")]
    Malformed(String),
    /// No page in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

/// Asks the peer at `url` for a page.
///
/// # Errors
/// [`PageError`].
pub async fn fetch_page(url: &str, path: &str, patience: Duration) -> Result<Page, PageError> {
    let fetched = tokio::time::timeout(patience, fetch(url, path));
    fetched.await.unwrap_or(Err(PageError::TimedOut(patience)))
}

async fn fetch(url: &str, path: &str) -> Result<Page, PageError> {
    let bad = || PageError::BadUrl(url.to_owned());
    let uri: http::Uri = url.parse().map_err(|_| bad())?;
    if uri.scheme_str() != Some("http") {
        return Err(bad());
    }
    let authority = uri.authority().ok_or_else(bad)?;
    let host = authority.host().trim_matches(['[', ']']);
    let port = authority.port_u16().unwrap_or(DEFAULT_PORT);
    let io = TcpStream::connect((host, port)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await?;
    let request = Request::get(path)
        .header(HOST, authority.as_str())
        .body(Empty::<Bytes>::new())
        .map_err(|_| bad())?;
    let exchange = async {
        let answer = sender.send_request(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(PageError::Status(answer.status()));
        }
        let cluster = answer.headers().get(PAGE_CLUSTER);
        let cluster = cluster
            .and_then(|value| u64::from_str_radix(value.to_str().ok()?, 16).ok())
            .ok_or_else(|| PageError::Malformed("it names no cluster".into()))?;
        let body = Limited::new(answer.into_body(), MAX_PAGE).collect().await;
        let body = body.map_err(|error| PageError::Malformed(error.to_string()))?;
        Ok(Page {
            cluster: ClusterId(cluster),
            body: body.to_bytes(),
        })
    };
    // The connection only has to be driven; how it ends shows in the exchange.
    let driven = async {
        let _ = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        page = exchange => page,
        never = driven => never,
    }
}
