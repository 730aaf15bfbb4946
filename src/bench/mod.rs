//! `holdfast bench`: load on any etcd v3 endpoint, with rates, percentiles and the CPU that it cost.
//!
//! The load is closed-loop: every client sends its next request when the last one is answered, so at
//! `clients / rate` the mean latency says as much about the load as about the server (Little's law).
//! Compare servers with the same line, in turns, and by CPU time per operation where the machine is noisy.

mod answers;
mod cpu;
mod grpc;
mod load;
mod options;
mod report;
mod security;
mod watch;
mod workload;

use std::io::Write;
use std::sync::Arc;

pub use grpc::ConnectError;
use grpc::Link;
pub use options::BenchOptions;

use crate::base::clock;

/// Why a benchmark could not run.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// An endpoint is not a URL or does not answer.
    #[error("endpoint {endpoint}: {error}")]
    Endpoint {
        /// The endpoint as given.
        endpoint: String,
        /// What is wrong with it.
        error: ConnectError,
    },
    /// A request that prepares the run failed.
    #[error("cannot prepare the run: {0}")]
    Prepare(#[from] tonic::Status),
    /// Two options do not go together, or one is out of range.
    #[error("{0}")]
    Options(String),
    /// A process whose CPU is to be measured cannot be read.
    #[error("process {pid}: {error}")]
    Process {
        /// The process id as given.
        pid: u32,
        /// What the system said.
        error: std::io::Error,
    },
    /// The report cannot be written.
    #[error("cannot write the report: {0}")]
    Output(#[from] std::io::Error),
}

/// Runs a benchmark and writes its report to standard output.
///
/// # Errors
/// [`BenchError`] when the run cannot begin or be reported. Requests that fail are counted, not raised.
pub async fn run(options: BenchOptions) -> Result<(), BenchError> {
    options.validate()?;
    let links = load::connect(&options.load).await?;
    let run = Prepared::new(&options, &links).await?;
    let before = cpu::Usage::read(&options.load.server_pids)?;
    let started = clock::now();
    let outcome = run.execute(&options.load, &links).await;
    let elapsed = clock::now().duration_since(started);
    let after = cpu::Usage::read(&options.load.server_pids)?;
    let report = report::Report::new(&options, &outcome, elapsed, &after.since(&before));
    let mut stdout = std::io::stdout().lock();
    if options.load.json {
        serde_json::to_writer(&mut stdout, &report).map_err(std::io::Error::from)?;
        writeln!(stdout)?;
    } else {
        write!(stdout, "{report}")?;
    }
    Ok(())
}

/// A run whose keys are written and whose streams are open: what follows is measured.
enum Prepared {
    Unary(Arc<workload::Requests>),
    Watch(watch::Watchers),
}

impl Prepared {
    async fn new(options: &BenchOptions, links: &[Arc<Link>]) -> Result<Self, BenchError> {
        let load = &options.load;
        Ok(match &options.workload {
            options::Workload::Watch(watch) => {
                Self::Watch(watch::Watchers::open(load, watch, links).await?)
            }
            unary => Self::Unary(workload::Requests::prepare(unary, load, links).await?),
        })
    }

    async fn execute(self, load: &options::LoadOptions, links: &[Arc<Link>]) -> load::Outcome {
        match self {
            Self::Unary(requests) => load::run(load, &requests, links).await,
            Self::Watch(watchers) => watchers.run(load, links).await,
        }
    }
}
