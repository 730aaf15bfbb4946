//! Watchers that receive the same bytes.
//!
//! Watchers with the same range, filters and prev_kv form a group. A change is matched against groups
//! and its event is copied once into the body of each group that wants it; a flush hands that body to
//! every member. Only synced watchers are members: each of them has been offered everything up to the
//! last flush, and needs everything after it.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use slab::Slab;
use smallvec::SmallVec;

use super::WatchSpec;
use super::budget::Budget;
use super::frame::{self, Head, Heads};
use super::index::Index;
use super::outbox::Readers;
use super::port::Port;
use super::stream::Frame;
use crate::base::change::{Change, ChangeKind};
use crate::base::ids::WatchId;
use crate::base::range::{KeyRange, RangeEnd};

/// What decides which bytes a watcher receives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Interest {
    pub range: KeyRange,
    pub prev_kv: bool,
    pub no_put: bool,
    pub no_delete: bool,
}

impl Interest {
    pub(super) fn of(spec: &WatchSpec) -> Self {
        Self {
            range: spec.range.clone(),
            prev_kv: spec.prev_kv,
            no_put: spec.no_put,
            no_delete: spec.no_delete,
        }
    }

    /// Bytes of the keys that it names.
    fn key_bytes(&self) -> usize {
        let end = match &self.range.end {
            RangeEnd::Before(end) => end.len(),
            RangeEnd::Point | RangeEnd::Unbounded => 0,
        };
        self.range.start.len() + end
    }

    /// Appends the event of a change in the range, unless a filter leaves it out.
    pub(super) fn put(&self, body: &mut Vec<u8>, change: &Change) -> bool {
        let wanted = match change.kind {
            ChangeKind::Put => !self.no_put,
            ChangeKind::Delete => !self.no_delete,
        };
        if wanted {
            frame::put_event(body, change.event_bytes(self.prev_kv));
        }
        wanted
    }
}

/// Where a watcher's responses go.
#[derive(Debug)]
pub(super) struct Member {
    pub port: Arc<Port>,
    pub id: WatchId,
    /// The dispatcher's key of the watcher.
    pub watcher: u64,
    /// Split responses at this many bytes.
    pub fragment: Option<usize>,
    /// Received events since the last periodic progress.
    pub active: bool,
}

impl Member {
    /// Queues one response with `body` if the stream has room. Its pieces stay together.
    fn offer(
        &mut self,
        heads: &mut Heads,
        body: &Bytes,
        sharers: usize,
        readers: &mut Readers,
    ) -> bool {
        let mut frames = frames(heads, self.id, self.fragment, body).into_iter();
        let taken = frames
            .next()
            .is_some_and(|first| self.port.outbox.offer(first, sharers, readers));
        if taken {
            frames.for_each(|rest| self.port.outbox.push(rest, sharers));
            self.active = true;
        }
        taken
    }
}

/// The frames of one response: one, unless it may be split and is too large.
pub(super) fn frames(
    heads: &mut Heads,
    id: WatchId,
    fragment: Option<usize>,
    body: &Bytes,
) -> SmallVec<[Frame; 1]> {
    let head = heads.plain(id);
    let limit = fragment.filter(|&limit| head.len() + body.len() >= limit);
    let Some(limit) = limit else {
        let body = body.clone();
        return SmallVec::from_buf([Frame { head, body }]);
    };
    let more = Head {
        fragment: true,
        ..Head::plain(id)
    }
    .encode(heads.stamp());
    let pieces = frame::fragments(body, limit.saturating_sub(more.len()));
    let last = pieces.len().saturating_sub(1);
    let pieces = pieces.into_iter().enumerate();
    pieces
        .map(|(at, body)| {
            let head = if at == last { &head } else { &more };
            Frame {
                head: head.clone(),
                body,
            }
        })
        .collect()
}

#[derive(Debug)]
struct Group {
    interest: Arc<Interest>,
    /// Watchers that refer to the group, members or not.
    watchers: usize,
    members: Vec<Member>,
    /// Events since the last flush.
    body: Vec<u8>,
    events: usize,
}

/// The groups of one dispatcher.
#[derive(Debug, Default)]
pub(super) struct Groups {
    slots: Slab<Group>,
    by_interest: HashMap<Arc<Interest>, usize>,
    /// Groups that have members.
    index: Index,
    /// Groups that have events.
    pending: Vec<usize>,
    pending_bytes: usize,
    /// Members of these groups.
    audience: usize,
    /// Scratch space of a match.
    hits: Vec<usize>,
}

/// What a flush has put into outboxes.
#[derive(Debug, Default)]
pub(super) struct Flushed {
    pub frames: usize,
    pub events: u64,
    /// To be woken now.
    pub readers: Readers,
}

