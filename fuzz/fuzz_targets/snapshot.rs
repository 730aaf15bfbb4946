//! A snapshot that a peer offers and sends.
#![no_main]

use holdfast_fuzz::SCRATCH;

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast::fuzzing::snapshot(data, &SCRATCH));
