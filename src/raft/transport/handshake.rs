//! Who is on the other side: what two members tell each other in HTTP headers before a connection turns
//! into frames, and every reason to refuse.
//!
//! The caller names the cluster, itself, whom it means to reach and its own peer URLs; the answer repeats
//! cluster and member. So neither a reused address nor a copied configuration can lead messages of one
//! cluster into another (etcd-api.md 2.9), and both sides can say in one line what is wrong.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::Empty;

use crate::base::ids::{ClusterId, MemberId};

/// The protocol and its version, as the `Upgrade` header names it. A caller may offer several, best first.
pub(super) const PROTOCOL: &str = "holdfast-peer/1";
/// Where streams of messages and calls begin.
pub(super) const STREAM_PATH: &str = "/raft/stream";
/// Where snapshot transfers begin.
pub(super) const SNAPSHOT_PATH: &str = "/raft/snapshot";

/// Which cluster a page is about; the header is etcd's.
pub(super) const PAGE_CLUSTER: &str = "x-etcd-cluster-id";

const CLUSTER: &str = "x-holdfast-cluster-id";
const FROM: &str = "x-holdfast-from";
const TO: &str = "x-holdfast-to";
const LANE: &str = "x-holdfast-lane";
const URLS: &str = "x-holdfast-peer-urls";

/// The two message streams of a pair of members in one direction.
///
/// An append can be a megabyte and its queue many of them; a heartbeat that waits behind them for an
/// election timeout costs a leader its office. A second TCP connection is the only thing that keeps them
/// apart in the sockets' buffers too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// Heartbeats, votes, responses, calls: small and urgent.
    Control,
    /// Messages that carry log entries.
    Bulk,
}

impl Lane {
    pub(super) const ALL: [Self; 2] = [Self::Control, Self::Bulk];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Bulk => "bulk",
        }
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    /// Messages.
    Stream(Lane),
    /// One snapshot.
    Snapshot,
}

/// What the caller says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) cluster: ClusterId,
    pub(super) from: MemberId,
    pub(super) to: MemberId,
    pub(super) channel: Channel,
    /// Where the caller can be reached, for a member that has not learnt of it yet.
    pub(super) urls: Vec<String>,
}

/// Why a handshake is refused; each has an HTTP status of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefusalKind {
    /// Headers are missing or unreadable.
    Malformed,
    /// The caller belongs to another cluster.
    OtherCluster,
    /// The caller means another member than the one that answers.
    WrongMember,
    /// The caller has the id of the member that answers.
    SameId,
    /// The caller is no member.
    UnknownMember,
    /// The caller was a member once.
    Removed,
    /// The caller speaks no version of the protocol that this member does.
    Version,
    /// The member that answers is still starting.
    NotReady,
}

/// A refusal with its explanation, the same text in both logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) kind: RefusalKind,
    pub(super) text: String,
}

/// How many reasons there are.
pub(super) const REFUSAL_KINDS: usize = 8;

impl RefusalKind {
    const ALL: [Self; REFUSAL_KINDS] = [
        Self::Malformed,
        Self::OtherCluster,
        Self::WrongMember,
        Self::SameId,
        Self::UnknownMember,
        Self::Removed,
        Self::Version,
        Self::NotReady,
    ];

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::OtherCluster => StatusCode::PRECONDITION_FAILED,
            Self::WrongMember => StatusCode::MISDIRECTED_REQUEST,
            Self::SameId => StatusCode::CONFLICT,
            Self::UnknownMember => StatusCode::FORBIDDEN,
            Self::Removed => StatusCode::GONE,
            Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::NotReady => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(super) fn of_status(status: StatusCode) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.status() == status)
    }
}

impl Refusal {
    pub(super) fn new(kind: RefusalKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }

    pub(super) const fn is_lasting(&self) -> bool {
        !matches!(self.kind, RefusalKind::NotReady)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused ({}): {}", self.kind.status(), self.text)
    }
}

impl Hello {
    /// The request that asks for a connection.
    ///
    /// # Errors
    /// When a part of it cannot stand in a header.
    pub(super) fn request(&self, host: &str) -> Result<Request<Empty<Bytes>>, http::Error> {
        let (path, lane) = match self.channel {
            Channel::Stream(lane) => (STREAM_PATH, Some(lane)),
            Channel::Snapshot => (SNAPSHOT_PATH, None),
        };
        let mut request = Request::get(path)
            .header(HOST, host)
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, PROTOCOL)
            .header(CLUSTER, self.cluster.to_string())
            .header(FROM, self.from.to_string())
            .header(TO, self.to.to_string())
            .header(URLS, self.urls.join(","));
        if let Some(lane) = lane {
            request = request.header(LANE, lane.name());
        }
        request.body(Empty::new())
    }

    /// Reads a request for a connection.
    pub(super) fn parse(path: &str, headers: &HeaderMap) -> Result<Self, Refusal> {
        let offered = text(headers, UPGRADE.as_str()).unwrap_or_default();
        if !offered.split(',').any(|one| one.trim() == PROTOCOL) {
            let text = format!("this port speaks {PROTOCOL}, not {offered:?}");
            return Err(Refusal::new(RefusalKind::Version, text));
        }
        let channel = if path == SNAPSHOT_PATH {
            Channel::Snapshot
        } else {
            Channel::Stream(parse_lane(headers)?)
        };
        Ok(Self {
            cluster: ClusterId(parse_id(headers, CLUSTER)?),
            from: MemberId(parse_id(headers, FROM)?),
            to: MemberId(parse_id(headers, TO)?),
            channel,
            urls: parse_urls(headers),
        })
    }

    /// Refuses callers that are wrong whoever the members are.
    pub(super) fn check(&self, cluster: ClusterId, member: MemberId) -> Result<(), Refusal> {
        let refuse = |kind, text| Err(Refusal::new(kind, text));
        if self.cluster != cluster {
            let text = format!(
                "member {} belongs to cluster {}, member {member} to {cluster}",
                self.from, self.cluster
            );
            return refuse(RefusalKind::OtherCluster, text);
        }
        if self.to != member {
            let text = format!("this is member {member}, not {}", self.to);
            return refuse(RefusalKind::WrongMember, text);
        }
        if self.from == member || self.from == MemberId::NONE {
            let text = format!("caller and called have the id {member}, or the caller has none");
            return refuse(RefusalKind::SameId, text);
        }
        Ok(())
    }
}

