//! Asking a peer port for a page, before this member belongs to anything: who joins asks who is there.

use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;

use super::dial::open;
use super::error::ConnectionError;
use super::handshake::PAGE_CLUSTER;
use crate::base::ids::ClusterId;
use crate::tls::Connector;

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
    /// There is no connection.
    #[error("{0}")]
    Connection(String),
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

/// Asks the peer at `url` for a page, with `calls` where the URL asks for TLS.
///
/// # Errors
/// [`PageError`].
pub async fn fetch_page(
    url: &str,
    path: &str,
    calls: Option<&Connector>,
    patience: Duration,
) -> Result<Page, PageError> {
    let fetched = tokio::time::timeout(patience, fetch(url, path, calls));
    fetched.await.unwrap_or(Err(PageError::TimedOut(patience)))
}

async fn fetch(url: &str, path: &str, calls: Option<&Connector>) -> Result<Page, PageError> {
    let unreachable = |error: ConnectionError| PageError::Connection(error.to_string());
    let (io, authority) = open(url, calls).await.map_err(unreachable)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await?;
    let request = Request::get(path)
        .header(HOST, authority.as_str())
        .body(Empty::<Bytes>::new())
        .map_err(|error| PageError::Connection(error.to_string()))?;
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
