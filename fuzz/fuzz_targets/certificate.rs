//! Certificates, and lists of revoked ones.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast::fuzzing::certificate(data));
