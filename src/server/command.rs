//! The commands of the `holdfast` binary: what `main` hands over to.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::signals::StopReason;
use super::snapshot::{self, SnapshotCommand};
use super::terminal::{complain, say};
use super::{Leadership, Server, StartError, config_file, limits, log, parts, signals, up};
use crate::base::shutdown::Lifecycle;
use crate::bench::{self, BenchOptions};
use crate::config::{self, MemberConfig, Request};

/// A link of this name makes the binary behave as `holdfast server`.
const ETCD: &str = "etcd";

/// The exit status of a process that is told twice to stop; what a shell gives one that SIGINT killed.
const GAVE_UP: u8 = 130;

#[derive(Debug, Parser)]
#[command(
    name = "holdfast",
    version,
    about = "A replicated key-value store that speaks etcd's v3 API",
    after_help = "A link to this binary that is called `etcd` behaves as `holdfast server`.",
    arg_required_else_help = true
)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start one member, with etcd's flags and ETCD_* variables (`holdfast server --help` lists them)
    #[command(disable_help_flag = true)]
    Server {
        /// etcd's flags
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "FLAGS"
        )]
        flags: Vec<OsString>,
    },
    /// Put load on any etcd endpoint and report rates, percentiles and CPU time
    Bench(BenchOptions),
    /// Look into or restore what `etcdctl snapshot save` saved
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Start a cluster of several members on this machine, for trying out
    Up(up::UpOptions),
}

/// Runs the command that `args`, the program's name first, ask for.
pub fn run(
    args: impl IntoIterator<Item = OsString>,
    env: impl IntoIterator<Item = (OsString, OsString)>,
) -> ExitCode {
    let mut args = args.into_iter().peekable();
    if args.peek().is_some_and(|program| is_etcd(program)) {
        return server(ETCD, args.skip(1), env);
    }
    match Line::try_parse_from(args) {
        Ok(line) => match line.command {
            Command::Server { flags } => server("holdfast server", flags, env),
            Command::Up(options) => up::run(&options),
            Command::Bench(options) => bench(options),
            Command::Snapshot(command) => snapshot::run(command),
        },
        Err(error) => {
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
    }
}

fn bench(options: BenchOptions) -> ExitCode {
    let run = || -> Result<(), Box<dyn std::error::Error>> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        Ok(runtime.block_on(bench::run(options))?)
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("holdfast bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn is_etcd(program: &OsStr) -> bool {
    Path::new(program).file_name() == Some(OsStr::new(ETCD))
}

fn server(
    program: &str,
    flags: impl IntoIterator<Item = OsString>,
    env: impl IntoIterator<Item = (OsString, OsString)>,
) -> ExitCode {
    match config::from_command_line(flags, env) {
        Ok(Request::Start(config)) => start(&config),
        Ok(Request::File(file)) => match config_file::read(&file) {
            Ok(config) => start(&config),
            Err(error) => {
                let path = file.path.display();
                complain(format_args!("{program}: --config-file={path}: {error}"));
                ExitCode::FAILURE
            }
        },
        Ok(Request::Help) => {
            say(config::usage(program).trim_end());
            ExitCode::SUCCESS
        }
        Ok(Request::Version) => {
            say(version());
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(format_args!("{program}: {error}"));
            if error.exit_code() == 2 {
                complain(format_args!("Run `{program} --help` for the flags."));
            }
            ExitCode::from(error.exit_code())
        }
    }
}

/// The four lines of `etcd --version`, which scripts take apart.
fn version() -> String {
    format!(
        "etcd Version: {}\nGit SHA: holdfast {}\nGo Version: none (Rust)\nGo OS/Arch: {}/{}",
        parts::ETCD_VERSION,
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        }
    )
}

/// Runs a member to its end. What goes wrong is one line of the log, in whatever shape that has.
fn start(config: &MemberConfig) -> ExitCode {
    if let Err(error) = log::init(&config.log) {
        complain(format_args!("cannot open the log (--log-outputs): {error}"));
        return ExitCode::FAILURE;
    }
    limits::raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("edge")
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot start threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        serve(config).await.unwrap_or_else(|error| {
            tracing::error!("{error}");
            match error {
                // As in etcd: nothing is wrong, and starting it again would not help.
                StartError::Removed(_) => ExitCode::SUCCESS,
                _ => ExitCode::FAILURE,
            }
        })
    });
    // Whatever still runs has been told to stop and given its time.
    runtime.shutdown_background();
    code
}

/// Serves until told to stop, or until a part fails.
async fn serve(config: &MemberConfig) -> Result<ExitCode, StartError> {
    let cannot_listen = |source| StartError::System {
        part: "the signal handlers",
        source,
    };
    let mut signals = signals::StopSignals::listen().map_err(cannot_listen)?;
    if config.stop_with_stdin {
        signals = signals.and_end_of_stdin().map_err(cannot_listen)?;
    }
    let life = Lifecycle::new();
    let server = tokio::select! {
        server = Server::start(config, life.clone()) => server?,
        _ = signals.next() => return Ok(ExitCode::SUCCESS),
    };
    let leadership = tokio::select! {
        reason = signals.next() => {
            tracing::info!(signal = %reason, "received signal; shutting down");
            if reason == StopReason::ParentEnded {
                Leadership::LetGo
            } else {
                Leadership::HandOver
            }
        }
        () = life.stopped() => Leadership::LetGo,
    };
    tokio::select! {
        () = server.stop(leadership) => {}
        () = signals.next_signal() => {
            tracing::warn!("received a second signal; exiting at once");
            return Ok(ExitCode::from(GAVE_UP));
        }
    }
    Ok(life
        .failure()
        .map_or(ExitCode::SUCCESS, |_| ExitCode::FAILURE))
}
