//! HTTP/2 frames of clients.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast::fuzzing::frames(data));
