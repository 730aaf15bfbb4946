//! Runs the streams of an HTTP/2 connection in the connection's own task.
//!
//! The library asks for a task for each stream. With one, every answer costs a wake-up of that task, on
//! whichever thread is free, and a second one of the connection that writes it. Here a run of answers costs
//! one wake-up together and leaves in one write. What takes long (reads of many keys, the disk) is on
//! threads of its own anyway.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use futures::task::AtomicWaker;
use hyper::rt::Executor;
use parking_lot::Mutex;
use tokio::task::coop::unconstrained;

type Stream = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Takes the streams that a connection begins, for [`Connection`] to run.
#[derive(Clone, Default)]
pub(super) struct Streams {
    begun: Arc<Mutex<Vec<Stream>>>,
    open: Arc<AtomicUsize>,
}

impl Streams {
    /// The number of streams that have not ended.
    pub(super) fn open(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.open)
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.begun.lock().push(Box::pin(stream));
    }
}

/// Wakes the connection's task, and remembers that a stream was woken.
#[derive(Debug, Default)]
struct Relay {
    task: AtomicWaker,
    woken: AtomicBool,
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.task.wake();
    }
}

/// A connection together with its streams. Ends with the connection; streams left then are dropped, as
/// nobody hears them any more.
pub(super) struct Connection<C> {
    connection: Pin<Box<C>>,
    begun: Streams,
    running: FuturesUnordered<Stream>,
    relay: Arc<Relay>,
}

impl<C: Future> Connection<C> {
    /// `connection` must have been built with `streams` as its executor.
    pub(super) fn new(connection: C, streams: Streams) -> Self {
        Self {
            connection: Box::pin(connection),
            begun: streams,
            running: FuturesUnordered::new(),
            relay: Arc::default(),
        }
    }

    /// The connection itself, to tell it to end.
    pub(super) fn connection(&mut self) -> Pin<&mut C> {
        self.connection.as_mut()
    }

    /// Polls the streams that were woken, until none is or each had its turn.
    ///
    /// The set of streams stops as soon as two of them were woken while they were polled, which sending does to
    /// them: the library tells a stream at once of the room that it was just given. What they said would be
    /// written two by two. So the set is polled again while anything is woken.
    ///
    /// Without tokio's budget for a task: it is shared by all streams here, and once it is used up every
    /// further one is polled in vain. The connection, which a client could keep busy for ever, stays within
    /// the budget.
    fn poll_streams(&mut self, context: &Context<'_>) {
        self.relay.task.register(context.waker());
        let waker = Waker::from(Arc::clone(&self.relay));
        let context = &mut Context::from_waker(&waker);
        for _ in 0..=self.running.len() {
            self.relay.woken.store(false, Ordering::SeqCst);
            while let Poll::Ready(Some(())) = self.poll_next(context) {
                self.begun.open.fetch_sub(1, Ordering::Relaxed);
            }
            if !self.relay.woken.load(Ordering::SeqCst) {
                return;
            }
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<()>> {
        std::pin::pin!(unconstrained(self.running.next())).poll(context)
    }

    /// Takes over the streams begun since; tells whether there were any.
    fn take_begun(&mut self) -> bool {
        let mut begun = self.begun.begun.lock();
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
        let (connection, open) = (connection(streams.clone(), receivers), streams.open());
        let ends = async {
            tokio::task::yield_now().await;
            assert_eq!(open.load(Ordering::Relaxed), 300);
            for sender in senders {
                sender.send(()).unwrap();
            }
        };
        let (ended, ()) = futures::future::join(Connection::new(connection, streams), ends).await;
        assert_eq!(ended, "ended");
        assert_eq!(open.load(Ordering::Relaxed), 0);
    }

    /// A stream that is woken while it is polled and then waits for another reason.
    struct Restless(bool, Arc<AtomicUsize>);

    impl Future for Restless {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            if !std::mem::replace(&mut self.0, true) {
                self.1.fetch_add(1, Ordering::Relaxed);
                context.waker().wake_by_ref();
            }
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn every_stream_has_its_turn_before_the_connection_writes() {
        let (streams, polled) = (Streams::default(), Arc::new(AtomicUsize::new(0)));
        let (begin, seen) = (streams.clone(), Arc::clone(&polled));
        let mut begun = false;
        let connection = poll_fn(move |_| {
            if !std::mem::replace(&mut begun, true) {
                for _ in 0..100 {
                    begin.execute(Restless(false, Arc::clone(&seen)));
                }
                return Poll::Pending;
            }
            Poll::Ready(seen.load(Ordering::Relaxed))
        });
        assert_eq!(Connection::new(connection, streams).await, 100);
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