impl Groups {
    /// The group of watchers with this interest, for one more watcher. `None` if the budget has no room
    /// for the keys of a new one.
    pub(super) fn acquire(&mut self, interest: Interest, keys: &Budget) -> Option<usize> {
        if let Some(&id) = self.by_interest.get(&interest) {
            if let Some(group) = self.slots.get_mut(id) {
                group.watchers += 1;
            }
            return Some(id);
        }
        if !keys.take(interest.key_bytes()) {
            return None;
        }
        let interest = Arc::new(interest);
        let id = self.slots.insert(Group {
            interest: interest.clone(),
            watchers: 1,
            members: Vec::new(),
            body: Vec::new(),
            events: 0,
        });
        self.by_interest.insert(interest, id);
        Some(id)
    }

    /// Undoes [`Self::acquire`] for a watcher that is no member.
    pub(super) fn release(&mut self, id: usize, keys: &Budget) {
        let Some(group) = self.slots.get_mut(id) else {
            return;
        };
        group.watchers -= 1;
        if group.watchers == 0 {
            let group = self.slots.remove(id);
            self.by_interest.remove(&group.interest);
            keys.give_back(group.interest.key_bytes());
        }
    }

    pub(super) fn interest(&self, id: usize) -> Option<Arc<Interest>> {
        self.slots.get(id).map(|group| group.interest.clone())
    }

    /// Makes a watcher a member from the next change on; gives its position. Nothing is pending.
    pub(super) fn join(&mut self, id: usize, member: Member) -> usize {
        debug_assert!(self.pending.is_empty(), "a member joins between flushes");
        let Some(group) = self.slots.get_mut(id) else {
            return 0;
        };
        if group.members.is_empty() {
            self.index.insert(&group.interest.range, id);
        }
        group.members.push(member);
        group.members.len() - 1
    }

    /// Removes a member; gives the watcher that has its position now.
    pub(super) fn leave(&mut self, id: usize, position: usize) -> Option<u64> {
        let group = self.slots.get_mut(id)?;
        group.members.swap_remove(position);
        if group.members.is_empty() {
            group.members = Vec::new();
            self.index.remove(&group.interest.range, id);
        }
        group.members.get(position).map(|member| member.watcher)
    }

    pub(super) fn member_mut(&mut self, id: usize, position: usize) -> Option<&mut Member> {
        self.slots.get_mut(id)?.members.get_mut(position)
    }

    /// Every synced watcher.
    pub(super) fn all_members(&self) -> Vec<u64> {
        let members = self.slots.iter().flat_map(|(_, group)| &group.members);
        members.map(|member| member.watcher).collect()
    }

    /// Adds a change to the groups that want it.
    pub(super) fn add(&mut self, change: &Change) {
        let hits = &mut self.hits;
        self.index.visit(&change.key, |id| hits.push(id));
        for id in self.hits.drain(..) {
            let Some(group) = self.slots.get_mut(id) else {
                continue;
            };
            let before = group.body.len();
            if !group.interest.put(&mut group.body, change) {
                continue;
            }
            if group.events == 0 {
                self.pending.push(id);
                self.audience += group.members.len();
            }
            group.events += 1;
            self.pending_bytes += group.body.len() - before;
        }
    }

    /// Bytes of events that wait for a flush.
    pub(super) const fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Watchers that the next flush has something for.
    pub(super) const fn audience(&self) -> usize {
        self.audience
    }

    /// Offers the pending events to the members. Those without room are listed in `laggards`; they have
    /// received nothing since the flush before. Readers are to be woken by the caller.
    pub(super) fn flush(&mut self, heads: &mut Heads, laggards: &mut Vec<u64>) -> Flushed {
        let mut flushed = Flushed::default();
        self.pending_bytes = 0;
        self.audience = 0;
        for id in self.pending.drain(..) {
            let Some(group) = self.slots.get_mut(id) else {
                continue;
            };
            let body = Bytes::from(std::mem::take(&mut group.body));
            let events = std::mem::take(&mut group.events) as u64;
            let sharers = group.members.len();
            for member in &mut group.members {
                if member.offer(heads, &body, sharers, &mut flushed.readers) {
                    flushed.events += events;
                    flushed.frames += 1;
                } else {
                    laggards.push(member.watcher);
                }
            }
        }
        flushed
    }

    /// Forgets the pending events.
    pub(super) fn discard(&mut self) {
        self.pending_bytes = 0;
        self.audience = 0;
        for id in self.pending.drain(..) {
            if let Some(group) = self.slots.get_mut(id) {
                group.body = Vec::new();
                group.events = 0;
            }
        }
    }
}
