//! Several members on loopback.

use std::ops::{Index, IndexMut};
use std::path::Path;
use std::time::Duration;

use holdfast::etcd::pb::etcdserverpb::{StatusRequest, StatusResponse};
use tokio::time::{sleep, timeout};

use super::{Client, Server, Settings};

/// A member that does not say who leads within this time is taken as down.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);
const ELECTION_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(30);

/// The members, in the order of their names.
pub struct Cluster {
    members: Vec<Server>,
    settings: Settings,
}

impl Cluster {
    /// Three members that are not started yet.
    pub fn prepare(settings: Settings) -> Self {
        let mut members: Vec<_> = ["a", "b", "c"].map(Server::prepare).into();
        for member in &mut members {
            member.secure(&settings);
        }
        let initial = initial_cluster(&members);
        for member in &mut members {
            member.configure(&settings, &initial);
        }
        Self { members, settings }
    }

    /// Starts three members and waits until all serve.
    pub async fn start(settings: Settings) -> Self {
        let mut cluster = Self::prepare(settings);
        for member in &mut cluster.members {
            member.spawn();
        }
        for member in &mut cluster.members {
            member.ready().await;
        }
        cluster
    }

    /// Starts one member, to which others are to be added.
    pub async fn start_one(settings: Settings) -> Self {
        let mut members = vec![Server::prepare("a")];
        members[0].secure(&settings);
        let initial = initial_cluster(&members);
        members[0].configure(&settings, &initial);
        members[0].spawn();
        members[0].ready().await;
        Self { members, settings }
    }

    /// Takes a member that was removed out of the list.
    pub fn take(&mut self, index: usize) -> Server {
        self.members.remove(index)
    }

    /// Puts a member into the list again.
    pub fn put_back(&mut self, member: Server) {
        self.members.push(member);
    }

    /// Starts three members, each from a backup that `holdfast snapshot restore` reads, and waits until all
    /// answer.
    pub async fn start_from(settings: Settings, backups: [&Path; 3]) -> Self {
        let mut members: Vec<_> = ["a", "b", "c"].map(Server::prepare).into();
        for member in &mut members {
            member.secure(&settings);
        }
        let initial = initial_cluster(&members);
        for (member, backup) in members.iter_mut().zip(backups) {
            member.configure(&settings, &initial);
            member.restore(backup);
            member.spawn();
        }
        for member in &mut members {
            member.alive().await;
        }
        Self { members, settings }
    }

    /// Gives a member that is stopped other flags.
    pub fn reconfigure(&mut self, index: usize, settings: &Settings) {
        let initial = initial_cluster(&self.members);
        self.members[index].configure(settings, &initial);
    }

    pub fn members(&self) -> Vec<&Server> {
        self.members.iter().collect()
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }

    pub fn client(&self, index: usize) -> Client {
        self.members[index].client()
    }

    /// A connection to each member.
    pub fn clients(&self) -> Vec<Client> {
        self.members.iter().map(Server::client).collect()
    }

    /// Prepares one more member, to be spawned after it has been added; returns its index.
    pub fn prepare_joining(&mut self, name: &str) -> usize {
        self.join_as(Server::prepare(name))
    }

    /// As [`prepare_joining`](Self::prepare_joining), on a machine that has been used before.
    pub fn join_as(&mut self, mut member: Server) -> usize {
        member.secure(&self.settings);
        let initial = format!(
            "{},{}={}",
            initial_cluster(&self.members),
            member.name(),
            member.peer_url()
        );
        let settings = self
            .settings
            .clone()
            .flag("initial-cluster-state", "existing");
        member.configure(&settings, &initial);
        self.members.push(member);
        self.members.len() - 1
    }

    /// What a member says of itself, if it answers.
    pub async fn status(&self, index: usize) -> Option<StatusResponse> {
        let client = self.client(index);
        let status = client.status(StatusRequest {});
        timeout(ANSWER_LIMIT, status).await.ok()?.ok()
    }

    /// The member that leads, once one does and knows it.
    pub async fn leader(&self) -> usize {
        self.leader_among(|_| true).await
    }

    /// The leader once it is another than `old`.
    pub async fn leader_other_than(&self, old: usize) -> usize {
        self.leader_among(|index| index != old).await
    }

    async fn leader_among(&self, accept: impl Fn(usize) -> bool) -> usize {
        let search = async {
            loop {
                if let Some(leader) = self.claimed_leader().await.filter(|&index| accept(index)) {
                    return leader;
                }
                sleep(POLL).await;
            }
        };
        timeout(ELECTION_LIMIT, search)
            .await
            .expect("no leader was elected")
    }

    /// Of the members that call themselves leader, the one of the highest term.
    async fn claimed_leader(&self) -> Option<usize> {
        let statuses = (0..self.len()).map(|index| self.status(index));
        let statuses = futures::future::join_all(statuses).await;
        let claims = statuses.iter().enumerate().filter_map(|(index, status)| {
            let status = status.as_ref()?;
            let own = status.header.as_ref()?.member_id;
            (status.leader == own).then_some((status.raft_term, index))
        });
        claims.max().map(|(_, index)| index)
    }

    /// Some member that does not lead.
    pub async fn follower(&self) -> usize {
        (self.leader().await + 1) % self.len()
    }

    pub async fn member_id(&self, index: usize) -> u64 {
        let status = self.client(index).status(StatusRequest {}).await.unwrap();
        status.header.unwrap().member_id
    }

    /// Waits until all members have applied the same revision as the first one's linearizable read.
    pub async fn converge(&self) {
        let revision = self.client(0).revision().await;
        for index in 0..self.len() {
            let mut probe = super::point("revision-probe");
            probe.serializable = true;
            let client = self.client(index);
            while client
                .range(probe.clone())
                .await
                .unwrap()
                .header
                .unwrap()
                .revision
                < revision
            {
                sleep(POLL).await;
            }
        }
    }
}

impl Index<usize> for Cluster {
    type Output = Server;

    fn index(&self, index: usize) -> &Server {
        &self.members[index]
    }
}

impl IndexMut<usize> for Cluster {
    fn index_mut(&mut self, index: usize) -> &mut Server {
        &mut self.members[index]
    }
}

fn initial_cluster(members: &[Server]) -> String {
    let entry = |member: &Server| format!("{}={}", member.name(), member.peer_url());
    members.iter().map(entry).collect::<Vec<_>>().join(",")
}
