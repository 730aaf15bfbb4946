//! How the system schedules this process's threads: for one request's latency, or for the throughput of many.
//!
//! A thread that is woken usually pushes aside the one that runs. With few requests that is what carries
//! each one from thread to thread without delay. With many it cuts all batching short: the consensus thread
//! takes the first command the moment it arrives, and a round that could have carried a hundred carries
//! twenty, with the same messages, syncs and wake-ups. Linux's policy for batch work (`sched(7)`,
//! `SCHED_BATCH`) is the usual one but for that: whoever runs may finish. It has an effect only while the
//! processors are short, and a process may choose it without a privilege. So the threads have it for as long
//! as there are many requests at a time, and not otherwise: beside other busy processes it would add a time
//! slice to every step of a lone request.
//!
//! `docs/decisions/0007-scheduling.md` has the figures.

use std::io;
use std::time::Duration;

/// Time between looks at the load.
const INTERVAL: Duration = Duration::from_millis(100);

/// Requests at a time from which on the threads work for throughput.
const MANY: usize = 12;

/// Requests at a time below which they may work for latency again.
const FEW: usize = 4;

/// Looks in a row at few requests before they do: bursts follow each other.
const CALM: u32 = 10;

/// What the threads work for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aim {
    Latency,
    Throughput,
}

impl Aim {
    const fn policy(self) -> libc::c_int {
        match self {
            Self::Latency => libc::SCHED_OTHER,
            Self::Throughput => libc::SCHED_BATCH,
        }
    }
}

/// Follows the load of a member, `load` being the number of requests that are under way when it is asked.
/// Ends only if the system does not let this process choose.
pub(super) async fn follow(load: impl Fn() -> usize) {
    let mut follower = Follower::default();
    loop {
        tokio::time::sleep(INTERVAL).await;
        let Some(aim) = follower.see(load()) else {
            continue;
        };
        tracing::debug!(?aim, "changing the scheduling of all threads");
        if let Err(error) = set_for_all_threads(aim) {
            tracing::warn!(%error, "cannot change the scheduling of threads; many requests at a time take more CPU");
            return;
        }
    }
}

#[derive(Debug, Default)]
struct Follower {
    throughput: bool,
    /// Looks in a row at few requests.
    calm: u32,
}

impl Follower {
    /// Takes a look at the load; the new aim, if it changes.
    fn see(&mut self, load: usize) -> Option<Aim> {
        self.calm = if load < FEW { self.calm + 1 } else { 0 };
        let throughput = load >= MANY || (self.throughput && self.calm < CALM);
        if throughput == self.throughput {
            return None;
        }
        self.throughput = throughput;
        Some(if throughput {
            Aim::Throughput
        } else {
            Aim::Latency
        })
    }
}

/// Sets the policy of every thread that this process has; threads begun later have their maker's.
fn set_for_all_threads(aim: Aim) -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/task")? {
        let name = entry?.file_name();
        let Some(thread) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        match set(thread, aim) {
            // It has ended since.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            outcome => outcome?,
        }
    }
    Ok(())
}

#[allow(unsafe_code, reason = "no crate in the tree wraps this call")]
fn set(thread: libc::pid_t, aim: Aim) -> io::Result<()> {
    let none = libc::sched_param { sched_priority: 0 };
    // SAFETY: the call reads the struct that the pointer leads to, which lives until it returns, and keeps
    // nothing. A thread id that is no longer in use is an error, not undefined behaviour.
    let failed = unsafe { libc::sched_setscheduler(thread, aim.policy(), &raw const none) } != 0;
    if failed {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_requests_change_the_aim_at_once_and_few_only_after_a_while() {
        let mut follower = Follower::default();
        assert_eq!(follower.see(MANY - 1), None);
        assert_eq!(follower.see(MANY), Some(Aim::Throughput));
        for _ in 1..CALM {
            assert_eq!(follower.see(0), None);
        }
        assert_eq!(follower.see(FEW), None);
        for _ in 1..CALM {
            assert_eq!(follower.see(FEW - 1), None);
        }
        assert_eq!(follower.see(FEW - 1), Some(Aim::Latency));
        assert_eq!(follower.see(0), None);
    }

    /// The policy of the thread that asks, as the system tells it (field 41 of `proc_pid_stat(5)`).
    fn policy() -> libc::c_int {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let fields = stat.rsplit_once(") ").unwrap().1;
        fields.split(' ').nth(38).unwrap().parse().unwrap()
    }

    #[test]
    fn all_threads_change_and_change_back() {
        let (ask, asked) = std::sync::mpsc::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let other = std::thread::spawn(move || {
            while asked.recv().is_ok() {
                tell.send(policy()).unwrap();
            }
        });
        for aim in [Aim::Throughput, Aim::Latency] {
            set_for_all_threads(aim).unwrap();
            ask.send(()).unwrap();
            assert_eq!([policy(), told.recv().unwrap()], [aim.policy(); 2]);
        }
        drop(ask);
        other.join().unwrap();
    }

    #[test]
    fn a_thread_that_is_not_there_is_an_error() {
        let error = set(libc::pid_t::MAX, Aim::Throughput).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
    }
}
