//! Stored objects that a version is spliced into.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast::fuzzing::kube_stored(data));