/// The headers of the answer that turns a connection into frames.
pub(super) fn accept_headers(cluster: ClusterId, member: MemberId) -> HeaderMap {
    let hex = |id: String| HeaderValue::from_str(&id).expect("hex digits are legal in a header");
    HeaderMap::from_iter([
        (CONNECTION, HeaderValue::from_static("upgrade")),
        (UPGRADE, HeaderValue::from_static(PROTOCOL)),
        (
            http::HeaderName::from_static(CLUSTER),
            hex(cluster.to_string()),
        ),
        (http::HeaderName::from_static(FROM), hex(member.to_string())),
    ])
}

/// Whether an answer comes from the member that was meant.
pub(super) fn answers_for(headers: &HeaderMap, cluster: ClusterId, member: MemberId) -> bool {
    text(headers, UPGRADE.as_str()) == Some(PROTOCOL)
        && parse_id(headers, CLUSTER) == Ok(cluster.0)
        && parse_id(headers, FROM) == Ok(member.0)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn parse_id(headers: &HeaderMap, name: &str) -> Result<u64, Refusal> {
    text(headers, name)
        .and_then(|hex| u64::from_str_radix(hex, 16).ok())
        .ok_or_else(|| malformed(name))
}

fn parse_lane(headers: &HeaderMap) -> Result<Lane, Refusal> {
    let name = text(headers, LANE).unwrap_or_default();
    Lane::ALL
        .into_iter()
        .find(|lane| lane.name() == name)
        .ok_or_else(|| malformed(LANE))
}

/// The caller's URLs; those that are none are left out.
fn parse_urls(headers: &HeaderMap) -> Vec<String> {
    text(headers, URLS)
        .unwrap_or_default()
        .split(',')
        .filter(|url| http::Uri::from_str(url).is_ok_and(|uri| uri.host().is_some()))
        .map(str::to_owned)
        .collect()
}

fn malformed(header: &str) -> Refusal {
    Refusal::new(
        RefusalKind::Malformed,
        format!("header {header} is missing or malformed"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(channel: Channel) -> Hello {
        Hello {
            cluster: ClusterId(0xabc),
            from: MemberId(1),
            to: MemberId(2),
            channel,
            urls: vec!["http://10.0.0.1:2380".into(), "http://10.0.0.2:2380".into()],
        }
    }

    #[test]
    fn what_is_asked_is_what_is_read() {
        for channel in [
            Channel::Stream(Lane::Control),
            Channel::Stream(Lane::Bulk),
            Channel::Snapshot,
        ] {
            let said = hello(channel);
            let request = said.request("peer").unwrap();
            let heard = Hello::parse(request.uri().path(), request.headers());
            assert_eq!(heard, Ok(said));
        }
    }

    #[test]
    fn every_refusal_has_a_status_of_its_own() {
        for kind in RefusalKind::ALL {
            assert_eq!(RefusalKind::of_status(kind.status()), Some(kind));
        }
    }

    #[test]
    fn unreadable_requests_name_the_header() {
        let request = hello(Channel::Stream(Lane::Bulk)).request("peer").unwrap();
        for (header, value, kind) in [
            (UPGRADE.as_str(), "websocket", RefusalKind::Version),
            (CLUSTER, "xyz", RefusalKind::Malformed),
            (FROM, "", RefusalKind::Malformed),
            (TO, "-1", RefusalKind::Malformed),
            (LANE, "fast", RefusalKind::Malformed),
        ] {
            let mut headers = request.headers().clone();
            headers.insert(
                http::HeaderName::from_static(header),
                HeaderValue::from_static(value),
            );
            let refusal = Hello::parse(STREAM_PATH, &headers).unwrap_err();
            assert_eq!(refusal.kind, kind, "{header}");
            if kind == RefusalKind::Malformed {
                assert!(refusal.text.contains(header));
            }
        }
    }

    #[test]
    fn strangers_are_told_apart() {
        let said = hello(Channel::Snapshot);
        let kind = |cluster, member| said.check(cluster, member).unwrap_err().kind;
        assert_eq!(said.check(ClusterId(0xabc), MemberId(2)), Ok(()));
        assert_eq!(
            kind(ClusterId(0xabd), MemberId(2)),
            RefusalKind::OtherCluster
        );
        assert_eq!(
            kind(ClusterId(0xabc), MemberId(3)),
            RefusalKind::WrongMember
        );
        let twin = Hello {
            from: MemberId(2),
            ..said
        };
        let refusal = twin.check(ClusterId(0xabc), MemberId(2)).unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::SameId);
    }
}
