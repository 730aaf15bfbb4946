//! Clients that others wrote.

mod ctl;
mod etcd_client;
mod etcdctl;
mod etcdctl_auth;
mod etcdctl_checks;
mod etcdctl_members;
mod etcdctl_mirror;
mod etcdctl_sessions;
mod etcdctl_upkeep;
