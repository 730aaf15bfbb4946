#!/usr/bin/env bash
# Everything that can be said of the source without running it. Writes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

step() { echo "== $*"; }

step "formatting"
cargo fmt --all --check
cargo fmt --manifest-path fuzz/Cargo.toml --check
step "lock files"
# The targets of fuzz/ are built by hand only; what they are built from must be settled all the same.
cargo metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null
step "lints"
cargo clippy --locked --all-targets -- -D warnings
step "documentation"
# For who works on the source: private items are documented, so links to them lead somewhere.
RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --locked --no-deps --document-private-items
if command -v cargo-deny >/dev/null; then
    step "dependencies"
    # Advisories need a database from the network and are looked at apart (docs/operations.md).
    cargo deny --locked check bans licenses sources
fi
