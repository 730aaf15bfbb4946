//! The settings of the protocol, and why raft-rs's own defaults are not used.

use raft::{Config, ReadOnlyOption};

/// Bytes of entries in one append message; raft-rs's default of zero means one entry per message.
pub(super) const MAX_APPEND: u64 = 1 << 20;
/// Append messages under way to one follower. More than the queues on the way can hold would be dropped
/// and sent over and over, without the follower getting on any faster.
const MAX_INFLIGHT: usize = 32;
/// Bytes of entries under way to one follower. The queues between leader and follower are larger.
pub(crate) const MAX_UNDER_WAY: usize = MAX_INFLIGHT * MAX_APPEND as usize;
/// Bytes of proposals that are not committed yet; unlimited by default.
pub(super) const MAX_UNCOMMITTED: usize = 64 << 20;
/// Bytes of committed entries that are handed over in one go; unlimited by default.
pub(super) const MAX_COMMITTED: u64 = 4 << 20;

/// What the core needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// This member; not zero.
    pub(crate) id: u64,
    /// Ticks without a leader before a member stands for election; up to twice as many by chance.
    pub(crate) election_ticks: usize,
    /// What the chance is drawn from.
    pub(crate) seed: u64,
    /// Different at every start of this member.
    pub(crate) boot_epoch: u64,
    /// Entries below the flushed index that are kept for followers that lag a little.
    pub(crate) catchup_entries: u64,
    /// Bytes that these may have at most: a start reads all of the log.
    pub(crate) catchup_bytes: u64,
    /// Bytes of log that a follower that lags far may hold back from being cut.
    pub(crate) max_log_bytes: u64,
}

impl Settings {
    /// For a member under test: little is kept of its log.
    #[cfg(any(test, fuzzing))]
    pub(super) const fn small(id: u64) -> Self {
        Self {
            id,
            election_ticks: 10,
            seed: 1,
            boot_epoch: 1,
            catchup_entries: 2,
            catchup_bytes: 1 << 20,
            max_log_bytes: 1 << 20,
        }
    }

    pub(super) fn to_raft(&self, applied: u64) -> Config {
        Config {
            id: self.id,
            election_tick: self.election_ticks,
            heartbeat_tick: 1,
            applied,
            max_size_per_msg: MAX_APPEND,
            max_inflight_msgs: MAX_INFLIGHT,
            max_uncommitted_size: MAX_UNCOMMITTED as u64,
            max_committed_size_per_ready: MAX_COMMITTED,
            check_quorum: true,
            pre_vote: true,
            // See `appends`, which does it in its place.
            batch_append: false,
            // The other mode checks no clock at all.
            read_only_option: ReadOnlyOption::Safe,
            ..Config::default()
        }
    }

    /// The ticks to wait before the next election. A function of what happened so far, where raft-rs
    /// throws dice: a simulation repeats itself, and two members still seldom stand at the same time.
    pub(super) fn election_timeout(&self, term: u64, elections: u64) -> usize {
        let mut mix = self.seed ^ self.id.rotate_left(32);
        for part in [self.id, term, elections] {
            mix = splitmix(mix ^ part);
        }
        self.election_ticks + (mix % self.election_ticks as u64) as usize
    }
}

/// One round of the splitmix64 generator (Steele, Lea, Flood 2014).
const fn splitmix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_vary_between_one_and_two_election_times() {
        let settings = |id| Settings {
            id,
            election_ticks: 10,
            seed: 42,
            boot_epoch: 0,
            catchup_entries: 0,
            catchup_bytes: 0,
            max_log_bytes: 0,
        };
        let mut seen = std::collections::BTreeSet::new();
        for term in 0..200 {
            let timeout = settings(1).election_timeout(term, 0);
            assert_eq!(timeout, settings(1).election_timeout(term, 0));
            seen.insert(timeout);
        }
        assert_eq!(seen, (10..20).collect());
        let differ = (0..100)
            .filter(|&term| {
                settings(1).election_timeout(term, 0) != settings(2).election_timeout(term, 0)
            })
            .count();
        assert!(differ > 70);
        assert!(settings(1).to_raft(0).validate().is_ok());
    }
}
