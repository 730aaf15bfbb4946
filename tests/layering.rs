//! The layers of `docs/architecture.md`, held against the source: who may name whom, and which module alone
//! may name an outside crate or write `unsafe`.
//!
//! Works on text, one line at a time with comments cut off; that is enough because `rustfmt` keeps paths
//! whole. A rule that stands in the way of a good design is changed here and in the document, together.

use std::fs;
use std::path::{Path, PathBuf};

/// What each module may name of the others. `module::part` allows that part alone.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("config", &["base"]),
    ("storage", &["base"]),
    ("tls", &["base"]),
    ("watch", &["base"]),
    ("mvcc", &["base", "storage"]),
    ("raft", &["base", "tls"]),
    ("engine", &["base", "storage", "watch", "mvcc", "raft"]),
    // The vocabulary of the facade: operations, their validation, and what a watch stream carries; and the rule
    // for peer URLs, the same for clients as for flags.
    (
        "etcd",
        &[
            "base",
            "config::peer_urls",
            "engine",
            "mvcc::ops",
            "mvcc::validate",
            "watch",
        ],
    ),
    // Reads and writes through the engine, in process.
    ("kube", &["base", "engine", "mvcc::ops", "tls", "watch"]),
    // A client: of the server it shares the messages and nothing else.
    ("bench", &["base", "tls", "etcd::pb"]),
    (
        "server",
        &[
            "base", "config", "storage", "tls", "watch", "mvcc", "raft", "engine", "etcd", "kube",
            "bench",
        ],
    ),
    // Names the checks that the modules have for it.
    (
        "fuzzing",
        &[
            "base", "config", "engine", "etcd", "kube", "mvcc", "raft", "storage", "tls",
        ],
    ),
    ("main", &["server"]),
];

/// Outside crates and words that only some files may contain.
const RESERVED: &[Reserved] = &[
    reserved("rocksdb::", &["storage/"]),
    // The crate; `crate::raft` is the module around it.
    reserved("use raft::", &["raft/"]),
    reserved("eraftpb", &["raft/"]),
    reserved("prost011", &["raft/"]),
    reserved("slog::", &["raft/"]),
    reserved("tonic::", &["etcd/", "bench/"]),
    reserved("axum::", &["etcd/", "server/"]),
    // Peers speak HTTP until they know each other, and frames of their own from then on.
    reserved(
        "hyper::",
        &["raft/transport/", "server/", "bench/", "kube/rest/"],
    ),
    reserved("h2::", &["bench/"]),
    reserved("prost_reflect::", &["etcd/gateway/"]),
    reserved("granit_parser::", &["kube/object/yaml/"]),
    reserved("rustls::", &["tls/"]),
    reserved("tokio_rustls::", &["tls/"]),
    // Keys of tokens are in the same encodings as those of certificates.
    reserved(
        "x509_parser::",
        &[
            "tls/",
            "engine/auth/jwt/",
            "kube/admission/plugins/certificates/",
            "kube/authn/",
            "kube/custom/authorities.rs",
            "kube/pki/",
        ],
    ),
    reserved("webpki::", &["kube/authn/"]),
    reserved("csv::", &["kube/authn/"]),
    reserved("rcgen::", &["tls/", "kube/authn/tests.rs", "kube/pki/"]),
    reserved("opentelemetry::", &["base/trace/"]),
    reserved("domain::", &["server/discovery"]),
    reserved("opentelemetry_sdk::", &["base/trace/"]),
    reserved("opentelemetry_otlp::", &["base/trace/"]),
    reserved("unsafe", &["watch/ring.rs", "server/scheduling.rs"]),
    reserved("Instant::now()", &["base/clock.rs"]),
    reserved("SystemTime::now()", &["base/clock.rs"]),
];

