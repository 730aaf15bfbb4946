//! Who a member is before it has data: what the members that are there already say.
//!
//! A member that joins takes the cluster's id, its own and the list of members from them. One that begins a
//! cluster asks, too: if it was part of this cluster before, it must not begin anew, because it would vote
//! again in elections that it has forgotten, and count as having what it has lost.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::data_dir::Identity;
use super::error::StartError;
use crate::base::ids::{ClusterId, MemberId};
use crate::config::{Bootstrap, InitialMember, MemberConfig, Url};
use crate::engine::Member;
use crate::raft::transport::{Page, fetch_page};
use crate::tls::Connector;

/// The page of a peer port that lists the members.
pub(super) const MEMBERS_PAGE: &str = "/members";

/// Rounds of asking all members. One that lags may not know yet that this one was added.
const ROUNDS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// How long one member is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it is when the answer is a precaution.
const SHORT_PATIENCE: Duration = Duration::from_millis(500);

/// A member on the page, with etcd's names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Listed {
    id: u64,
    #[serde(rename = "peerURLs", default)]
    peer_urls: Vec<String>,
    #[serde(default)]
    name: String,
    #[serde(rename = "clientURLs", default)]
    client_urls: Vec<String>,
    #[serde(rename = "isLearner", default)]
    is_learner: bool,
}

/// A running cluster, as one of its members lists it.
#[derive(Debug)]
pub(super) struct Joined {
    /// The cluster, and this member's place in it.
    pub(super) identity: Identity,
    /// All members, this one included.
    pub(super) members: Vec<Member>,
}

/// The page that lists these members.
pub(super) fn members_page(members: Vec<Member>) -> Option<Bytes> {
    let listed = members.into_iter().map(|member| Listed {
        id: member.id,
        peer_urls: member.peer_urls,
        name: member.name,
        client_urls: member.client_urls,
        is_learner: member.is_learner,
    });
    let listed: Vec<_> = listed.collect();
    serde_json::to_vec(&listed).ok().map(Bytes::from)
}

/// Finds this member's place in the running cluster that the flags describe.
///
/// # Errors
/// [`StartError::CannotJoin`] with what the members said, or that none answered.
pub(super) async fn join(
    config: &MemberConfig,
    calls: Option<&Connector>,
) -> Result<Joined, StartError> {
    let own = config.own_entry()?;
    let mut reason = "--initial-cluster names no other member".to_owned();
    for round in 0..ROUNDS {
        if round > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        for url in others(config, own) {
            let listed = match fetch_page(url.as_str(), MEMBERS_PAGE, calls, PATIENCE).await {
                Ok(page) => parse(&page),
                Err(error) => Err(error.to_string()),
            };
            let found = listed.and_then(|(cluster, members)| {
                place(cluster, members, &config.cluster.initial, own)
            });
            match found {
                Ok(joined) => return Ok(joined),
                Err(why) => reason = format!("{url}: {why}"),
            }
        }
        tracing::warn!(reason, "cannot join the cluster yet");
    }
    Err(StartError::CannotJoin(reason))
}

/// Refuses to begin a cluster that knows this member as one that has run already. Nobody answers where all
/// members begin, so this costs nothing but a refused connection each.
///
/// # Errors
/// [`StartError::AlreadyStarted`].
pub(super) async fn refuse_second_beginning(
    config: &MemberConfig,
    bootstrap: &Bootstrap,
    calls: Option<&Connector>,
) -> Result<(), StartError> {
    let own = config.own_entry()?;
    let asked = others(config, own).map(|url| async move {
        fetch_page(url.as_str(), MEMBERS_PAGE, calls, SHORT_PATIENCE).await
    });
    for page in futures::future::join_all(asked).await.into_iter().flatten() {
        let Ok((cluster, members)) = parse(&page) else {
            continue;
        };
        let me = members.iter().find(|m| m.id == bootstrap.member_id.0);
        if cluster == bootstrap.cluster_id && me.is_some_and(has_run) {
            return Err(StartError::AlreadyStarted(bootstrap.member_id));
        }
    }
    Ok(())
}

fn others<'a>(config: &'a MemberConfig, own: &'a InitialMember) -> impl Iterator<Item = &'a Url> {
    let others = config.cluster.initial.iter();
    others
        .filter(|member| member.name != own.name)
        .flat_map(|member| &member.peer_urls)
}

/// Whether a member has told the cluster its name, as it does once it runs.
const fn has_run(member: &Member) -> bool {
    !member.name.is_empty()
}

fn parse(page: &Page) -> Result<(ClusterId, Vec<Member>), String> {
    let listed: Vec<Listed> =
        serde_json::from_slice(&page.body).map_err(|error| error.to_string())?;
    let members = listed.into_iter().map(|member| Member {
        id: member.id,
        name: member.name,
        peer_urls: sorted(member.peer_urls),
        client_urls: member.client_urls,
        is_learner: member.is_learner,
    });
    Ok((page.cluster, members.collect()))
}

fn sorted(mut urls: Vec<String>) -> Vec<String> {
    urls.sort_unstable();
    urls
}

/// Finds this member among the others, which the flags must describe as they are (etcd's rule).
fn place(
    cluster: ClusterId,
    members: Vec<Member>,
    initial: &[InitialMember],
    own: &InitialMember,
) -> Result<Joined, String> {
    if members.len() != initial.len() {
        return Err(format!(
            "member count is unequal: the cluster has {} members, --initial-cluster {}",
            members.len(),
            initial.len()
        ));
    }
    let find = |entry: &InitialMember| {
        let urls: Vec<&str> = entry.peer_urls.iter().map(Url::as_str).collect();
        let mut found = members.iter().filter(|member| member.peer_urls == urls);
        found.next().ok_or_else(|| {
            format!(
                "the cluster has no member with the peer URLs {} of {}",
                urls.join(","),
                entry.name
            )
        })
    };
    for entry in initial {
        find(entry)?;
    }
    let me = find(own)?;
    if has_run(me) {
        return Err(format!(
            "member {:x} has run before with other data, which it may have acknowledged: remove it from the \
             cluster and add it again",
            me.id
        ));
    }
    let identity = Identity {
        cluster_id: cluster,
        member_id: MemberId(me.id),
    };
    Ok(Joined { identity, members })
}

#[cfg(test)]
#[path = "join_test.rs"]
mod tests;
