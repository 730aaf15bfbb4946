//! A member to which peers say anything.
#![no_main]

use holdfast_fuzz::SCRATCH;

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast::fuzzing::protocol(data, &SCRATCH));
