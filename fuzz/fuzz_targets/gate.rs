//! What a request is about, who makes it, and what they ask to be told: paths, credentials, reviews, roles.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast::fuzzing::gate(data));
