//! Who belongs to the cluster, as far as this member knows.
//!
//! This member may be the one that lags: after an absence the leader can be a member that was added
//! meanwhile, and refusing it would keep this one from ever learning so. A caller of the right cluster
//! that means this member and says where it can be reached is therefore taken in provisionally, unless it
//! is known to have been removed; consensus ignores what a stranger has no right to say. Strangers are few
//! ([`MAX_PROVISIONAL`]), and silent ones make room for others.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

use super::context::Context;
use super::handshake::{Hello, Lane, Refusal, RefusalKind};
use super::lane;
use super::peer::Peer;
use crate::base::clock;
use crate::base::ids::MemberId;

/// Callers that the configuration does not name, at a time. Members are added one by one.
const MAX_PROVISIONAL: usize = 4;

/// A provisional peer that was not heard for this long gives up its place.
const PROVISIONAL_SILENCE: Duration = Duration::from_secs(30);

pub(super) struct Members {
    ctx: Arc<Context>,
    table: RwLock<Table>,
}

#[derive(Default)]
struct Table {
    known: HashMap<MemberId, Arc<Peer>>,
    removed: HashSet<MemberId>,
}

impl Members {
    pub(super) fn new(ctx: Arc<Context>) -> Self {
        Self {
            ctx,
            table: RwLock::default(),
        }
    }

    pub(super) fn get(&self, id: MemberId) -> Option<Arc<Peer>> {
        self.table.read().known.get(&id).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Peer>> {
        self.table.read().known.values().cloned().collect()
    }

    /// Makes this the membership: connects to the new, disconnects from the gone, takes over URLs.
    /// A provisional peer stays until it is named or removed.
    pub(super) fn update(&self, peers: &[(MemberId, Vec<String>)], removed: &[MemberId]) {
        let mut table = self.table.write();
        table.removed = removed.iter().copied().collect();
        let Table { known, removed } = &mut *table;
        known.retain(|id, peer| {
            let named = peers.iter().any(|(named, _)| named == id);
            let stays = !removed.contains(id) && (named || peer.is_provisional());
            if !stays {
                self.retire(peer);
            }
            stays
        });
        for (id, urls) in peers {
            if *id == self.ctx.identity.member || removed.contains(id) {
                continue;
            }
            known
                .entry(*id)
                .or_insert_with(|| self.start(*id, urls, false))
                .confirm(urls);
        }
    }

    /// The peer that a caller is, or why it is none.
    pub(super) fn admit(&self, hello: &Hello) -> Result<Arc<Peer>, Refusal> {
        if let Some(peer) = self.get(hello.from) {
            return Ok(peer);
        }
        let mut table = self.table.write();
        if table.removed.contains(&hello.from) {
            let text = format!("member {} has been removed from the cluster", hello.from);
            return Err(Refusal::new(RefusalKind::Removed, text));
        }
        let unknown = |why| {
            let text = format!("member {} is not known here{why}", hello.from);
            Err(Refusal::new(RefusalKind::UnknownMember, text))
        };
        if hello.urls.is_empty() {
            return unknown(" and names no peer URL");
        }
        if !self.make_room(&mut table.known) {
            return unknown(", and neither are enough others");
        }
        tracing::warn!(peer = %hello.from, urls = ?hello.urls, "peer is not known here yet");
        let entry = table.known.entry(hello.from);
        let peer = entry.or_insert_with(|| self.start(hello.from, &hello.urls, true));
        peer.counters.heard(clock::now());
        Ok(peer.clone())
    }

    /// A peer with its two outgoing streams.
    fn start(&self, id: MemberId, urls: &[String], provisional: bool) -> Arc<Peer> {
        let metrics = self.ctx.metrics.peer(self.ctx.identity.member, id);
        let peer = Arc::new(Peer::new(id, urls.to_vec(), provisional, metrics));
        for lane in Lane::ALL {
            let (ctx, peer) = (self.ctx.clone(), peer.clone());
            self.ctx.spawn("peer stream", async move {
                let stop = peer.stop.clone();
                tokio::select! {
                    () = lane::keep_up(ctx, peer, lane) => {}
                    () = stop.cancelled() => {}
                }
            });
        }
        peer
    }

    /// Ends what has to do with a peer and takes it off the page.
    fn retire(&self, peer: &Peer) {
        peer.retire();
        self.ctx
            .metrics
            .forget_peer(self.ctx.identity.member, peer.id);
    }

    /// Whether one more stranger fits, after those that fell silent have gone.
    fn make_room(&self, known: &mut HashMap<MemberId, Arc<Peer>>) -> bool {
        let now = clock::now();
        known.retain(|_, peer| {
            let heard = peer.counters.last_heard();
            let silent =
                heard.is_none_or(|at| now.saturating_duration_since(at) > PROVISIONAL_SILENCE);
            let stays = !(peer.is_provisional() && silent);
            if !stays {
                self.retire(peer);
            }
            stays
        });
        let provisional = known.values().filter(|peer| peer.is_provisional()).count();
        provisional < MAX_PROVISIONAL
    }
}
