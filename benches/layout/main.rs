//! Which layout keeps current values and history cheapest in RocksDB (docs/decisions/0001-storage-layout.md).
//!
//! Four layouts take turns under the same Kubernetes-shaped load, each turn in a process of its own, so that
//! CPU time, bytes and memory are that layout's alone. Their answers are compared by checksum: a layout that
//! is fast because it is wrong fails the run. It prints a table of medians with the extremes beside them.
//!
//! `cargo bench --bench layout` takes a few minutes. Environment: `LAYOUT_KEYS`, `LAYOUT_WRITES`,
//! `LAYOUT_ROUNDS`, `LAYOUT_ONLY` (such as `a,b`), `LAYOUT_BIG=1` (values of 64 to 512 KiB),
//! `LAYOUT_BLOBS` (values from this size on go to blob files), `LAYOUT_ZSTD=1` (history in zstd),
//! `LAYOUT_RANGE_DELETE=1` (delete the ragged edge of history, too), `LAYOUT_BUFFERS_MIB`,
//! `LAYOUT_LEVEL0` (files in key order that start a compaction), `LAYOUT_CACHE_MIB`. Without the
//! `--bench` that `cargo bench` gives, it runs once, small, to see that it still works.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a table on the terminal is the result"
)]
#![allow(
    clippy::indexing_slicing,
    reason = "the load is made here; an index out of it should stop the run"
)]

mod layouts;
mod load;
mod meter;
mod table;
mod turn;

use std::{
    env,
    process::{Command, Stdio},
    str::FromStr,
};

use layouts::{Name, Result, Tuning};
use load::Values;
use table::Table;

/// Set for a child: the layout whose turn it is.
const TURN: &str = "LAYOUT_TURN";

/// What `cargo bench` says to a bench, and `cargo test` does not.
const MEASURE: &str = "--bench";

/// What one turn does.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Keys at the start.
    keys: usize,
    /// Changes after the keys are there.
    writes: usize,
    /// Gets that are measured; also the length of a history scan.
    gets: usize,
    values: Values,
    tuning: Tuning,
}

impl Settings {
    fn from_env(small: bool) -> Result<Self> {
        let big = number("LAYOUT_BIG", 0)? != 0;
        let (keys, writes) = match (small, big) {
            (true, false) => (3_000, 8_000),
            (true, true) => (600, 600),
            (false, false) => (50_000, 160_000),
            (false, true) => (800, 4_000),
        };
        let writes = number("LAYOUT_WRITES", writes)?;
        Ok(Self {
            keys: number("LAYOUT_KEYS", keys)?,
            writes,
            gets: (writes / 8).min(20_000),
            values: if big { Values::Big } else { Values::Cluster },
            tuning: Tuning {
                write_buffers: number::<usize>("LAYOUT_BUFFERS_MIB", if big { 64 } else { 16 })?
                    << 20,
                level0_files: number("LAYOUT_LEVEL0", 12)?,
                cache: number::<usize>("LAYOUT_CACHE_MIB", 512)? << 20,
                blobs_from: Some(number("LAYOUT_BLOBS", 0)?).filter(|&size| size > 0),
                zstd_history: number("LAYOUT_ZSTD", 0)? != 0,
                range_delete: number("LAYOUT_RANGE_DELETE", 0)? != 0,
            },
        })
    }
}

fn number<T: FromStr>(name: &str, default: T) -> Result<T> {
    match env::var(name) {
        Ok(text) => text
            .parse()
            .map_err(|_| format!("{name}={text} is not a number").into()),
        Err(_) => Ok(default),
    }
}

fn main() -> Result<()> {
    let small = !env::args().any(|argument| argument == MEASURE);
    match env::var(TURN) {
        Ok(name) => take_turn(&name, small),
        Err(_) => compare(small),
    }
}

/// The child: one turn, a line for each figure.
fn take_turn(name: &str, small: bool) -> Result<()> {
    let name = Name::parse(name).ok_or("no such layout")?;
    let directory = tempfile::tempdir()?;
    turn::run(
        name,
        &Settings::from_env(small)?,
        directory.path(),
        &mut |figure, value| {
            println!("{figure}\t{value}");
        },
    )
}

/// The parent: every layout in turn, round after round, then the table.
fn compare(small: bool) -> Result<()> {
    let rounds = number("LAYOUT_ROUNDS", if small { 1 } else { 3 })?;
    let only = env::var("LAYOUT_ONLY").unwrap_or_default();
    let mut names = Name::ALL.to_vec();
    names.retain(|name| only.is_empty() || only.split(',').any(|one| one == name.to_string()));
    let mut table = Table::new(&names);
    for round in 1..=rounds {
        for (column, name) in names.iter().enumerate() {
            eprintln!("round {round} of {rounds}: layout {name}");
            table.add(column, &child(*name, small)?)?;
        }
    }
    table.check()?;
    println!("{:?}\n{table}", Settings::from_env(small)?);
    Ok(())
}

fn child(name: Name, small: bool) -> Result<String> {
    let mut command = Command::new(env::current_exe()?);
    command.env(TURN, name.to_string()).stderr(Stdio::inherit());
    if !small {
        command.arg(MEASURE);
    }
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("the turn of layout {name} failed: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
