//! Frames of a peer connection, and the handshake before them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast::fuzzing::peer(data));
