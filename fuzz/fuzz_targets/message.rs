//! Commands of a log entry, and messages of peers.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast::fuzzing::message(data));
