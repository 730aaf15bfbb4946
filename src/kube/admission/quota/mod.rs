//! ResourceQuota: what a namespace may have and use, in all.
//!
//! A quota's status says how much is used. Whoever writes an object adds what it will use before it writes, by a
//! conditional write of the quota, so that two writers cannot both have the last of it. What is not used after
//! all (the write fails, the object goes) is given back by the quota controller, which counts anew.

mod charge;
mod decide;
mod devices;
mod list;
mod measure;
mod pod;
mod scope;
mod stored;
#[cfg(test)]
mod tests;

pub(super) use charge::Turns;
pub(super) use pod::{is_asked_extended, is_best_effort, requests as pod_requests};
pub(super) use stored::check;

use parking_lot::Mutex;

pub(super) const NAME: &str = "ResourceQuota";

/// What quotas have been charged for one request: it may be judged several times, and is charged once.
#[derive(Debug, Default)]
pub struct Charged(Mutex<decide::Paid>);
