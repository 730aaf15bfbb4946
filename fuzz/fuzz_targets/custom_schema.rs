//! Schemas of custom resources, and objects of them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast::fuzzing::custom_schema(data));
