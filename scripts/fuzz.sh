#!/usr/bin/env bash
# Runs the fuzz targets: fuzz.sh [TARGET|all] [SECONDS], every target for a minute unless told otherwise.
# Needs the stable toolchain only. Inputs are collected in fuzz/corpus; inputs that fail are kept in
# fuzz/artifacts. Ends with an error if one did.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

target="${1:-all}"
seconds="${2:-60}"
triple="$(rustc -vV | sed -n 's/^host: //p')"
# Instrumented objects are of no use to any other build.
export CARGO_TARGET_DIR="$CARGO_TARGET_DIR/fuzz"
# These take the place of the flags in .cargo/config.toml, which are therefore repeated. The rest is what
# cargo-fuzz passes, without a sanitizer: there is hardly any unsafe code here.
RUSTFLAGS="--cfg fuzzing -C target-cpu=x86-64-v2 -C target-feature=+pclmulqdq -Cpasses=sancov-module"
RUSTFLAGS+=" -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
RUSTFLAGS+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
RUSTFLAGS+=" -Ccodegen-units=1"
export RUSTFLAGS

targets=()
for file in fuzz/fuzz_targets/*.rs; do
    name="$(basename "$file" .rs)"
    [ "$target" = all ] || [ "$target" = "$name" ] || continue
    targets+=("$name")
done
[ ${#targets[@]} -gt 0 ] || {
    echo "fuzz: there is no target $target; see docs/fuzzing.md" >&2
    exit 2
}

if [ "$target" = all ]; then bins=(--bins); else bins=(--bin "$target"); fi
# With the triple named, the flags stay off build scripts.
cargo build --locked --release --manifest-path fuzz/Cargo.toml --target "$triple" "${bins[@]}"

# In memory if possible: some checks write files for every input.
if [ -w /dev/shm ]; then base=/dev/shm; else base="${TMPDIR:-/tmp}"; fi
TMPDIR="$(mktemp -d "$base/holdfast-fuzz.XXXXXX")"
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

# Runs one target and says what it did on one line.
fuzz() {
    local name="$1" log="$TMPDIR/$1.log" began="$SECONDS" status=0 verdict=ok executions edges failing
    local program="$CARGO_TARGET_DIR/$triple/release/$name"
    local corpus="fuzz/corpus/$name" seeds="fuzz/seeds/$name" artifacts="fuzz/artifacts/$name"
    mkdir -p "$corpus" "$artifacts"
    local inputs=("$corpus")
    [ ! -d "$seeds" ] || inputs+=("$seeds")
    # An input that is refused costs little; one that takes ten seconds or 128 MiB at once has failed.
    "$program" "${inputs[@]}" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
        -malloc_limit_mb=128 -print_final_stats=1 -artifact_prefix="$artifacts/" >"$log" 2>&1 || status=$?
    [ $status -eq 0 ] || verdict=FAILED
    executions="$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
    edges="$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | tr -dc 0-9)" || edges=
    printf '%-13s %10s executions %6s s %6s edges %6s inputs  %s\n' "$name" "${executions:-?}" \
        $((SECONDS - began)) "${edges:-?}" "$(find "$corpus" -type f | wc -l)" "$verdict"
    [ $status -ne 0 ] || return 0
    grep -A 3 -e 'panicked at' -e '^==.*ERROR' "$log" >&2 || tail -n 20 "$log" >&2
    failing="$(sed -n 's/.*Test unit written to //p' "$log")"
    echo "to run it again: $program ${failing:-$artifacts/...}" >&2
    return 1
}

failed=0
for name in "${targets[@]}"; do fuzz "$name" || failed=1; done
exit $failed
