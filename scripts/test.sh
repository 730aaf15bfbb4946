#!/usr/bin/env bash
# Every test: unit, integration, documentation, and each bench once. All in the dev profile, so that
# RocksDB is compiled once. Arguments go to the test runner, as a filter.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --no-fail-fast "$@"
else
    cargo test --locked --no-fail-fast --lib --bins --tests "$@"
fi
[ $# -eq 0 ] || exit 0
cargo test --locked --doc
# Each bench once, on little data: that they run, not how fast.
cargo test --locked --bench kube --bench layout --bench mvcc --bench raft --bench watch
