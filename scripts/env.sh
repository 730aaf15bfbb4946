# Sourced by every script that builds. One compiler, one cache and one target directory for run, test,
# bench and CI: RocksDB's C++ is compiled once per machine, not once per checkout or profile.
cache_root="${XDG_CACHE_HOME:-$HOME/.cache}/holdfast"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache_root/target}"
export CCACHE_DIR="${CCACHE_DIR:-$cache_root/ccache}"
export CCACHE_MAXSIZE="${CCACHE_MAXSIZE:-5G}"
export CCACHE_NOHASHDIR=1
# clang needs about a quarter less CPU than gcc for RocksDB at the same optimisation level.
export CC="${CC:-ccache clang}"
export CXX="${CXX:-ccache clang++}"
# rustup installs here, and shells that were open before do not know it yet.
case ":$PATH:" in
*":$HOME/.cargo/bin:"*) ;;
*) export PATH="$PATH:$HOME/.cargo/bin" ;;
esac
