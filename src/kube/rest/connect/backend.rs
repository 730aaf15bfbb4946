//! One exchange in HTTP/1.1 with what is behind this server.
//!
//! A connection serves one exchange: what is passed on here is long or rare, and a connection that goes with its client
//! leaves nothing behind to be tidied up.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;

use crate::kube::streams::dial::{Dialer, Trust};
use crate::kube::streams::location::Host;

/// What has to be polled for a connection to go on.
type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An answer, and the connection that it comes on.
pub(super) struct Exchange {
    pub(super) response: Response<Incoming>,
    driver: Driver,
}

impl Exchange {
    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// Why there is none, as Go says it.
    pub(super) async fn begin<B>(
        dialer: &Dialer,
        host: &Host,
        trust: Trust,
        request: Request<B>,
    ) -> Result<Self, String>
    where
        B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
    {
        let wire = dialer.connect(host, trust).await?;
        let made = http1::handshake(TokioIo::new(wire)).await;
        let (mut sender, connection) = made.map_err(|error| error.to_string())?;
        let mut driver: Driver = Box::pin(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "a connection with what is behind ended");
            }
        });
        let mut sending = std::pin::pin!(sender.send_request(request));
        let mut running = true;
        let response = loop {
            tokio::select! {
                response = &mut sending => break response,
                () = &mut driver, if running => running = false,
            }
        };
        let response = response.map_err(|error| said(&error))?;
        if !running {
            driver = Box::pin(std::future::ready(()));
        }
        Ok(Self { response, driver })
    }

    /// The connection, once the answer was that it is another protocol's from now on.
    ///
    /// # Errors
    /// If it broke before.
    pub(super) async fn upgraded(self) -> Result<TokioIo<Upgraded>, hyper::Error> {
        let upgraded = hyper::upgrade::on(self.response);
        let (upgraded, ()) = futures::future::join(upgraded, self.driver).await;
        upgraded.map(TokioIo::new)
    }

    /// The answer with a body that keeps its connection going.
    pub(super) fn into_response(self) -> Response<Driven> {
        let Self { response, driver } = self;
        response.map(|body| Driven {
            body,
            driver: Some(driver),
        })
    }
}

fn said(error: &hyper::Error) -> String {
    if error.is_incomplete_message() || error.is_canceled() {
        return "EOF".into();
    }
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), ToString::to_string)
}

/// A body whose connection goes on while it is read and ends with it.
pub(super) struct Driven {
    body: Incoming,
    driver: Option<Driver>,
}

impl Body for Driven {
    type Data = Bytes;
    type Error = Infallible;

    /// What breaks off ends here, which clients that were told a length notice.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(driver) = &mut self.driver
            && driver.as_mut().poll(context).is_ready()
        {
            self.driver = None;
        }
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(match frame {
            Some(Ok(frame)) => Some(Ok(frame)),
            Some(Err(error)) => {
                tracing::debug!(%error, "what is behind broke off");
                None
            }
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
