//! The life of background work: named threads and tasks that end when told to, and the first fatal
//! error of any of them, which stops the whole member (a failed write poisons; it is never retried into
//! an unknown state).

use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// Shared by every part of one member: tells them to stop, and hears which part failed first.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    stop: CancellationToken,
    fatal: Arc<Mutex<Option<String>>>,
}

impl Lifecycle {
    /// A lifecycle that nobody has stopped yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells every part to stop. Safe to call more than once.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Whether the member is stopping.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Completes once the member is stopping.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Records why the member cannot go on, and stops it. Only the first reason is kept.
    pub fn fail(&self, part: &str, error: &dyn std::fmt::Display) {
        let reason = format!("{part}: {error}");
        tracing::error!(%reason, "member cannot go on");
        self.fatal.lock().get_or_insert(reason);
        self.stop();
    }

    /// The first fatal error, if there was one.
    pub fn failure(&self) -> Option<String> {
        self.fatal.lock().clone()
    }

    /// Starts a named thread. A panic in it is a fatal failure of the member.
    ///
    /// # Errors
    /// What the system says when it cannot start a thread.
    pub fn thread(
        &self,
        name: &'static str,
        body: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<JoinHandle<()>> {
        let life = self.clone();
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || {
                let _guard = PanicGuard { life, name };
                body();
            })
    }

    /// Starts a task on the current runtime that is dropped when the member stops. A panic in it is a
    /// fatal failure of the member.
    #[allow(clippy::disallowed_methods, reason = "this is the door")]
    pub fn task(
        &self,
        name: &'static str,
        body: impl Future<Output = ()> + Send + 'static,
    ) -> tokio::task::JoinHandle<()> {
        let life = self.clone();
        tokio::spawn(async move {
            let _guard = PanicGuard {
                life: life.clone(),
                name,
            };
            tokio::select! {
                () = body => {}
                () = life.stopped() => {}
            }
        })
    }
}

/// Reports a panic of the thread or task that holds it.
struct PanicGuard {
    life: Lifecycle,
    name: &'static str,
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.life.fail(self.name, &"panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panicking_thread_stops_the_member_with_its_name() {
        let life = Lifecycle::new();
        let thread = life.thread("doomed", || panic!("on purpose")).unwrap();
        assert!(thread.join().is_err());
        assert!(life.is_stopping());
        assert_eq!(life.failure().as_deref(), Some("doomed: panicked"));
    }

    #[tokio::test]
    async fn tasks_end_when_the_member_stops() {
        let life = Lifecycle::new();
        let task = life.task("idle", std::future::pending());
        life.stop();
        task.await.unwrap();
        assert_eq!(life.failure(), None);
    }
}
