//! Bodies of Kubernetes clients: JSON, YAML and protobuf.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast::fuzzing::kube_body(data));
