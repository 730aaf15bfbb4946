#!/usr/bin/env bash
# Clients that others wrote, against the binary: our cases in tests/clients, then the tests that the clients bring
# along. Arguments choose among python, node and rust; all of them without.
#
# Needs python3, npm and, for what is not in the cache yet, the network; so it is no part of `make test`. Some of
# the clients' own tests insist on port 2379, so that must be free. HOLDFAST_TEST_SERVER names another server (etcd,
# to prove the cases).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

clients="$cache_root/clients"
mkdir -p "$clients"
run="$(mktemp -d "${TMPDIR:-/tmp}/holdfast-clients.XXXXXX")"
server=
failed=()

fail() {
    echo "clients: $*" >&2
    exit 1
}

stop() {
    [ -z "$server" ] && return
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
}
trap 'stop; rm -rf "$run"' EXIT

if [ -n "${HOLDFAST_TEST_SERVER:-}" ]; then
    read -ra program <<<"$HOLDFAST_TEST_SERVER"
else
    cargo build --locked --bin holdfast
    program=("$CARGO_TARGET_DIR/debug/holdfast" server)
fi

# A member of its own for each client. Arguments are further flags.
start() {
    stop
    (exec 3<>/dev/tcp/127.0.0.1/2379) 2>/dev/null && fail "something listens on port 2379 already"
    local data
    data="$(mktemp -d "$run/data.XXXXXX")"
    "${program[@]}" --data-dir="$data/member" --listen-client-urls=http://127.0.0.1:2379 \
        --advertise-client-urls=http://127.0.0.1:2379 --listen-peer-urls=http://127.0.0.1:2380 \
        --initial-advertise-peer-urls=http://127.0.0.1:2380 --initial-cluster=default=http://127.0.0.1:2380 \
        "$@" >"$data/log" 2>&1 &
    server=$!
    for _ in $(seq 300); do
        curl --silent --fail http://127.0.0.1:2379/readyz >/dev/null && return
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    tail -20 "$data/log" >&2
    fail "the server is not ready"
}

# A call by the JSON gateway.
call() {
    curl --silent --show-error --fail --output /dev/null --data "$2" "http://127.0.0.1:2379/v3/$1"
}

# The user that the tests of etcd-client expect.
add_root() {
    call auth/user/add '{"name": "root", "password": "rootpwd"}'
    call auth/user/grant '{"user": "root", "role": "root"}'
}

# Runs a step and notes whether it failed.
step() {
    local name=$1
    shift
    echo "== $name"
    "$@" || failed+=("$name")
}

python() {
    local home
    home="$clients/python-$(sha1sum tests/clients/python/requirements.txt | cut -c1-12)"
    if [ ! -f "$home/ready" ]; then
        python3 -m venv "$home"
        "$home/bin/pip" install --quiet --requirement tests/clients/python/requirements.txt
        # The package that is installed has no tests; its source has.
        "$home/bin/pip" download --quiet --no-deps --no-binary aetcd --dest "$home/source" \
            "$("$home/bin/pip" freeze | grep '^aetcd==')"
        tar -xzf "$home"/source/aetcd-*.tar.gz -C "$home/source" --strip-components=1
        touch "$home/ready"
    fi
    start
    step "aetcd (Python, gRPC): our cases" "$home/bin/python" tests/clients/python/over_grpc.py 127.0.0.1 2379
    step "etcd3gw (Python, JSON gateway): our cases" "$home/bin/python" tests/clients/python/over_gateway.py 127.0.0.1 2379
    start
    step "etcd3gw: its own tests" "$home/bin/python" -m pytest --quiet -p no:cacheprovider \
        -o asyncio_default_fixture_loop_scope=function --pyargs etcd3gw.tests
    start
    # Its tests prepare and look with etcdctl. The one that is left out has etcdctl read the backup as a bbolt
    # file, which ours is not (docs/compatibility.md).
    local left_out=()
    [ -n "${HOLDFAST_TEST_SERVER:-}" ] || left_out=(--deselect tests/integration/test_maintenance.py::test_snapshot)
    command -v etcdctl >/dev/null || left_out=(--ignore tests/integration)
    step "aetcd: its own tests" env --chdir="$home/source" "$home/bin/python" -m pytest --quiet -p no:cacheprovider \
        -o asyncio_default_fixture_loop_scope=function --no-cov "${left_out[@]}" tests
}

node() {
    local home
    home="$clients/node-$(sha1sum tests/clients/node/package.json | cut -c1-12)"
    if [ ! -f "$home/ready" ]; then
        mkdir -p "$home"
        cp tests/clients/node/package.json "$home"
        npm install --silent --no-package-lock --no-audit --no-fund --ignore-scripts --prefix "$home"
        touch "$home/ready"
    fi
    start
    # The package has no tests; those of its repository are described in docs/compatibility.md.
    step "etcd3 (Node): our cases" env NODE_PATH="$home/node_modules" node tests/clients/node/client.js 127.0.0.1:2379
}

rust() {
    local manifest home
    manifest="$(cargo metadata --locked --format-version 1 |
        python3 -c 'import json, sys
print(next(p["manifest_path"] for p in json.load(sys.stdin)["packages"] if p["name"] == "etcd-client"))')"
    home="$clients/rust/$(basename "$(dirname "$manifest")")"
    if [ ! -d "$home" ]; then
        mkdir -p "$home"
        cp -R "$(dirname "$manifest")/." "$home"
    fi
    # What its tests ask for: short tokens, small parts of a streamed range, and a user.
    start --auth-token-ttl=2 --max-request-bytes=10240
    add_root
    local own=(env --chdir="$home" CARGO_TARGET_DIR="$clients/rust/target" cargo)
    # Two are for etcd 3.7, whose calls we have. One wants four members that know each other by name.
    local all=(--include-ignored --skip test_cluster)
    [ -z "${HOLDFAST_TEST_SERVER:-}" ] || all=()
    step "etcd-client (Rust): its own tests" "${own[@]}" test --locked --tests -- --test-threads=1 "${all[@]}"
    start
    local example
    # Not `cluster`: it adds a member that does not exist, which takes a cluster of one its quorum.
    for example in kv lease watch lock election namespace maintenance auth_role auth_user auth; do
        # The last one enables authentication, for the user that is to be there.
        [ "$example" != auth ] || add_root
        step "etcd-client: its example $example" "${own[@]}" run --quiet --locked --example "$example"
    done
}

for client in "${@:-python node rust}"; do
    for one in $client; do
        case "$one" in
        python | node | rust) "$one" ;;
        *) fail "no such client: $one (python, node, rust)" ;;
        esac
    done
done
stop
[ ${#failed[@]} -eq 0 ] || fail "failed: $(printf '%s; ' "${failed[@]}")"
echo "clients: all passed"
