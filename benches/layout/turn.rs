//! One turn: one layout, in a process of its own, through writes, reads, a cold start and compaction.

use std::{path::Path, sync::Arc, thread, time::Duration};

use holdfast::base::{
    clock,
    ids::Revision,
    kv::{KvMeta, encode_body},
};
use rocksdb::WriteBatch;

use crate::{
    Settings,
    layouts::{Answer, History, Layout, List, Name, Result, Write},
    load::{Change, LEASE_PREFIX, Load, POD_PREFIX, Rng, next_meta},
    meter::{self, Reads, micros, quantile},
};

/// Changes made at once by the load, outside the measured time.
const CHUNK: usize = 2_048;
/// Keys in a list.
const LIMIT: usize = 500;
/// Changes between the head and a page read at a revision of about a second ago.
const SECOND: i64 = 300;
const MIB: f64 = 1_048_576.0;
/// Reports whose names begin so must not differ between layouts.
pub(crate) const CHECK: &str = "check: ";

/// Takes a layout through its turn and hands every figure to `report`.
pub(crate) fn run(
    name: Name,
    settings: &Settings,
    directory: &Path,
    report: &mut dyn FnMut(&str, f64),
) -> Result<()> {
    let layout = name.open(directory, &settings.tuning)?;
    let load = Load::new(settings.keys, settings.values);
    let keys_loaded = load.keys();
    let background = Duration::ZERO;
    let mut turn = Turn {
        layout,
        load,
        keys_loaded,
        revision: 1,
        background,
        settings,
        sink: report,
    };
    turn.write()?;
    turn.warm_reads()?;
    turn.memory()?;
    let mut turn = turn.reopen(name)?;
    turn.cold_reads()?;
    turn.compaction()
}

struct Turn<'a> {
    layout: Arc<dyn Layout>,
    load: Load,
    /// Keys created before the overwrites.
    keys_loaded: usize,
    /// The revision of the last change.
    revision: i64,
    /// Average background CPU time a put.
    background: Duration,
    settings: &'a Settings,
    sink: &'a mut dyn FnMut(&str, f64),
}

/// What a run of puts cost.
#[derive(Default)]
struct Puts {
    count: usize,
    read: Duration,
    write: Duration,
    walls: Vec<Duration>,
}

/// Where the process stood before some work.
struct Start {
    process: Duration,
    thread: Duration,
    written: u64,
}

impl Start {
    fn now() -> Result<Self> {
        let written = meter::bytes_written()?;
        Ok(Self {
            process: meter::process_cpu(),
            thread: meter::thread_cpu(),
            written,
        })
    }

    /// CPU time that other threads than this one have spent since.
    fn background(&self) -> Duration {
        (meter::process_cpu() - self.process).saturating_sub(meter::thread_cpu() - self.thread)
    }

    fn bytes(&self) -> Result<f64> {
        Ok((meter::bytes_written()? - self.written) as f64)
    }
}

