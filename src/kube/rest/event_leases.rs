//! Leases for events, which go by themselves after an hour.
//!
//! One lease serves the events of a minute, as with kube-apiserver: a lease for each would cost more than the event.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::base::clock;
use crate::base::ids::LeaseId;
use crate::engine::Engine;
use crate::kube::status::ApiResult;
use crate::kube::store::refused;

/// How long an event is kept: `--event-ttl` of kube-apiserver.
const TTL: i64 = 3600;
/// How long a lease takes new events.
const REUSED_FOR: Duration = Duration::from_secs(60);
/// Events of one lease.
const REUSED_TIMES: u32 = 1000;

/// The lease that new events get.
#[derive(Debug, Default)]
pub(super) struct EventLeases {
    current: Mutex<Option<Current>>,
}

#[derive(Debug)]
struct Current {
    id: LeaseId,
    since: Instant,
    events: u32,
}

impl EventLeases {
    /// A lease for one more event.
    ///
    /// # Errors
    /// What the store says when a new one is needed.
    pub(super) async fn current(&self, engine: &Engine) -> ApiResult<LeaseId> {
        let mut current = self.current.lock().await;
        let now = clock::now();
        if let Some(known) = current.as_mut()
            && now.duration_since(known.since) < REUSED_FOR
            && known.events < REUSED_TIMES
        {
            known.events += 1;
            return Ok(known.id);
        }
        // What is left of the minute is added, so that the last event lives its hour too.
        let ttl = TTL + i64::try_from(REUSED_FOR.as_secs()).unwrap_or_default();
        let granted = engine.lease_grant(LeaseId::NONE, ttl).await;
        let (_, id, _) = granted.map_err(refused)?;
        *current = Some(Current {
            id,
            since: now,
            events: 1,
        });
        Ok(id)
    }
}
