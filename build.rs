//! Generates messages, server and client stubs of the wire protocols from `src/etcd/proto`.

use std::io::Result;

const PROTO_DIR: &str = "src/etcd/proto";
const PROTOS: [&str; 3] = [
    "src/etcd/proto/rpc.proto",
    "src/etcd/proto/lock.proto",
    "src/etcd/proto/election.proto",
];

fn main() -> Result<()> {
    tonic_prost_build::configure()
        .bytes(".")
        .codec_path("crate::etcd::codec::WireCodec")
        // These two are written by hand, so that stored bytes are sent as they are.
        .extern_path(".mvccpb.KeyValue", "crate::etcd::wire::KeyValue")
        .extern_path(
            ".etcdserverpb.WatchResponse",
            "crate::etcd::wire::WatchResponse",
        )
        .compile_protos(&PROTOS, &[PROTO_DIR])
}
