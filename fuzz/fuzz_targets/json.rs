//! Requests of clients as JSON, and answers to them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast::fuzzing::json(data));
