//! What the fuzz targets run: one check for each kind of bytes that reach this program from outside, be it
//! a client, a peer, a disk or a command line.
//!
//! A check takes any bytes. Either they are refused, or what they decode to has the properties that its
//! users rely on, such as to encode to the same bytes again; a check that fails panics. Compiled with
//! `--cfg fuzzing`, and with the tests, which run every check on the inputs in `fuzz/seeds`; no part of the
//! program otherwise. The checks lie beside what they check, because that is private. `docs/fuzzing.md`
//! lists the targets.

pub use crate::base::frames::check as frames;
pub use crate::config::fuzzing::{command_line, config_file};
pub use crate::engine::fuzzing::{CommandCheck, backup, members, token};
#[cfg(fuzzing)]
pub use crate::etcd::fuzzing::operation;
pub use crate::etcd::fuzzing::{json, request};
pub use crate::kube::apply::fuzz_fields as managed_fields;
pub use crate::kube::authz::fuzzing::gate;
pub use crate::kube::cel::fuzzing::fuzz_cel as cel;
pub use crate::kube::custom::structural::fuzzing::custom_schema;
pub use crate::kube::object::fuzzing::{kube_accept, kube_body, kube_stored};
pub use crate::kube::patch::fuzz_patch as object_patch;
pub use crate::kube::select::fuzz_selector as selector;
pub use crate::kube::streams::fuzzing::kube_streams;
#[cfg(fuzzing)]
pub use crate::mvcc::fuzzing::{Step, Twins};
pub use crate::raft::fuzzing::{log, message, peer, protocol, snapshot};
pub use crate::storage::fuzzing::records;
pub use crate::tls::fuzzing::certificate;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Runs a check on every seed of its target.
    fn replay(target: &str, check: impl Fn(&[u8])) {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
        let mut count = 0;
        for seed in fs::read_dir(seeds.join(target)).expect("every target has seeds") {
            let path = seed.expect("the seeds are readable").path();
            // The last line of a failure's output names the input.
            println!("{}", path.display());
            check(&fs::read(path).expect("the seeds are readable"));
            count += 1;
        }
        assert!(count > 0, "{target} has no seeds");
    }

    /// As [`replay`], for checks that need a directory.
    fn replay_in_dir(target: &str, check: impl Fn(&[u8], &Path)) {
        let dir = tempfile::tempdir().unwrap();
        replay(target, |data| check(data, dir.path()));
    }

    #[test]
    fn seeds_of_bytes_on_disk_pass() {
        replay("records", records);
        replay_in_dir("log", log);
        replay_in_dir("backup", backup);
        let dir = tempfile::tempdir().unwrap();
        let check = CommandCheck::open(dir.path());
        replay("command", |data| check.run(data));
    }

    #[test]
    fn seeds_of_bytes_from_peers_pass() {
        replay("message", message);
        replay("members", members);
        replay("peer", peer);
        replay_in_dir("protocol", protocol);
        replay_in_dir("snapshot", snapshot);
    }

    #[test]
    fn seeds_of_bytes_from_clients_and_operators_pass() {
        replay("request", request);
        replay("frames", frames);
        replay("json", json);
        replay("token", token);
        replay("command_line", command_line);
        replay("config_file", config_file);
        replay("certificate", certificate);
        replay("gate", gate);
        replay("kube_streams", kube_streams);
        replay("selector", selector);
        replay("object_patch", object_patch);
        replay("custom_schema", custom_schema);
        replay("managed_fields", managed_fields);
        replay("cel", cel);
    }

    #[test]
    fn seeds_of_kubernetes_clients_pass() {
        replay("kube_body", kube_body);
        replay("kube_stored", kube_stored);
        replay("kube_accept", kube_accept);
    }
}
