//! What the pages under `docs/` say of tests, calls and flags is so.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests are tests"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The parts of a text between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The tests that a cell names as `` `file`: `test` ``; a file alone stands for all of its tests. Gives their
/// number.
fn check_tests(cell: &str) -> usize {
    let mut source = None;
    let mut named = 0;
    for word in quoted(cell) {
        if Path::new(word).extension().is_some_and(|kind| kind == "rs") {
            source = Some(file(word));
        } else {
            let source = source.as_ref().expect("a file comes first");
            assert!(
                source.contains(&format!("fn {word}(")),
                "no such test: {cell}"
            );
        }
        named += 1;
    }
    named
}

/// Rows of tables that begin with something quoted.
fn rows(page: &str) -> impl Iterator<Item = Vec<&str>> {
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
}

#[test]
fn the_invariants_name_tests_that_exist() {
    let page = file("docs/invariants.md");
    let checked: usize = rows(&page).map(|row| check_tests(row[0])).sum();
    assert!(checked >= 20, "only {checked} tests are named");
    for number in 1..=10 {
        let heading = format!("## I{number} ");
        assert!(page.contains(&heading), "I{number} is missing");
    }
}

#[test]
fn what_is_called_served_is_shown_by_a_test() {
    let page = file("docs/compatibility.md");
    let mut served = 0;
    for row in rows(&page) {
        let [what, state, tests] = row[..] else {
            panic!("three columns: {row:?}");
        };
        let named = check_tests(tests);
        if state.starts_with("served") {
            assert!(named > 0, "no test shows {what}");
            served += 1;
        }
    }
    assert!(served >= 40, "only {served} lines");
}

#[test]
fn every_call_has_a_line() {
    let page = file("docs/compatibility.md");
    for name in ["rpc", "lock", "election"] {
        let mut service = String::new();
        for line in file(&format!("src/etcd/proto/{name}.proto")).lines() {
            let mut words = line.split([' ', '(']).filter(|word| !word.is_empty());
            match (words.next(), words.next()) {
                (Some("service"), Some(name)) => name.clone_into(&mut service),
                (Some("rpc"), Some(call)) => {
                    let call = format!("`{service}/{call}`");
                    assert!(page.contains(&call), "{call} has no line");
                }
                _ => {}
            }
        }
    }
}

/// The flags by the state that the program's help gives them.
fn flags() -> BTreeMap<String, &'static str> {
    let help = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .args(["server", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let mut state = "served";
    let mut flags = BTreeMap::new();
    for line in help.lines() {
        if line.starts_with("Accepted without effect") {
            state = "no effect";
        } else if line.starts_with("Not served") {
            state = "refused";
        } else if let Some(rest) = line.strip_prefix("  --") {
            let name = rest.split([' ', ':']).next().unwrap_or(rest);
            flags.insert(format!("--{name}"), state);
        }
    }
    flags
}

#[test]
fn every_flag_has_its_state() {
    let page = file("docs/compatibility.md");
    let (_, page) = page.split_once("## Flags").expect("a part on flags");
    let mut listed = BTreeMap::new();
    for row in rows(page) {
        let names = quoted(row[0]).filter(|name| name.starts_with("--"));
        listed.extend(names.map(|name| (name.to_owned(), row[1])));
    }
    let flags = flags();
    assert!(flags.len() > 100, "{}", flags.len());
    for (flag, state) in flags {
        assert_eq!(listed.get(&flag), Some(&state), "{flag}");
    }
}
