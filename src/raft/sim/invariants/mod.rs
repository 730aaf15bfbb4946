//! What must hold, one file for each. A check gives an error as soon as something is seen to be wrong.

mod durability;
mod election_safety;
mod leader_completeness;
mod log_matching;
mod membership;
mod read_index;
mod same_order;

pub(super) use durability::Durability;
pub(super) use election_safety::ElectionSafety;
pub(super) use leader_completeness::LeaderCompleteness;
pub(super) use log_matching::check_log_matching;
pub(super) use membership::Membership;
pub(super) use read_index::ReadIndex;
pub(super) use same_order::SameOrder;
