//! Recovery of the raft log from any segment files.
#![no_main]

use holdfast_fuzz::SCRATCH;

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast::fuzzing::log(data, &SCRATCH));
