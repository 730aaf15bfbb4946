//! Whole clusters in one thread, with a simulated clock, network and disk, all drawn from one seed.
//!
//! The members are real: the core, the log and its writer are the code that runs in production; only
//! the threads around them are replaced. A run goes through a phase of trouble, then all faults are
//! mended and the cluster must come to rest with every member in the same state. The invariants, one
//! file each, are checked as things happen. A failure names its seed; the same seed fails again.
//!
//! `HOLDFAST_SIM_SEEDS` sets how many seeds are run, `HOLDFAST_SIM_FIRST` where they begin.

mod chaos;
mod clients;
mod drive;
mod invariants;
mod machine;
mod member;
mod network;
mod world;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use world::{Faults, Report, World};

/// Seeds run in CI; chosen to take well under a minute on one core.
const SEEDS: u64 = 400;

/// The seeds to run.
fn seeds(default: u64) -> Range<u64> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let first = number("HOLDFAST_SIM_FIRST").unwrap_or(0);
    first..first + number("HOLDFAST_SIM_SEEDS").unwrap_or(default)
}

/// Runs one seed. An error tells what went wrong.
fn run(seed: u64, faults: Faults) -> Result<Report, String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| World::new(seed, faults).run()));
    outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

#[test]
fn clusters_keep_their_promises_through_any_trouble() {
    let mut total = Report::default();
    for seed in seeds(SEEDS) {
        match run(seed, Faults::default()) {
            Ok(report) => total += report,
            Err(violation) => panic!("seed {seed}: {violation}"),
        }
    }
    eprintln!("{total:?}");
    // A simulation in which nothing happens proves nothing.
    assert!(total.acknowledged > 0 && total.reads > 0 && total.elections > 0);
    assert!(total.crashes > 0 && total.snapshots > 0 && total.changes > 0);
    assert!(total.void_changes > 0 && total.promotions > 0);
}

/// The same seed must take the same course, or a failure could not be looked at again.
#[test]
fn a_seed_repeats_itself() {
    for seed in 0..5 {
        assert_eq!(run(seed, Faults::default()), run(seed, Faults::default()));
    }
}

/// Looks for a seed in which a deliberate fault is noticed.
fn assert_noticed(fault: &str, faults: Faults, within: u64) {
    let violation = (0..within).find_map(|seed| {
        let violation = run(seed, faults).err()?;
        Some(format!("seed {seed}: {violation}"))
    });
    match violation {
        Some(violation) => eprintln!("{fault}: {violation}"),
        None => panic!("{fault}: not noticed within {within} seeds"),
    }
}

#[test]
fn disks_that_lie_about_syncs_are_noticed() {
    let faults = Faults {
        lying_disks: true,
        ..Faults::default()
    };
    assert_noticed("lying disks", faults, 20);
}

#[test]
fn acknowledging_before_the_sync_is_noticed() {
    let faults = Faults {
        early_acknowledgements: true,
        ..Faults::default()
    };
    assert_noticed("early acknowledgements", faults, 50);
}

#[test]
fn using_a_read_context_twice_is_noticed() {
    let faults = Faults {
        reused_contexts: true,
        ..Faults::default()
    };
    assert_noticed("reused contexts", faults, 100);
}
