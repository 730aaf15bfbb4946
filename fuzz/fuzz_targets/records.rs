//! Keys and values of the store.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast::fuzzing::records(data));
