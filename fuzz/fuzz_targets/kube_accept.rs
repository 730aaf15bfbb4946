//! Headers of Kubernetes clients that name media types.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast::fuzzing::kube_accept(data));
