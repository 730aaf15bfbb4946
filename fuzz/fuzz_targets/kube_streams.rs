//! What kubelets and clients send of streams: frames of SPDY and WebSocket; and pages that are proxied.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast::fuzzing::kube_streams(data));
