//! What an operation costs: CPU time of the calling thread and of the whole process, wall time, bytes
//! written, memory.
//!
//! CPU time is the main figure. It counts flushes and compactions, which run on RocksDB's own threads,
//! and it bears a busy machine better than wall time does.

use std::{fs, io, path::Path, time::Duration};

use holdfast::base::clock;
use rustix::{
    fs::{Advice, fadvise},
    time::{ClockId, clock_gettime},
};

/// CPU time of the calling thread so far.
pub(crate) fn thread_cpu() -> Duration {
    cpu(ClockId::ThreadCPUTime)
}

/// CPU time of the process so far.
pub(crate) fn process_cpu() -> Duration {
    cpu(ClockId::ProcessCPUTime)
}

fn cpu(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// CPU and wall time of repeated reads on the calling thread.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    cpu: Duration,
    walls: Vec<Duration>,
}

impl Reads {
    /// Runs and measures one read.
    pub(crate) fn time<T>(&mut self, read: impl FnOnce() -> T) -> T {
        let (cpu, wall) = (thread_cpu(), clock::now());
        let result = read();
        self.walls.push(wall.elapsed());
        self.cpu += thread_cpu() - cpu;
        result
    }

    /// Microseconds of CPU a read.
    pub(crate) fn cpu_micros(&self) -> f64 {
        micros(self.cpu, self.walls.len())
    }

    /// Median wall time in microseconds.
    pub(crate) fn wall_micros(&mut self) -> f64 {
        quantile(&mut self.walls, 0.5)
    }
}

/// The quantile of wall times, in microseconds.
pub(crate) fn quantile(walls: &mut [Duration], at: f64) -> f64 {
    walls.sort_unstable();
    let index = (walls.len() as f64 * at) as usize;
    walls
        .get(index.min(walls.len().saturating_sub(1)))
        .map_or(0.0, |wall| micros(*wall, 1))
}

/// Microseconds for each of `count`.
pub(crate) fn micros(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e6 / count.max(1) as f64
}

/// Bytes that this process has handed to write calls.
pub(crate) fn bytes_written() -> io::Result<u64> {
    number("/proc/self/io", "wchar:")
}

/// Resident memory now and at its highest, in bytes.
pub(crate) fn resident() -> io::Result<(u64, u64)> {
    let kib = |name| number("/proc/self/status", name);
    Ok((kib("VmRSS:")? << 10, kib("VmHWM:")? << 10))
}

fn number(file: &str, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let digits = line.and_then(|rest| rest.split_whitespace().next());
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| io::Error::other(format!("no {name} in {file}")))
}

/// Bytes of the table and blob files in a directory.
pub(crate) fn disk_bytes(directory: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        if path
            .extension()
            .is_some_and(|ext| ext == "sst" || ext == "blob")
        {
            sum += entry.metadata()?.len();
        }
    }
    Ok(sum)
}

/// Drops the files of a directory, and of nobody else, from the page cache.
pub(crate) fn evict(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let file = fs::File::open(entry?.path())?;
        if file.metadata()?.is_file() {
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}
