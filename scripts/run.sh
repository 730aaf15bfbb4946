#!/usr/bin/env bash
# Builds the release binary and starts a cluster on this machine. Arguments go to `holdfast up`.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

if [ ! -x "$CARGO_TARGET_DIR/release/holdfast" ]; then
    echo "Building Holdfast. The first build takes 10 to 20 minutes on two cores, most of them for RocksDB;"
    echo "later ones take seconds."
fi
cargo build --release --locked --bin holdfast
exec "$CARGO_TARGET_DIR/release/holdfast" up "$@"
