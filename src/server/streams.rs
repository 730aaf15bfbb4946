//! Runs the streams of an HTTP/2 connection in the connection's own task.
//!
//! The library asks for a task for each stream. With one, every answer costs a wake-up of that task, on
//! whichever thread is free, and a second one of the connection that writes it. Here a run of answers costs
//! one wake-up together and leaves in one write. What takes long (reads of many keys, the disk) is on
//! threads of its own anyway.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use hyper::rt::Executor;
use parking_lot::Mutex;
use tokio::task::coop::unconstrained;

type Stream = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Takes the streams that a connection begins, for [`Connection`] to run.
#[derive(Clone, Default)]
pub(super) struct Streams(Arc<Mutex<Vec<Stream>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        self.0.lock().push(Box::pin(stream));
    }
}

/// A connection together with its streams. Ends with the connection; streams left then are dropped, as
/// nobody hears them any more.
pub(super) struct Connection<C> {
    connection: Pin<Box<C>>,
    begun: Streams,
    running: FuturesUnordered<Stream>,
}

impl<C: Future> Connection<C> {
    /// `connection` must have been built with `streams` as its executor.
    pub(super) fn new(connection: C, streams: Streams) -> Self {
        Self {
            connection: Box::pin(connection),
            begun: streams,
            running: FuturesUnordered::new(),
        }
    }

    /// The connection itself, to tell it to end.
    pub(super) fn connection(&mut self) -> Pin<&mut C> {
        self.connection.as_mut()
    }

    /// Polls the streams that were woken.
    ///
    /// Without tokio's budget for a task: it is shared by all streams here, and once it is used up every
    /// further one is polled in vain. The set of streams has a bound of its own and then yields. The
    /// connection, which a client could keep busy for ever, stays within the budget.
    fn poll_streams(&mut self, context: &mut Context<'_>) {
        loop {
            let next = std::pin::pin!(unconstrained(self.running.next()));
            if !matches!(next.poll(context), Poll::Ready(Some(()))) {
                return;
            }
        }
    }

    /// Takes over the streams begun since; tells whether there were any.
    fn take_begun(&mut self) -> bool {
        let mut begun = self.begun.0.lock();
        let any = !begun.is_empty();
        self.running.extend(begun.drain(..));
        any
    }
}

impl<C: Future> Future for Connection<C> {
    type Output = C::Output;

    /// Streams first: the connection then writes what they say.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<C::Output> {
        loop {
            self.poll_streams(context);
            if let Poll::Ready(ended) = self.connection.as_mut().poll(context) {
                return Poll::Ready(ended);
            }
            if !self.take_begun() {
                return Poll::Pending;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    /// Begins streams when first polled, and ends when all of them have.
    fn connection(
        streams: Streams,
        mut due: Vec<oneshot::Receiver<()>>,
    ) -> impl Future<Output = &'static str> {
        let left = Arc::new(AtomicUsize::new(due.len()));
        poll_fn(move |context| {
            for stream in due.drain(..) {
                let (left, waker) = (Arc::clone(&left), context.waker().clone());
                streams.execute(async move {
                    stream.await.unwrap();
                    left.fetch_sub(1, Ordering::Relaxed);
                    waker.wake();
                });
            }
            match left.load(Ordering::Relaxed) {
                0 => Poll::Ready("ended"),
                _ => Poll::Pending,
            }
        })
    }

    #[tokio::test]
    async fn streams_run_to_their_end_beside_the_connection() {
        let streams = Streams::default();
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..300).map(|_| oneshot::channel()).unzip();
        let connection = connection(streams.clone(), receivers);
        let ends = async {
            tokio::task::yield_now().await;
            for sender in senders {
                sender.send(()).unwrap();
            }
        };
        let (ended, ()) = futures::future::join(Connection::new(connection, streams), ends).await;
        assert_eq!(ended, "ended");
    }

    #[tokio::test]
    async fn streams_left_at_the_end_are_dropped() {
        let streams = Streams::default();
        let (sender, receiver) = oneshot::channel::<()>();
        let begin = streams.clone();
        let mut receiver = Some(receiver);
        let mut polls = 0;
        let connection = poll_fn(move |context| {
            if let Some(receiver) = receiver.take() {
                begin.execute(async { drop(receiver.await) });
            }
            polls += 1;
            context.waker().wake_by_ref();
            if polls < 3 {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        });
        Connection::new(connection, streams).await;
        assert!(sender.is_closed());
    }
}
