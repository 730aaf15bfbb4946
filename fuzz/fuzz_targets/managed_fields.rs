//! Owners of fields, as objects and clients hold them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast::fuzzing::managed_fields(data));
