//! Who wants to be told of which changes, found by the change's key.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::event::Event;

/// Events that may wait for one watcher. One that has more waiting is ended; its client goes on from the last
/// revision that it was told of, as it does with kube-apiserver.
pub(super) const WAITING_EVENTS: usize = 1000;

/// Who is told.
#[derive(Debug)]
struct Watcher {
    id: u64,
    events: mpsc::Sender<Arc<Event>>,
}

/// Watchers by the prefix of the keys that they want: a resource, a namespace of it, or one object.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    by_prefix: HashMap<Bytes, Vec<Watcher>>,
    last_id: u64,
}

impl Watchers {
    /// Adds a watcher of keys that begin with `prefix`, which ends in `/` or is a whole key.
    pub(super) fn add(&mut self, prefix: Bytes) -> mpsc::Receiver<Arc<Event>> {
        let (events, receiver) = mpsc::channel(WAITING_EVENTS);
        self.last_id += 1;
        let watcher = Watcher {
            id: self.last_id,
            events,
        };
        self.by_prefix.entry(prefix).or_default().push(watcher);
        receiver
    }

    /// Hands an event to all who want it. Those that are gone or do not keep up are forgotten; gives the number of
    /// the latter.
    pub(super) fn tell(&mut self, event: &Arc<Event>) -> u64 {
        let mut ended = 0;
        let key = &event.key;
        let slashes = key.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let prefixes = slashes.map(|(at, _)| at + 1).chain([key.len()]);
        for end in prefixes {
            let Some(prefix) = key.get(..end) else {
                continue;
            };
            let Some(watchers) = self.by_prefix.get_mut(prefix) else {
                continue;
            };
            watchers.retain(|watcher| {
                let told = watcher.events.try_send(Arc::clone(event));
                if let Err(mpsc::error::TrySendError::Full(_)) = &told {
                    tracing::debug!(id = watcher.id, "a watcher does not keep up and is ended");
                    ended += 1;
                }
                told.is_ok()
            });
            if watchers.is_empty() {
                self.by_prefix.remove(prefix);
            }
        }
        ended
    }

    /// Forgets those whose clients are gone: those of quiet resources are not found by [`Self::tell`].
    pub(super) fn sweep(&mut self) {
        self.by_prefix.retain(|_, watchers| {
            watchers.retain(|watcher| !watcher.events.is_closed());
            !watchers.is_empty()
        });
    }

    /// Ends all of them: what happened cannot be told.
    pub(super) fn end_all(&mut self) {
        self.by_prefix.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(key: &'static str) -> Arc<Event> {
        Arc::new(Event::new(
            1,
            Bytes::from_static(key.as_bytes()),
            None,
            None,
        ))
    }

    fn told(receiver: &mut mpsc::Receiver<Arc<Event>>) -> usize {
        std::iter::from_fn(|| receiver.try_recv().ok()).count()
    }

    #[test]
    fn a_resource_a_namespace_and_an_object_are_told_of_their_own() {
        let mut watchers = Watchers::default();
        let mut all = watchers.add("/registry/pods/".into());
        let mut space = watchers.add("/registry/pods/a/".into());
        let mut one = watchers.add("/registry/pods/a/x".into());
        for key in [
            "/registry/pods/a/x",
            "/registry/pods/a/xy",
            "/registry/pods/b/x",
            "/registry/podsets/a",
        ] {
            watchers.tell(&event(key));
        }
        assert_eq!(
            (told(&mut all), told(&mut space), told(&mut one)),
            (3, 2, 1)
        );
    }

    #[test]
    fn one_that_does_not_keep_up_is_ended_and_the_others_are_not() {
        let mut watchers = Watchers::default();
        let mut slow = watchers.add("/a/".into());
        let mut quick = watchers.add("/a/".into());
        for _ in 0..=WAITING_EVENTS {
            watchers.tell(&event("/a/x"));
            assert_eq!(told(&mut quick), 1);
        }
        assert_eq!(told(&mut slow), WAITING_EVENTS);
        assert!(matches!(
            slow.try_recv(),
            Err(mpsc::error::TryRecvError::Disconnected)
        ));
        watchers.tell(&event("/a/x"));
        assert_eq!(told(&mut quick), 1);
    }

    #[test]
    fn those_that_are_gone_are_swept() {
        let mut watchers = Watchers::default();
        drop(watchers.add("/a/".into()));
        watchers.sweep();
        assert!(watchers.by_prefix.is_empty());
    }
}
