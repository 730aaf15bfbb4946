//! Clients that others wrote.

mod etcd_client;
mod etcdctl;
mod etcdctl_auth;
