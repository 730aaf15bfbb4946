//! The election service.

use bytes::Bytes;
use holdfast::etcd::pb::mvccpb::KeyValue;
use holdfast::etcd::pb::v3electionpb::election_client::ElectionClient;
use holdfast::etcd::pb::v3electionpb::{
    CampaignRequest, LeaderKey, LeaderRequest, LeaderResponse, ProclaimRequest, ResignRequest,
};
use tonic::{Code, Status, Streaming};

use crate::harness::*;

also_over_tls![elections];

#[tokio::test]
async fn elections() {
    let cases = cases![
        a_lone_candidate_leads,
        campaigning_again_updates_the_value,
        the_leader_is_told,
        without_a_leader_there_is_an_error,
        a_second_candidate_waits_for_the_first_to_resign,
        proclaiming_changes_the_value,
        proclaiming_after_resigning_is_refused,
        a_proclamation_needs_a_leader_key,
        a_resignation_needs_a_leader_key,
        resigning_twice_is_fine,
        observing_tells_the_leader_and_each_value,
        observing_tells_the_next_leader,
        observing_nobody_waits_for_the_first,
        a_candidate_that_goes_away_leaves_no_key,
        a_waiting_candidate_may_change_its_value,
    ];
    Suite::new("election", cases).run(shared().await).await;
}

/// The election service of a case, over one election.
struct Election {
    stub: ElectionClient<Connection>,
    name: Bytes,
}

impl Election {
    fn of(c: &Case) -> Self {
        Self {
            stub: ElectionClient::new(c.client.connection()),
            name: c.key("e"),
        }
    }

    async fn campaign(&mut self, lease: i64, value: &str) -> LeaderKey {
        let request = CampaignRequest {
            name: self.name.clone(),
            lease,
            value: bytes(value),
        };
        let response = self.stub.campaign(request).await.unwrap();
        response.into_inner().leader.expect("a leader key")
    }

    async fn proclaim(&mut self, leader: Option<LeaderKey>, value: &str) -> Result<(), Status> {
        let request = ProclaimRequest {
            leader,
            value: bytes(value),
        };
        self.stub.proclaim(request).await.map(|_| ())
    }

    async fn resign(&mut self, leader: Option<LeaderKey>) -> Result<(), Status> {
        self.stub.resign(ResignRequest { leader }).await.map(|_| ())
    }

    async fn leader(&mut self) -> Result<KeyValue, Status> {
        let request = LeaderRequest {
            name: self.name.clone(),
        };
        let response = self.stub.leader(request).await?.into_inner();
        Ok(response.kv.expect("a leader"))
    }

    async fn observe(&mut self) -> Streaming<LeaderResponse> {
        let request = LeaderRequest {
            name: self.name.clone(),
        };
        self.stub.observe(request).await.unwrap().into_inner()
    }
}

async fn a_lone_candidate_leads(c: Case) {
    let (mut election, lease) = (Election::of(&c), c.lease(60).await);
    let leader = election.campaign(lease, "me").await;
    assert_eq!((&leader.name, leader.lease), (&election.name, lease));
    assert_eq!(leader.key, format!("{}/{lease:x}", text(&election.name)));
    let kv = c.range(point(&leader.key)).await.kvs.remove(0);
    assert_eq!((kv.value(), kv.lease()), (&b"me"[..], lease));
    assert_eq!(kv.create_revision(), leader.rev);
}

async fn campaigning_again_updates_the_value(c: Case) {
    let (mut election, lease) = (Election::of(&c), c.lease(60).await);
    let first = election.campaign(lease, "one").await;
    let second = election.campaign(lease, "two").await;
    assert_eq!((first.key, first.rev), (second.key, second.rev));
    assert_eq!(election.leader().await.unwrap().value(), b"two");
}

async fn the_leader_is_told(c: Case) {
    let (mut election, lease) = (Election::of(&c), c.lease(60).await);
    let leader = election.campaign(lease, "me").await;
    let kv = election.leader().await.unwrap();
    assert_eq!((kv.key(), kv.value()), (&leader.key, &b"me"[..]));
}

async fn without_a_leader_there_is_an_error(c: Case) {
    let result = Election::of(&c).leader().await;
    refused(result, Code::Unknown, "election: no leader");
}

async fn a_second_candidate_waits_for_the_first_to_resign(c: Case) {
    let mut election = Election::of(&c);
    let first = election.campaign(c.lease(60).await, "one").await;
    let (mut other, lease) = (Election::of(&c), c.lease(60).await);
    let waiter = tokio::spawn(async move { other.campaign(lease, "two").await });
    while c.range(c.all()).await.count < 2 {
        tokio::time::sleep(QUIET / 20).await;
    }
    assert!(!waiter.is_finished());
    assert_eq!(election.leader().await.unwrap().value(), b"one");
    election.resign(Some(first)).await.unwrap();
    assert_eq!(waiter.await.unwrap().lease, lease);
    assert_eq!(election.leader().await.unwrap().value(), b"two");
}

