//! The first members of a cluster, their ids and the cluster's.
//!
//! A member's id is the first eight bytes, big endian, of the SHA-1 of its sorted peer URLs and the cluster
//! token; the cluster's id is the same over the ids of its first members. etcd computes them so, and every
//! member arrives at the same ids from the same flags without talking to another.

use std::collections::HashSet;

use super::error::ConfigError;
use super::member::{ClusterConfig, InitialMember, MemberConfig};
use super::url::{Scheme, Url};
use crate::base::identity::id_of;
use crate::base::ids::{ClusterId, MemberId};

/// A cluster as its first members begin it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrap {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// This member.
    pub member_id: MemberId,
    /// Every first member, ordered by id.
    pub members: Vec<BootstrapMember>,
}

/// A first member with its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootstrapMember {
    /// Its id.
    pub id: MemberId,
    /// Its name.
    pub name: String,
    /// Its peer URLs; sorted.
    pub peer_urls: Vec<Url>,
}

impl MemberConfig {
    /// The cluster that the flags describe, as every member computes it.
    ///
    /// # Errors
    /// When the flags contradict each other: this member is missing, or advertises other URLs than the
    /// cluster knows of. That matters at the first start only: afterwards the membership is on disk, and
    /// flags that were right then may have become stale.
    pub fn bootstrap(&self) -> Result<Bootstrap, ConfigError> {
        let own = self.own_entry()?;
        if own.peer_urls != self.cluster.advertise_peer_urls {
            return Err(ConfigError::PeerUrlsDiffer {
                cluster: render(std::slice::from_ref(own)),
                advertised: join(&self.cluster.advertise_peer_urls),
            });
        }
        Ok(Bootstrap {
            cluster_id: self.cluster.id(),
            member_id: member_id(&own.peer_urls, &self.cluster.token),
            members: self.cluster.members(),
        })
    }
}

impl MemberConfig {
    /// What `--initial-cluster` says of this member.
    ///
    /// # Errors
    /// [`ConfigError::NameNotInCluster`].
    pub fn own_entry(&self) -> Result<&InitialMember, ConfigError> {
        let mut members = self.cluster.initial.iter();
        members
            .find(|member| member.name == self.name)
            .ok_or_else(|| ConfigError::NameNotInCluster(self.name.clone()))
    }
}

impl ClusterConfig {
    /// The id of the cluster that the flags describe.
    pub fn id(&self) -> ClusterId {
        let members = self.members();
        ClusterId(id_of(
            members.iter().map(|member| member.id.0.to_be_bytes()),
        ))
    }

    fn members(&self) -> Vec<BootstrapMember> {
        let with_id = |member: &InitialMember| BootstrapMember {
            id: member_id(&member.peer_urls, &self.token),
            name: member.name.clone(),
            peer_urls: member.peer_urls.clone(),
        };
        let mut members: Vec<_> = self.initial.iter().map(with_id).collect();
        members.sort_by_key(|member| member.id);
        members
    }
}

/// The id of a first member with these sorted URLs.
fn member_id(peer_urls: &[Url], token: &str) -> MemberId {
    let urls = peer_urls.iter().map(Url::as_str);
    MemberId(id_of(urls.chain([token])))
}

/// The peer URLs of a member that is added at run time, sorted, or `None` if one is none that etcd would take.
/// Their number and length are bounded: every member keeps them.
pub fn peer_urls(texts: &[String]) -> Option<Vec<String>> {
    const MOST: usize = 64;
    const LONGEST: usize = 1024;
    let fits = |text: &String| text.len() <= LONGEST;
    if texts.is_empty() || texts.len() > MOST || !texts.iter().all(fits) {
        return None;
    }
    let parse = |text: &String| super::url::parse(text).ok();
    let mut urls: Vec<_> = texts.iter().map(parse).collect::<Option<_>>()?;
    urls.sort_by(|(_, a), (_, b)| a.as_str().cmp(b.as_str()));
    urls.dedup_by(|(_, a), (_, b)| a == b);
    Some(urls.iter().map(|(_, url)| url.to_string()).collect())
}

/// The members that `name=url,name=url` names, as `--initial-cluster` does, from elsewhere.
///
/// # Errors
/// As for the flag.
pub fn initial_cluster(text: &str) -> Result<Vec<InitialMember>, ConfigError> {
    parse(text, |reason| ConfigError::InvalidValue {
        value: text.to_owned(),
        origin: super::error::Origin::Flag("initial-cluster".to_owned()),
        reason,
    })
}

/// Reads `name=url,name=url`; a name may repeat.
///
/// # Errors
/// For an entry of another form, a URL that is not served, or one that two entries share; `invalid` makes
/// the error about a URL that cannot be read.
pub(super) fn parse(
    text: &str,
    invalid: impl Fn(String) -> ConfigError,
) -> Result<Vec<InitialMember>, ConfigError> {
    let mut members: Vec<InitialMember> = Vec::new();
    let mut seen = HashSet::new();
    for entry in text.split(',') {
        let (name, url) = entry
            .trim()
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| ConfigError::BadClusterEntry(entry.to_owned()))?;
        let (scheme, url) = super::url::parse(url).map_err(&invalid)?;
        served("initial-cluster", scheme, &url)?;
        if !seen.insert(url.clone()) {
            return Err(ConfigError::DuplicateUrl(text.to_owned()));
        }
        match members.iter_mut().find(|member| member.name == name) {
            Some(member) => member.peer_urls.push(url),
            None => members.push(InitialMember {
                name: name.to_owned(),
                peer_urls: vec![url],
            }),
        }
    }
    for member in &mut members {
        member.peer_urls.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    }
    members.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(members)
}

/// Refuses schemes that nothing here speaks yet.
///
/// # Errors
/// [`ConfigError::SchemeNotServed`].
pub(super) fn served(flag: &'static str, scheme: Scheme, url: &Url) -> Result<(), ConfigError> {
    let reason = match scheme {
        Scheme::Http | Scheme::Https => return Ok(()),
        Scheme::Unix => "unix sockets are not served yet; use http or https",
    };
    Err(ConfigError::SchemeNotServed {
        flag,
        url: url.as_str().to_owned(),
        reason,
    })
}

fn render(members: &[InitialMember]) -> String {
    let entries = members.iter().flat_map(|m| {
        m.peer_urls
            .iter()
            .map(move |url| format!("{}={url}", m.name))
    });
    entries.collect::<Vec<_>>().join(",")
}

fn join(urls: &[Url]) -> String {
    urls.iter().map(Url::as_str).collect::<Vec<_>>().join(",")
}
