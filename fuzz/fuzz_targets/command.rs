//! Replicated commands, evaluated against a small store.
#![no_main]

use std::sync::LazyLock;

use holdfast::fuzzing::CommandCheck;
use holdfast_fuzz::SCRATCH;

static CHECK: LazyLock<CommandCheck> =
    LazyLock::new(|| CommandCheck::open(&SCRATCH.join("command")));

libfuzzer_sys::fuzz_target!(|data: &[u8]| CHECK.run(data));
