//! Responses that say "nothing up to here", which no event may contradict.
//!
//! Both kinds are made after a flush, with the revision up to which every synced watcher has been
//! offered everything; they wait in the same queue as the events before them.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Dispatcher;
use super::watcher::{Place, Watcher};
use crate::base::ids::{Revision, WatchId};
use crate::watch::frame::STREAM_ID;
use crate::watch::outbox::Readers;
use crate::watch::port::Port;
use crate::watch::stream::Frame;

/// The shortest interval, as in etcd.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

impl Dispatcher {
    /// Answers a progress request if every watcher of the stream is synced and has reached its start.
    pub(super) fn manual_progress(&mut self, port: &Port) {
        let Some(stream) = self.streams.get(&port.key) else {
            return;
        };
        if stream.live == 0 || stream.unsynced > 0 {
            return;
        }
        if stream.reached_at > self.revision {
            let mut watchers = stream.watchers.values().map(|key| self.watchers.get(key));
            if watchers.any(|watcher| watcher.is_some_and(|w| !w.has_reached(self.revision))) {
                return;
            }
        }
        port.outbox.push(self.progress_frame(STREAM_ID), 1);
    }

    /// Sets the stream's next periodic progress if there is none yet.
    pub(super) fn schedule_progress(&mut self, key: u64, now: Instant) {
        let interval = self.hub.config.progress_interval.max(SHORTEST_INTERVAL);
        if let Some(stream) = self.streams.get_mut(&key)
            && stream.tick.is_none()
        {
            let at = now + stretched(interval, key);
            stream.tick = Some(at);
            self.ticks.insert((at, key));
        }
    }

    /// Sends the periodic progress that is due.
    pub(super) fn tick(&mut self, now: Instant) {
        while let Some(&(at, key)) = self.ticks.first()
            && at <= now
        {
            self.ticks.pop_first();
            let Some(stream) = self.streams.get_mut(&key) else {
                continue;
            };
            stream.tick = None;
            if stream.progress > 0 {
                let watchers: Vec<u64> = stream.watchers.values().copied().collect();
                for watcher in watchers {
                    self.periodic_progress(watcher);
                }
                self.schedule_progress(key, now);
            }
        }
    }

    fn periodic_progress(&mut self, key: u64) {
        let Some(watcher) = self.watchers.get(&key) else {
            return;
        };
        let (Place::Synced(position), true) = (watcher.place, watcher.progress) else {
            return;
        };
        let (id, reached) = (watcher.id, watcher.has_reached(self.revision));
        let Some(member) = self.groups.member_mut(watcher.group, position) else {
            return;
        };
        let idle = !std::mem::take(&mut member.active);
        if idle && reached {
            let port = member.port.clone();
            // Without room there are events to be read first: they say as much.
            let mut reader = Readers::default();
            port.outbox.offer(self.progress_frame(id), 1, &mut reader);
            self.hub.wakes.wake(reader.take());
        }
    }

    fn progress_frame(&mut self, id: WatchId) -> Frame {
        Frame {
            head: self.heads.plain(id),
            body: Bytes::new(),
        }
    }
}

impl Watcher {
    /// Whether the store has come to the watcher's start; a watcher that is cancelled waits for nothing.
    fn has_reached(&self, revision: Revision) -> bool {
        self.start <= revision || self.place == Place::Compacted
    }
}

/// `interval`, longer by up to a tenth that depends on the stream.
fn stretched(interval: Duration, key: u64) -> Duration {
    // Fibonacci hashing spreads neighbouring keys.
    let spread = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
    interval + interval.mul_f64(spread as f64 / 1024.0 / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_spread_over_a_tenth_of_the_interval() {
        let interval = Duration::from_secs(10);
        let all: Vec<_> = (0..1000).map(|key| stretched(interval, key)).collect();
        assert!(
            all.iter()
                .all(|at| *at >= interval && *at <= interval.mul_f64(1.1))
        );
        let late = all
            .iter()
            .filter(|at| **at > interval.mul_f64(1.05))
            .count();
        assert!((400..600).contains(&late), "{late}");
    }
}
