//! What the log and other members say of changes of the members.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast::fuzzing::members(data));
