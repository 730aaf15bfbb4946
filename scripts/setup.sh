#!/usr/bin/env bash
# Installs what the build and the tests need and the machine lacks, and nothing else. Says what it does, and
# says nothing when there is nothing to do. Needs root or sudo only if something is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

fail() {
    echo "setup: $*" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }
# Whether a pattern matches a file.
exists() { compgen -G "$1" >/dev/null; }

have cargo || fail "cargo is not installed: see https://rustup.rs for the Rust toolchain"

# Debian 12 has libclang split into a runtime and a small package with the compiler's headers; the -dev
# package of other releases brings both and much more.
libclang_packages() {
    if apt-cache show libclang1-14 libclang-common-14-dev >/dev/null 2>&1; then
        echo libclang1-14 libclang-common-14-dev
    else
        echo libclang-dev
    fi
}

required=()
optional=()
look() {
    required=()
    optional=()
    have cc || required+=(gcc libc6-dev)
    have c++ || required+=(g++)
    have make || required+=(make)
    have clang++ || required+=(clang)
    have ccache || required+=(ccache)
    have protoc || required+=(protobuf-compiler)
    # The protocol definitions that etcd's own import; the tests' client compiles them.
    exists '/usr/include/google/protobuf/descriptor.proto' ||
        exists '/usr/local/include/google/protobuf/descriptor.proto' ||
        required+=(libprotobuf-dev)
    # RocksDB's bindings are generated with libclang, and libclang reads its own headers.
    # libclang-cpp, which LLVM brings along, is another library.
    if ! exists '/usr/lib/llvm-*/lib/libclang[.-][0-9s]*' && ! exists '/usr/lib/*/libclang[.-][0-9s]*' ||
        ! exists '/usr/lib/llvm-*/lib/clang/*/include/stddef.h'; then
        required+=(libclang)
    fi
    have curl || optional+=(curl)
    have etcdctl || optional+=(etcd-client)
}

look
[ ${#required[@]} -eq 0 ] && [ ${#optional[@]} -eq 0 ] && exit 0

# What is optional is asked for once a day at most, because not every release has it.
tried="$cache_root/setup-tried"
if [ ${#required[@]} -eq 0 ] && [ -n "$(find "$tried" -mtime -1 2>/dev/null)" ]; then
    exit 0
fi

have apt-get || {
    [ ${#required[@]} -eq 0 ] && exit 0
    fail "not Debian or Ubuntu; please install the equivalents of: ${required[*]}"
}
if [ "$(id -u)" -eq 0 ]; then
    as_root=(env DEBIAN_FRONTEND=noninteractive)
elif have sudo; then
    as_root=(sudo env DEBIAN_FRONTEND=noninteractive)
else
    [ ${#required[@]} -eq 0 ] && exit 0
    fail "needs root to install: ${required[*]} (run as root, or install sudo)"
fi

echo "setup: looking for packages: ${required[*]} ${optional[*]}"
"${as_root[@]}" apt-get update -qq || fail "apt-get update failed"
packages=()
for package in "${required[@]}"; do
    if [ "$package" = libclang ]; then
        read -ra libclang < <(libclang_packages)
        packages+=("${libclang[@]}")
    else
        packages+=("$package")
    fi
done
if [ ${#packages[@]} -gt 0 ]; then
    echo "setup: installing ${packages[*]}"
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null ||
        fail "apt-get could not install: ${packages[*]}"
fi
for package in "${optional[@]}"; do
    apt-cache show "$package" >/dev/null 2>&1 || continue
    echo "setup: installing $package"
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends "$package" >/dev/null ||
        echo "setup: going on without $package"
done
mkdir -p "$cache_root" && touch "$tried"

look
[ ${#required[@]} -eq 0 ] || fail "still missing after installing: ${required[*]}"
