//! Archives that are restored from.
#![no_main]

use holdfast_fuzz::SCRATCH;

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast::fuzzing::backup(data, &SCRATCH));
