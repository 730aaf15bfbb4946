//! Generates messages, server and client stubs of the wire protocols from `src/etcd/proto`, a description
//! of all messages for those who handle them by name, and what Kubernetes' types are for.

#[path = "build/kube_descriptions.rs"]
mod kube_descriptions;

use std::io::Result;
use std::path::PathBuf;

const PROTO_DIR: &str = "src/etcd/proto";
const PROTOS: [&str; 3] = [
    "src/etcd/proto/rpc.proto",
    "src/etcd/proto/lock.proto",
    "src/etcd/proto/election.proto",
];

fn main() -> Result<()> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    kube_descriptions::write(&out.join("kube-descriptions.txt"))?;
    tonic_prost_build::configure()
        // The JSON gateway reads names and kinds of fields from it.
        .file_descriptor_set_path(out.join("descriptors.bin"))
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