impl Turn<'_> {
    /// Creates all keys, then overwrites in batches of 64, 1 and 256. Flushes and compactions come in
    /// lumps, so their cost is spread over all puts and not told apart by batch.
    fn write(&mut self) -> Result<()> {
        let start = Start::now()?;
        self.puts(self.keys_loaded, 256)?;
        let writes = self.settings.writes;
        let runs = [(64, writes / 2), (1, writes / 4), (256, writes / 4)];
        let runs = runs.map(|(batch, count)| self.puts(count, batch).map(|puts| (batch, puts)));
        self.layout.store().settle()?;
        self.background = start.background() / self.changes() as u32;
        for run in runs {
            let (batch, puts) = run?;
            self.report_puts(batch, puts);
        }
        self.report(
            "put: background CPU us (flush, compaction)",
            micros(self.background, 1),
        );
        self.report(
            "bytes a put: key and value",
            self.load.bytes as f64 / self.changes(),
        );
        self.report("bytes a put: written", start.bytes()? / self.changes());
        self.report_disk("bytes a put: on disk before compaction")
    }

    fn report(&mut self, figure: &str, value: f64) {
        (self.sink)(figure, value);
    }

    fn report_puts(&mut self, batch: usize, mut puts: Puts) {
        let (read, write) = (
            micros(puts.read, puts.count),
            micros(puts.write, puts.count),
        );
        let background = micros(self.background, 1);
        self.report(
            &format!("put, batch {batch}: CPU us, all"),
            read + write + background,
        );
        self.report(
            &format!("put, batch {batch}: CPU us to read what it replaces"),
            read,
        );
        self.report(&format!("put, batch {batch}: CPU us to write"), write);
        self.report(
            &format!("put, batch {batch}: wall us a batch, p50"),
            quantile(&mut puts.walls, 0.5),
        );
        self.report(
            &format!("put, batch {batch}: wall us a batch, p99"),
            quantile(&mut puts.walls, 0.99),
        );
    }

    fn report_disk(&mut self, name: &str) -> Result<()> {
        let bytes = meter::disk_bytes(self.layout.store().directory())?;
        let changes = self.changes();
        self.report(name, bytes as f64 / changes);
        Ok(())
    }

    /// Applies changes in batches; the load's own work is left out of the cost.
    fn puts(&mut self, count: usize, batch: usize) -> Result<Puts> {
        let mut puts = Puts {
            count,
            ..Puts::default()
        };
        let mut left = count;
        while left > 0 {
            let chunk = self.load.take(left.min(CHUNK));
            left -= chunk.len();
            for changes in chunk.chunks(batch) {
                self.apply(changes, &mut puts)?;
            }
        }
        Ok(puts)
    }

    fn apply(&mut self, changes: &[Change], puts: &mut Puts) -> Result<()> {
        let (wall, start) = (clock::now(), meter::thread_cpu());
        let mut writes: Vec<Write<'_>> = (self.revision + 1..)
            .zip(changes)
            .map(|(revision, change)| Write {
                revision,
                key: &change.key,
                value: change.value.as_deref(),
            })
            .collect();
        // Neighbours in key order share the path to their place in the memtable and their block.
        writes.sort_unstable_by_key(|write| write.key);
        let previous = self.layout.previous(&writes)?;
        let read = meter::thread_cpu();
        let mut batch = WriteBatch::default();
        let mut body = Vec::new();
        for (write, previous) in writes.iter().zip(&previous) {
            body.clear();
            match write.value {
                Some(value) => {
                    encode_body(&mut body, &next_meta(&previous.meta, write.revision), value);
                }
                None => encode_body(&mut body, &tombstone(write.revision), &[]),
            }
            self.layout.record(&mut batch, write, previous, &body)?;
        }
        self.layout.store().write(batch)?;
        puts.read += read - start;
        puts.write += meter::thread_cpu() - read;
        puts.walls.push(wall.elapsed());
        self.revision += changes.len() as i64;
        Ok(())
    }

    /// Reads with every block in the cache.
    fn warm_reads(&mut self) -> Result<()> {
        let middle = self.middle();
        self.verify("before compaction", middle)?;
        let gets = self.settings.gets;
        self.gets("get, cached", gets)?;
        self.lists("list 500 pods, latest", POD_PREFIX, None, 40)?;
        self.lists("list 500 leases, latest", LEASE_PREFIX, None, 10)?;
        self.lists(
            "list 500 pods, 1 s ago",
            POD_PREFIX,
            Some(self.revision - SECOND),
            40,
        )?;
        self.lists("list 500 pods, 5 min ago", POD_PREFIX, Some(middle), 40)?;
        self.lists("list 500 leases, 5 min ago", LEASE_PREFIX, Some(middle), 10)?;
        self.catch_up("history, all with prev_kv", b"", true)?;
        self.catch_up("history, all without prev_kv", b"", false)?;
        self.catch_up(
            "history, 1 namespace of pods with prev_kv",
            b"/registry/pods/team-07",
            true,
        )
    }

    fn gets(&mut self, name: &str, count: usize) -> Result<()> {
        let mut reads = Reads::default();
        let mut value = Vec::new();
        for key in self.load.live_keys(count, 11) {
            value.clear();
            if !reads.time(|| self.layout.get(&key, &mut value))? {
                return Err("a live key is missing".into());
            }
        }
        self.report(&format!("{name}: CPU us"), reads.cpu_micros());
        self.report(&format!("{name}: wall us, p50"), reads.wall_micros());
        Ok(())
    }

    fn lists(&mut self, name: &str, prefix: &[u8], at: Option<i64>, count: usize) -> Result<()> {
        let mut starts: Vec<_> = self.load.live_keys(self.load.keys(), 13);
        starts.retain(|key| key.starts_with(prefix));
        starts.sort_unstable();
        starts.dedup();
        let last = starts.len().saturating_sub(LIMIT + LIMIT / 4);
        let mut rng = Rng(17);
        let mut reads = Reads::default();
        for _ in 0..count {
            let from = starts[rng.below(last as u64) as usize].clone();
            let list = List {
                from,
                to: end_of(prefix),
                limit: LIMIT,
                at,
            };
            let mut answer = Answer::default();
            reads.time(|| self.layout.list(&list, &mut answer))?;
        }
        self.report(&format!("{name}: CPU us"), reads.cpu_micros());
        self.report(&format!("{name}: wall us, p50"), reads.wall_micros());
        Ok(())
    }

    /// A watcher reads a slice of history that begins in the middle of the window.
    fn catch_up(&mut self, name: &str, prefix: &[u8], with_previous: bool) -> Result<()> {
        let from = self.middle() + 1;
        let to = self.revision.min(from + self.settings.gets as i64);
        let history = History {
            from,
            to,
            prefix: prefix.to_vec(),
            with_previous,
        };
        self.layout.history(&history, &mut Answer::default())?;
        let mut reads = Reads::default();
        reads.time(|| self.layout.history(&history, &mut Answer::default()))?;
        let scanned = (to - from + 1) as f64;
        self.report(
            &format!("{name}: CPU us an event scanned"),
            reads.cpu_micros() / scanned,
        );
        Ok(())
    }

    fn memory(&mut self) -> Result<()> {
        let (now, peak) = meter::resident()?;
        self.report(
            "memory: resident MiB after writes and reads",
            now as f64 / MIB,
        );
        self.report("memory: resident MiB at its peak", peak as f64 / MIB);
        Ok(())
    }

    /// Closes the database, drops its files from the page cache and opens it again.
    fn reopen(self, name: Name) -> Result<Self> {
        let Self {
            layout,
            settings,
            sink,
            ..
        } = self;
        let directory = layout.store().directory().to_owned();
        drop(layout);
        meter::evict(&directory)?;
        let (cpu, wall) = (meter::process_cpu(), clock::now());
        let layout = name.open(&directory, &settings.tuning)?;
        sink("open: wall ms", wall.elapsed().as_secs_f64() * 1e3);
        sink(
            "open: CPU ms",
            (meter::process_cpu() - cpu).as_secs_f64() * 1e3,
        );
        Ok(Self {
            layout,
            settings,
            sink,
            ..self
        })
    }

    fn cold_reads(&mut self) -> Result<()> {
        let gets = self.settings.gets / 10;
        self.gets("get, cold", gets)
    }

    /// Compacts the older half: first only what needs no rewriting, then what gives all the space back;
    /// both while puts go on.
    fn compaction(&mut self) -> Result<()> {
        let middle = self.middle();
        self.puts_during("puts alone", |_| Ok(()))?;
        self.puts_during("compact", move |layout| layout.compact(middle))?;
        self.report_disk("bytes a put: on disk after compact")?;
        self.puts_during("reclaim", |layout| layout.reclaim())?;
        self.report_disk("bytes a put: on disk after reclaim")?;
        self.verify("after compaction", middle)
    }

    /// Puts in batches of 64 while another thread does `work`. Reports how the puts fared and what the work
    /// took beyond the background cost that so many puts have on average.
    fn puts_during(
        &mut self,
        name: &str,
        work: impl FnOnce(&dyn Layout) -> Result<()> + Send,
    ) -> Result<()> {
        let count = self.settings.writes / 8;
        let layout = Arc::clone(&self.layout);
        let start = Start::now()?;
        let (puts, took) = thread::scope(|scope| {
            let work = scope.spawn(|| {
                let (wall, cpu) = (clock::now(), meter::thread_cpu());
                work(&*layout).map(|()| (wall.elapsed(), meter::thread_cpu() - cpu))
            });
            let puts = self.puts(count, 64);
            (puts, work.join())
        });
        let (mut puts, took) = (puts?, took.map_err(|_| "the work panicked")?);
        self.layout.store().settle()?;
        let (wall, cpu) = took?;
        let beyond =
            start.background().as_secs_f64() - self.background.as_secs_f64() * count as f64;
        self.report(
            &format!("{name}: wall ms of the call"),
            wall.as_secs_f64() * 1e3,
        );
        self.report(
            &format!("{name}: CPU ms of the call's thread"),
            cpu.as_secs_f64() * 1e3,
        );
        self.report(
            &format!("{name}: background CPU ms beyond the average"),
            beyond * 1e3,
        );
        self.report(&format!("{name}: MiB written"), start.bytes()? / MIB);
        self.report(
            &format!("{name}: puts' wall us a batch of 64, p50"),
            quantile(&mut puts.walls, 0.5),
        );
        self.report(
            &format!("{name}: puts' wall us a batch of 64, p99"),
            quantile(&mut puts.walls, 0.99),
        );
        Ok(())
    }

    /// Reports checksums of what all layouts must answer alike, and what is lost.
    fn verify(&mut self, when: &str, middle: i64) -> Result<()> {
        for (name, at) in [("latest", None), ("5 min ago", Some(middle))] {
            let mut answer = Answer::checked();
            let list = List {
                from: b"/".to_vec(),
                to: b"0".to_vec(),
                limit: usize::MAX,
                at,
            };
            self.layout.list(&list, &mut answer)?;
            self.report_check(&format!("list {name} {when}"), &answer);
        }
        let mut answer = Answer::checked();
        let history = History {
            from: middle + 1,
            to: self.revision,
            prefix: Vec::new(),
            with_previous: true,
        };
        self.layout.history(&history, &mut answer)?;
        self.report_check(&format!("history {when}"), &answer);
        Ok(())
    }

    fn report_check(&mut self, name: &str, answer: &Answer) {
        self.report(&format!("unanswerable: {name}"), answer.lost as f64);
        if let Some(checksum) = answer.checksum.filter(|_| answer.lost == 0) {
            self.report(
                &format!(
                    "{CHECK}{name}, {} items, {} bytes",
                    answer.items, answer.sent
                ),
                f64::from(checksum),
            );
        }
    }

    /// The revision in the middle of the overwrites, "5 minutes ago".
    fn middle(&self) -> i64 {
        1 + (self.keys_loaded + self.settings.writes / 2) as i64
    }

    fn changes(&self) -> f64 {
        (self.keys_loaded + self.settings.writes) as f64
    }
}

fn tombstone(revision: i64) -> KvMeta {
    KvMeta {
        mod_revision: Revision(revision),
        ..KvMeta::default()
    }
}

/// The end of the range of keys under a prefix that ends in a slash.
fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}
