//! What says that this member serves: a lease by which others see that it lives, its address behind the service
//! `kubernetes`, and the cluster's own objects, which come back if somebody takes them away.
//!
//! Every member does this at once. Each writes the lease and the address that are its own; what they share comes out
//! the same whoever writes it.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::checks::Part;
use super::establish::ensure;
use super::remove;
use super::serve::KubeServer;
use crate::base::clock;
use crate::base::ids::LeaseId;
use crate::base::range::KeyRange;
use crate::engine::Consistency;
use crate::kube::bootstrap::{self, Own};
use crate::kube::codec;
use crate::kube::object::time::Moment;
use crate::kube::objects::Objects as _;
use crate::kube::status::ApiResult;
use crate::kube::store::{self, refused};
use crate::kube::strategy::deletion::DeleteOptions;
use crate::kube::tree;
use crate::mvcc::ops::{PutOp, RangeOp};

/// Between two rounds: kube-apiserver's pace for leases and addresses alike.
const ROUND: Duration = Duration::from_secs(10);
/// Rounds between looks at everything else that has to be there.
const ROUNDS_OF_UPKEEP: u64 = 6;
/// Before a round that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// Seconds for which an address counts that nobody renews.
const ADDRESS_TTL: i64 = 15;
/// Where addresses are kept, where kube-apiserver keeps them.
const ADDRESSES: &str = "/registry/masterleases/";
/// The label of servers' leases.
const IDENTITY: &str = "apiserver.kubernetes.io/identity";
const SERVER: &str = "kube-apiserver";
const LEASES: &str = "coordination.k8s.io";

/// What a member says of itself for as long as it serves.
#[derive(Debug, Default)]
struct Said {
    /// Tells this start from others of the same member.
    holder: String,
    /// The store's lease of this member's address.
    address: LeaseId,
}

impl KubeServer {
    /// Says that this member serves, and looks after the cluster's own objects, until it is about to stop.
    pub async fn stay(&self) {
        tokio::select! {
            () = self.rounds() => {}
            () = self.inner().progress.stopping() => {}
        }
    }

    async fn rounds(&self) {
        let mut said = Said {
            holder: crate::kube::strategy::uid(&mut rand::random),
            ..Said::default()
        };
        let mut round = 0_u64;
        loop {
            let done = self.round(&mut said, round).await;
            let pause = match done {
                Ok(()) => {
                    round += 1;
                    ROUND
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot say yet that this member serves");
                    RETRY
                }
            };
            sleep(pause).await;
        }
    }

    async fn round(&self, said: &mut Said, round: u64) -> ApiResult<()> {
        let inner = self.inner();
        ensure(inner, &self.identity(&said.holder)).await?;
        inner.progress.done(Part::Identity);
        if self.is_reachable() {
            self.renew_address(said).await?;
            self.show_addresses().await?;
        }
        self.forget_departed().await?;
        inner.progress.done(Part::Departed);
        if round.is_multiple_of(ROUNDS_OF_UPKEEP) {
            for own in bootstrap::cluster_objects(&self.facts()) {
                // Once made, these are nobody's to bring back.
                if own.plural != "priorityclasses" {
                    ensure(inner, &own).await?;
                }
            }
        }
        Ok(())
    }

    fn identity(&self, holder: &str) -> Own {
        let inner = self.inner();
        let member = inner.store.engine().header().member_id.to_string();
        bootstrap::identity_lease(&inner.settings.host, &member, holder, clock::unix_time())
    }

    /// Whether pods can reach the address that this member has.
    fn is_reachable(&self) -> bool {
        let advertise = self.inner().settings.advertise;
        !advertise.is_loopback() && !advertise.is_unspecified()
    }

    fn address_key(&self) -> Bytes {
        format!("{ADDRESSES}{}", self.inner().settings.advertise).into()
    }

