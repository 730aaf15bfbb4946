//! What the operating system knows of this process, read from `/proc` when a scrape asks.
//!
//! What cannot be read is left out of the page; other systems have no `/proc` and none of these.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

/// Units of CPU time in `/proc`: a constant of the Linux interface (`USER_HZ`), not of the kernel's
/// configuration.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads `/proc` on each scrape.
#[derive(Debug)]
struct ProcessCollector;

/// What shows them on a page.
pub(crate) fn process_collector() -> Box<dyn Collector> {
    Box::new(ProcessCollector)
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, help, kind, value) in samples() {
            let sample = encoder.encode_descriptor(name, help, None, kind)?;
            // Counters too: see `Count`.
            ConstGauge::new(value).encode(sample)?;
        }
        Ok(())
    }
}

/// File descriptors of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileDescriptors {
    /// How many are open.
    pub open: u64,
    /// How many may be open.
    pub limit: u64,
}

/// Counts this process's file descriptors; `None` where the system does not tell.
pub fn file_descriptors() -> Option<FileDescriptors> {
    Some(FileDescriptors {
        open: fs::read_dir("/proc/self/fd").ok()?.count() as u64,
        limit: open_files_limit(&fs::read_to_string("/proc/self/limits").ok()?)?,
    })
}

type Sample = (&'static str, &'static str, MetricType, f64);

fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    if let Some(fds) = file_descriptors() {
        let (open, limit) = (fds.open as f64, fds.limit as f64);
        samples.extend([
            (
                "os_fd_used",
                "Open file descriptors",
                MetricType::Gauge,
                open,
            ),
            (
                "os_fd_limit",
                "File descriptor limit",
                MetricType::Gauge,
                limit,
            ),
            (
                "process_open_fds",
                "Open file descriptors",
                MetricType::Gauge,
                open,
            ),
            (
                "process_max_fds",
                "File descriptor limit",
                MetricType::Gauge,
                limit,
            ),
        ]);
    }
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        samples.extend(memory(&status));
    }
    if let (Ok(stat), Ok(system)) = (
        fs::read_to_string("/proc/self/stat"),
        fs::read_to_string("/proc/stat"),
    ) {
        samples.extend(times(&stat, &system).into_iter().flatten());
    }
    samples
}

fn open_files_limit(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn memory(status: &str) -> impl Iterator<Item = Sample> + '_ {
    [
        ("VmRSS:", "process_resident_memory_bytes", "Resident memory"),
        ("VmSize:", "process_virtual_memory_bytes", "Virtual memory"),
    ]
    .into_iter()
    .filter_map(|(field, name, help)| {
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
        Some((name, help, MetricType::Gauge, kib * 1024.0))
    })
}

fn times(stat: &str, system: &str) -> Option<[Sample; 2]> {
    // The second field is the program's name in parentheses and may hold anything; numbers follow it.
    let (_, numbers) = stat.rsplit_once(')')?;
    let ticks = |field: usize| -> Option<f64> {
        // Fields are counted from 1 in proc(5), and the third is the first one after the name.
        numbers.split_whitespace().nth(field - 3)?.parse().ok()
    };
    let boot = system
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?;
    let boot: f64 = boot.trim().parse().ok()?;
    Some([
        (
            "process_cpu_seconds_total",
            "CPU time used",
            MetricType::Counter,
            (ticks(14)? + ticks(15)?) / TICKS_PER_SECOND,
        ),
        (
            "process_start_time_seconds",
            "Start time since the Unix epoch",
            MetricType::Gauge,
            boot + ticks(22)? / TICKS_PER_SECOND,
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_memory_are_read_from_their_lines() {
        let limits =
            "Limit   Soft Limit  Hard Limit  Units\nMax open files   1024   4096   files\n";
        assert_eq!(open_files_limit(limits), Some(1024));
        assert_eq!(open_files_limit("Max open files unlimited"), None);
        let status = "Name:\tx\nVmSize:\t  2048 kB\nVmRSS:\t  10 kB\n";
        let values: Vec<f64> = memory(status).map(|sample| sample.3).collect();
        assert_eq!(values, [10.0 * 1024.0, 2048.0 * 1024.0]);
    }

    #[test]
    fn times_survive_a_program_name_with_spaces_and_parentheses() {
        let stat = "7 (a) b (c) S 1 1 1 0 -1 0 0 0 0 0 150 50 0 0 20 0 1 0 300 0 0";
        let [cpu, start] = times(stat, "cpu 1 2\nbtime 1000\n").unwrap();
        assert_eq!(cpu.3, 2.0);
        assert_eq!(start.3, 1003.0);
        assert!(times("garbage", "btime 1\n").is_none());
    }

    #[test]
    fn this_process_has_descriptors_memory_and_an_age() {
        let names: Vec<&str> = samples().iter().map(|sample| sample.0).collect();
        for name in [
            "os_fd_used",
            "process_max_fds",
            "process_resident_memory_bytes",
            "process_cpu_seconds_total",
            "process_start_time_seconds",
        ] {
            assert!(names.contains(&name), "{name}");
        }
    }
}
