//! The `holdfast` binary.

use std::process::ExitCode;

/// Bounded fragmentation under many small, short-lived buffers, which is what requests are.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    holdfast::server::command::run(std::env::args_os(), std::env::vars_os())
}