    /// Sees to it that this member's address is there for a while.
    async fn renew_address(&self, said: &mut Said) -> ApiResult<()> {
        let engine = self.inner().store.engine();
        if !said.address.is_none() {
            let (_, left) = engine
                .lease_keep_alive(said.address)
                .await
                .map_err(refused)?;
            let key = self.address_key();
            if left > 0 && self.inner().store.read(key).await?.is_some() {
                return Ok(());
            }
        }
        let granted = engine.lease_grant(LeaseId::NONE, ADDRESS_TTL).await;
        let (_, lease, _) = granted.map_err(refused)?;
        let advertise = self.inner().settings.advertise.to_string();
        let value = json!({
            "kind": "Endpoints",
            "apiVersion": "v1",
            "metadata": {},
            "subsets": [{"addresses": [{"ip": advertise}]}],
        });
        let put = PutOp {
            lease,
            ..PutOp::new(self.address_key(), codec::encode(&value))
        };
        engine.put(put).await.map_err(refused)?;
        said.address = lease;
        Ok(())
    }

    /// Has the service `kubernetes` lead to the members that live.
    async fn show_addresses(&self) -> ApiResult<()> {
        let inner = self.inner();
        let op = RangeOp::new(KeyRange::prefix(Bytes::from_static(ADDRESSES.as_bytes())));
        let read = inner
            .store
            .engine()
            .range(op, Consistency::Linearizable)
            .await;
        let (_, found) = read.map_err(refused)?;
        let prefix = ADDRESSES.len();
        let named = |key: &Bytes| -> Option<IpAddr> {
            std::str::from_utf8(key.get(prefix..)?).ok()?.parse().ok()
        };
        let addresses: Vec<IpAddr> = found.kvs.iter().filter_map(|kv| named(&kv.key)).collect();
        for own in bootstrap::endpoints(&addresses, inner.settings.port) {
            ensure(inner, &own).await?;
        }
        Ok(())
    }

    /// Takes the leases of servers away that have not renewed them in time.
    async fn forget_departed(&self) -> ApiResult<()> {
        let inner = self.inner();
        let now = clock::unix_time().as_secs();
        for lease in inner.live.list(LEASES, "leases", Some("kube-system")) {
            if tree::text(&lease, &["metadata", "labels", IDENTITY]) != SERVER
                || !has_ended(&lease, now)
            {
                continue;
            }
            let own = Own {
                object: Value::clone(&lease),
                ..self.identity("")
            };
            let call = super::establish::call(&own)?;
            let key = store::key(store::place(&call.resource)?, own.namespace(), own.name());
            // As of now: it may have been renewed since.
            let Some(stored) = inner.store.read(key).await? else {
                continue;
            };
            if codec::decode(&stored).is_ok_and(|lease| has_ended(&lease, now)) {
                remove::remove(inner, &call, stored, &DeleteOptions::default()).await?;
            }
        }
        Ok(())
    }

    /// Says that this member is about to stop: `/readyz` fails from now on, and the service `kubernetes` leads here no
    /// more.
    pub async fn depart(&self) {
        self.inner().progress.stop();
        if !self.is_reachable() {
            return;
        }
        let engine = self.inner().store.engine();
        let op = crate::mvcc::ops::DeleteOp {
            range: KeyRange::point(self.address_key()),
            prev_kv: false,
        };
        let gone = engine.delete(op).await.map_err(refused);
        let shown = match gone {
            Ok(_) => self.show_addresses().await,
            Err(error) => Err(error),
        };
        if let Err(error) = shown {
            tracing::warn!(%error, "the service kubernetes leads here for some seconds more");
        }
    }
}

/// Whether a lease has not been renewed for as long as it lasts.
fn has_ended(lease: &Value, now: u64) -> bool {
    let renewed = Moment::parse_micro(tree::text(lease, &["spec", "renewTime"])).ok();
    let lasts = tree::int(lease, &["spec", "leaseDurationSeconds"]);
    match (renewed, lasts) {
        (Some(renewed), Some(lasts)) => {
            let ends = renewed.seconds.saturating_add(lasts);
            i64::try_from(now).is_ok_and(|now| ends < now)
        }
        // It was never one of a server's.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_when_nobody_renews_it() {
        let lease =
            |renewed: &str| json!({"spec": {"renewTime": renewed, "leaseDurationSeconds": 60}});
        // 2027-01-15T08:00:00Z
        let now = 1_800_000_000;
        for (renewed, ended) in [
            ("2027-01-15T07:59:30.000000Z", false),
            ("2027-01-15T07:58:59.000000Z", true),
            ("soon", true),
        ] {
            assert_eq!(has_ended(&lease(renewed), now), ended, "{renewed}");
        }
        assert!(has_ended(&json!({}), now));
    }
}