async fn proclaiming_changes_the_value(c: Case) {
    let mut election = Election::of(&c);
    let leader = election.campaign(c.lease(60).await, "one").await;
    election.proclaim(Some(leader), "two").await.unwrap();
    assert_eq!(election.leader().await.unwrap().value(), b"two");
}

async fn proclaiming_after_resigning_is_refused(c: Case) {
    let mut election = Election::of(&c);
    let leader = election.campaign(c.lease(60).await, "one").await;
    election.resign(Some(leader.clone())).await.unwrap();
    let result = election.proclaim(Some(leader), "two").await;
    refused(result, Code::Unknown, "election: not leader");
}

const NO_KEY: &str = "\"leader\" field must be provided";

async fn a_proclamation_needs_a_leader_key(c: Case) {
    let result = Election::of(&c).proclaim(None, "x").await;
    refused(result, Code::Unknown, NO_KEY);
}

async fn a_resignation_needs_a_leader_key(c: Case) {
    refused(Election::of(&c).resign(None).await, Code::Unknown, NO_KEY);
}

async fn resigning_twice_is_fine(c: Case) {
    let mut election = Election::of(&c);
    let leader = election.campaign(c.lease(60).await, "one").await;
    election.resign(Some(leader.clone())).await.unwrap();
    election.resign(Some(leader)).await.unwrap();
}

async fn observing_tells_the_leader_and_each_value(c: Case) {
    let mut election = Election::of(&c);
    let leader = election.campaign(c.lease(60).await, "one").await;
    let mut stream = election.observe().await;
    for next in ["two", "three"] {
        let told = stream.message().await.unwrap().unwrap().kv.unwrap();
        assert_eq!(told.key(), &leader.key);
        election.proclaim(Some(leader.clone()), next).await.unwrap();
    }
    let told = stream.message().await.unwrap().unwrap().kv.unwrap();
    assert_eq!(told.value(), b"three");
}

async fn told(stream: &mut Streaming<LeaderResponse>) -> KeyValue {
    stream.message().await.unwrap().unwrap().kv.unwrap()
}

async fn observing_tells_the_next_leader(c: Case) {
    let mut election = Election::of(&c);
    let first = election.campaign(c.lease(60).await, "one").await;
    let (mut other, lease) = (Election::of(&c), c.lease(60).await);
    let waiter = tokio::spawn(async move { other.campaign(lease, "two").await });
    candidates(&c, 2).await;
    let mut stream = election.observe().await;
    assert_eq!(told(&mut stream).await.value(), b"one");
    election.resign(Some(first)).await.unwrap();
    let next = told(&mut stream).await;
    assert_eq!((next.value(), next.lease()), (&b"two"[..], lease));
    waiter.await.unwrap();
}

async fn observing_nobody_waits_for_the_first(c: Case) {
    let mut election = Election::of(&c);
    let mut observer = Election::of(&c);
    let stream = tokio::spawn(async move {
        let mut stream = observer.observe().await;
        (told(&mut stream).await, told(&mut stream).await)
    });
    tokio::time::sleep(QUIET).await;
    assert!(!stream.is_finished());
    let leader = election.campaign(c.lease(60).await, "one").await;
    election.proclaim(Some(leader), "two").await.unwrap();
    let (first, second) = stream.await.unwrap();
    assert_eq!((first.value(), second.value()), (&b"one"[..], &b"two"[..]));
}

async fn candidates(c: &Case, count: i64) {
    while c.range(c.all()).await.count != count {
        tokio::time::sleep(QUIET / 20).await;
    }
}

async fn a_candidate_that_goes_away_leaves_no_key(c: Case) {
    let mut election = Election::of(&c);
    election.campaign(c.lease(60).await, "one").await;
    let (mut other, lease) = (Election::of(&c), c.lease(60).await);
    let waiter = tokio::spawn(async move { other.campaign(lease, "two").await });
    candidates(&c, 2).await;
    waiter.abort();
    candidates(&c, 1).await;
    assert_eq!(election.leader().await.unwrap().value(), b"one");
}

async fn a_waiting_candidate_may_change_its_value(c: Case) {
    let mut election = Election::of(&c);
    let first = election.campaign(c.lease(60).await, "one").await;
    let lease = c.lease(60).await;
    let mut waiters = Vec::new();
    for value in ["two", "three"] {
        let mut other = Election::of(&c);
        waiters.push(tokio::spawn(
            async move { other.campaign(lease, value).await },
        ));
        let waits = || async {
            c.range(c.all())
                .await
                .kvs
                .iter()
                .any(|kv| kv.value() == value.as_bytes())
        };
        while !waits().await {
            tokio::time::sleep(QUIET / 20).await;
        }
    }
    election.resign(Some(first)).await.unwrap();
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap().lease, lease);
    }
    assert_eq!(election.leader().await.unwrap().value(), b"three");
}
