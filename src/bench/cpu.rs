//! CPU time and memory of processes, from `/proc` (proc(5)).

use std::fs;
use std::time::Duration;

use super::BenchError;

/// Clock ticks per second in `/proc/PID/stat`; fixed at 100 for user space on Linux.
const TICKS_PER_SECOND: u64 = 100;

/// CPU time used so far, and memory held now.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    /// Of this process: the load generator.
    client: Duration,
    /// Of the server processes together.
    server: Duration,
    /// Resident memory of the server processes together, in bytes.
    pub(super) server_rss: u64,
}

/// CPU time used between two readings.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Used {
    pub(super) client: Duration,
    pub(super) server: Duration,
    pub(super) server_rss: u64,
}

impl Usage {
    pub(super) fn read(servers: &[u32]) -> Result<Self, BenchError> {
        let mut usage = Self {
            client: cpu_time(std::process::id())?,
            ..Self::default()
        };
        for &pid in servers {
            usage.server += cpu_time(pid)?;
            usage.server_rss += resident(pid)?;
        }
        Ok(usage)
    }

    pub(super) fn since(&self, earlier: &Self) -> Used {
        Used {
            client: self.client.saturating_sub(earlier.client),
            server: self.server.saturating_sub(earlier.server),
            server_rss: self.server_rss,
        }
    }
}

fn read(pid: u32, file: &str) -> Result<String, BenchError> {
    fs::read_to_string(format!("/proc/{pid}/{file}"))
        .map_err(|error| BenchError::Process { pid, error })
}

fn malformed(pid: u32) -> BenchError {
    let error = std::io::Error::from(std::io::ErrorKind::InvalidData);
    BenchError::Process { pid, error }
}

fn cpu_time(pid: u32) -> Result<Duration, BenchError> {
    let stat = read(pid, "stat")?;
    let ticks = cpu_ticks(&stat).ok_or_else(|| malformed(pid))?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

/// utime + stime: fields 14 and 15. The name in field 2 may hold spaces and parentheses, so fields are
/// counted from the last closing one.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn resident(pid: u32) -> Result<u64, BenchError> {
    let status = read(pid, "status")?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
        .map(|kib| kib * 1024)
        .ok_or_else(|| malformed(pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_after_the_name() {
        let stat = "42 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20";
        assert_eq!(cpu_ticks(stat), Some(200));
        assert_eq!(cpu_ticks("42 (x) S 1"), None);
    }

    #[test]
    fn this_process_can_be_read() {
        let usage = Usage::read(&[std::process::id()]).unwrap();
        assert!(usage.server_rss > 0);
    }
}