/// Words that some modules may not contain, although others may.
const FORBIDDEN: &[(&str, &[&str])] = &[
    // Replicas must come to the same state: no clock, no chance, no waiting where commands are applied.
    (
        "mvcc/",
        &["tokio::", "async fn", "clock::", "rand::", "crossbeam::"],
    ),
    (
        "raft/core/",
        &["tokio::", "async fn", "clock::", "std::thread"],
    ),
    ("storage/", &["tokio::", "async fn"]),
    // It reads the clock for metrics and for the deadlines of leases, which are no part of the state.
    ("engine/apply.rs", &["rand::"]),
    ("engine/evaluate.rs", &["rand::", "clock::"]),
    ("config/", &["tokio::", "std::fs", "std::net::Tcp"]),
];

struct Reserved {
    word: &'static str,
    files: &'static [&'static str],
}

const fn reserved(word: &'static str, files: &'static [&'static str]) -> Reserved {
    Reserved { word, files }
}

/// The violations in one file, whose path is relative to `src`.
fn violations(file: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in source.lines().enumerate() {
        let code = without_comment(line);
        let mut report = |what: String| found.push(format!("src/{file}:{}: {what}", number + 1));
        for target in named_modules(file, code) {
            if !may_name(top(file), &target) {
                report(format!("{} may not name {target}", top(file)));
            }
        }
        for rule in RESERVED {
            if contains_word(code, rule.word) && !starts_with_any(file, rule.files) {
                report(format!(
                    "only {} may say {}",
                    rule.files.join(", "),
                    rule.word
                ));
            }
        }
        for (place, words) in FORBIDDEN {
            if file.starts_with(place) && !is_test(file) {
                let said = words.iter().filter(|word| contains_word(code, word));
                said.for_each(|word| report(format!("{place} may not say {word}")));
            }
        }
    }
    found
}

/// The module at the top that a file belongs to.
fn top(file: &str) -> &str {
    let first = file.split('/').next().unwrap_or(file);
    first.strip_suffix(".rs").unwrap_or(first)
}

fn is_test(file: &str) -> bool {
    file.contains("test") || file.contains("/sim/")
}

fn without_comment(line: &str) -> &str {
    line.find("//").map_or(line, |at| &line[..at])
}

fn starts_with_any(file: &str, places: &[&str]) -> bool {
    places.iter().any(|place| file.starts_with(place))
}

/// Every `module` or `module::part` of this crate that a line names from its root.
fn named_modules(file: &str, code: &str) -> Vec<String> {
    let root = if top(file) == "main" {
        "holdfast::"
    } else {
        "crate::"
    };
    let mut named = Vec::new();
    for (at, _) in code.match_indices(root) {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &code[at + root.len()..];
        match rest.strip_prefix('{') {
            Some(group) => named.extend(group.split(',').map(|path| path_head(path.trim()))),
            None => named.push(path_head(rest)),
        }
    }
    named.retain(|path| {
        MAY_NAME
            .iter()
            .any(|(module, _)| *module == first_part(path))
    });
    named
}

/// The first two segments of a path, the second only if it is not the name of a type.
fn path_head(path: &str) -> String {
    let segments: Vec<&str> = path
        .split("::")
        .map(|segment| {
            let end = segment.find(|c: char| !(c.is_alphanumeric() || c == '_'));
            &segment[..end.unwrap_or(segment.len())]
        })
        .collect();
    match segments.as_slice() {
        [module, part, ..] if part.starts_with(|c: char| c.is_lowercase()) => {
            format!("{module}::{part}")
        }
        [module, ..] => (*module).to_owned(),
        [] => String::new(),
    }
}

fn first_part(path: &str) -> &str {
    path.split("::").next().unwrap_or(path)
}

fn may_name(from: &str, target: &str) -> bool {
    if from == first_part(target) || from == "lib" {
        return true;
    }
    let allowed = MAY_NAME.iter().find(|(module, _)| *module == from);
    allowed.is_some_and(|(_, targets)| {
        targets
            .iter()
            .any(|allowed| *allowed == target || *allowed == first_part(target))
    })
}

/// Whether `word` occurs and is not part of a longer name.
fn contains_word(code: &str, word: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    code.match_indices(word).any(|(at, _)| {
        let cut =
            word.ends_with(char::is_alphanumeric) && code[at + word.len()..].starts_with(goes_on);
        !cut && !code[..at].ends_with(goes_on)
    })
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("the source tree is readable") {
        let path = entry.expect("the source tree is readable").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_source_keeps_to_its_layers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&root);
    assert!(files.len() > 50, "only {} files found", files.len());
    let mut found = Vec::new();
    for path in files {
        let file = path.strip_prefix(&root).expect("found below it");
        let source = fs::read_to_string(&path).expect("the source tree is readable");
        found.extend(violations(&file.to_string_lossy(), &source));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_module_has_its_rule() {
    let source = include_str!("../src/lib.rs");
    let modules = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    for module in modules {
        assert!(
            MAY_NAME.iter().any(|(known, _)| *known == module),
            "{module} has no place in the layers"
        );
    }
}

#[test]
fn violations_are_found() {
    for (file, source, said) in [
        (
            "mvcc/txn.rs",
            "use crate::raft::Node;",
            "mvcc may not name raft",
        ),
        (
            "mvcc/txn.rs",
            "    let x = crate::engine::Engine::new();",
            "mvcc may not name engine",
        ),
        (
            "etcd/kv.rs",
            "use crate::{base::ids, storage::Store};",
            "etcd may not name storage",
        ),
        (
            "etcd/kv.rs",
            "use crate::mvcc::lease::list;",
            "etcd may not name mvcc::lease",
        ),
        (
            "bench/mod.rs",
            "use crate::etcd::status::code;",
            "bench may not name etcd::status",
        ),
        (
            "main.rs",
            "    holdfast::engine::start();",
            "main may not name engine::start",
        ),
        (
            "engine/read.rs",
            "use rocksdb::DB;",
            "only storage/ may say rocksdb::",
        ),
        (
            "engine/read.rs",
            "    let m = raft::eraftpb::Message::default();",
            "only raft/ may say eraftpb",
        ),
        (
            "engine/read.rs",
            "use raft::RawNode;",
            "only raft/ may say use raft::",
        ),
        (
            "etcd/codec.rs",
            "use prost011::Message as _;",
            "only raft/ may say prost011",
        ),
        (
            "raft/node/mod.rs",
            "    unsafe { f() }",
            "only watch/ring.rs, server/scheduling.rs may say unsafe",
        ),
        (
            "watch/hub.rs",
            "let t = Instant::now();",
            "only base/clock.rs may say Instant::now()",
        ),
        (
            "mvcc/lease/mod.rs",
            "let t = crate::base::clock::now();",
            "mvcc/ may not say clock::",
        ),
        (
            "raft/core/mod.rs",
            "pub async fn step() {}",
            "raft/core/ may not say async fn",
        ),
    ] {
        let found = violations(file, source);
        assert!(
            found.iter().any(|line| line.ends_with(said)),
            "{file}: {source}: {found:?}"
        );
        assert!(found[0].starts_with(&format!("src/{file}:1: ")));
    }
}

#[test]
fn what_is_allowed_is_not_reported() {
    for (file, source) in [
        (
            "mvcc/txn.rs",
            "use crate::storage::Store;\nuse crate::mvcc::ops::Txn;",
        ),
        (
            "etcd/kv.rs",
            "use crate::mvcc::ops::{PutOp, RangeOp};\nuse crate::watch::WatchSpec;",
        ),
        (
            "engine/apply.rs",
            "use crate::raft::Committed; // not use raft::RawNode",
        ),
        (
            "base/ids.rs",
            "/// See crate::engine::Engine and unsafe code.",
        ),
        ("watch/ring.rs", "    unsafe { slot.get() }"),
        ("config/table.rs", "    \"unsafe-no-fsync\","),
        ("storage/store.rs", "use rocksdb::DB;"),
        ("mvcc/txn_test.rs", "let t = clock::now();"),
    ] {
        assert_eq!(violations(file, source), [] as [&str; 0], "{file}");
    }
}
