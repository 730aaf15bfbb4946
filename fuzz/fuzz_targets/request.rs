//! Requests of clients, and what they turn into.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast::fuzzing::request(data));
