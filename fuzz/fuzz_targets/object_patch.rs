//! Patches of Kubernetes objects.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast::fuzzing::object_patch(data));
