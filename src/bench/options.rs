//! Command-line options of `holdfast bench`.

use clap::{Args, Subcommand, ValueEnum};

use super::BenchError;
use super::security::TlsOptions;

/// Load on an etcd endpoint.
#[derive(Debug, Clone, Args)]
pub struct BenchOptions {
    #[command(flatten)]
    pub(super) load: LoadOptions,
    #[command(subcommand)]
    pub(super) workload: Workload,
}

/// What every workload shares.
#[derive(Debug, Clone, Args)]
pub(super) struct LoadOptions {
    /// Endpoints; connections are dealt out to them in turn.
    #[arg(
        long,
        global = true,
        value_delimiter = ',',
        default_value = "127.0.0.1:2379"
    )]
    pub(super) endpoints: Vec<String>,
    /// HTTP/2 connections.
    #[arg(long, global = true, default_value_t = 1)]
    pub(super) conns: usize,
    /// Clients that each have one request under way; they share the connections.
    #[arg(long, global = true, default_value_t = 1)]
    pub(super) clients: usize,
    /// Requests in all (for `watch`: puts).
    #[arg(long, global = true, default_value_t = 10_000)]
    pub(super) total: u64,
    /// Most requests per second; 0 is no limit.
    #[arg(long, global = true, default_value_t = 0)]
    pub(super) rate: u64,
    /// Length of keys in bytes, prefix included.
    #[arg(long, global = true, default_value_t = 40)]
    pub(super) key_size: usize,
    /// Length of values in bytes.
    #[arg(long, global = true, default_value_t = 256)]
    pub(super) val_size: usize,
    /// Different keys that are written or read.
    #[arg(long, global = true, default_value_t = 10_000)]
    pub(super) key_space_size: u64,
    /// Take keys in order instead of at random.
    #[arg(long, global = true)]
    pub(super) sequential_keys: bool,
    /// What all keys begin with.
    #[arg(long, global = true, default_value = "/bench/")]
    pub(super) prefix: String,
    /// Seed of the random choice of keys.
    #[arg(long, global = true, default_value_t = 1)]
    pub(super) seed: u64,
    /// Processes on this machine whose CPU time and memory are measured: the servers.
    #[arg(long, global = true, value_delimiter = ',')]
    pub(super) server_pids: Vec<u32>,
    #[command(flatten)]
    pub(super) tls: TlsOptions,
    /// Print the report as one line of JSON.
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Show no progress bar.
    #[arg(long, global = true)]
    pub(super) quiet: bool,
}

/// What is measured.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Workload {
    /// Write keys.
    Put,
    /// Read single keys, or ranges with --limit.
    Range(RangeOptions),
    /// Compare-and-swap transactions as kube-apiserver sends them.
    Txn(TxnOptions),
    /// Reads and writes in a given proportion.
    Mixed(MixedOptions),
    /// Deliver events to many watchers.
    Watch(WatchOptions),
}

/// How fresh reads must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ReadConsistency {
    /// Linearizable.
    L,
    /// Serializable.
    S,
}

#[derive(Debug, Clone, Args)]
pub(super) struct RangeOptions {
    /// Linearizable or serializable.
    #[arg(long, default_value = "l")]
    pub(super) consistency: ReadConsistency,
    /// Read this many keys from each chosen key on; 0 reads the key alone.
    #[arg(long, default_value_t = 0)]
    pub(super) limit: i64,
    /// Only count the keys under the prefix.
    #[arg(long)]
    pub(super) count_only: bool,
    /// Do not write the keys first.
    #[arg(long)]
    pub(super) skip_fill: bool,
}

#[derive(Debug, Clone, Args)]
pub(super) struct TxnOptions {
    /// Puts in each transaction.
    #[arg(long, default_value_t = 1)]
    pub(super) ops: usize,
}

#[derive(Debug, Clone, Args)]
pub(super) struct MixedOptions {
    /// Reads for every write.
    #[arg(long, default_value_t = 4.0)]
    pub(super) read_write_ratio: f64,
    /// Linearizable or serializable.
    #[arg(long, default_value = "l")]
    pub(super) consistency: ReadConsistency,
}

#[derive(Debug, Clone, Args)]
pub(super) struct WatchOptions {
    /// Watch streams; they share the connections.
    #[arg(long, default_value_t = 100)]
    pub(super) streams: usize,
    /// Watchers on each stream, all on the whole prefix.
    #[arg(long, default_value_t = 1)]
    pub(super) watchers_per_stream: usize,
    /// Ask for the previous key-value with each event.
    #[arg(long)]
    pub(super) prev_kv: bool,
}

impl BenchOptions {
    /// Refuses what cannot be run.
    pub(super) fn validate(&self) -> Result<(), BenchError> {
        let load = &self.load;
        let refuse = |text: &str| Err(BenchError::Options(text.to_owned()));
        if load.conns == 0 || load.clients == 0 || load.total == 0 || load.key_space_size == 0 {
            return refuse("--conns, --clients, --total and --key-space-size must be at least 1");
        }
        if load.key_size < load.prefix.len() + load.key_digits() {
            return refuse("--key-size has no room for the prefix and a number from the key space");
        }
        match &self.workload {
            Workload::Txn(txn) if txn.ops == 0 || txn.ops as u64 > load.key_space_size => {
                refuse("--ops must be at least 1 and at most --key-space-size")
            }
            Workload::Mixed(mixed)
                if mixed.read_write_ratio.is_nan() || mixed.read_write_ratio < 0.0 =>
            {
                refuse("--read-write-ratio must be a number of at least 0")
            }
            Workload::Watch(watch) if watch.streams == 0 || watch.watchers_per_stream == 0 => {
                refuse("--streams and --watchers-per-stream must be at least 1")
            }
            Workload::Watch(_) if load.val_size < 8 => {
                refuse("--val-size must be at least 8: the value carries the time it was sent")
            }
            _ => Ok(()),
        }
    }
}

impl LoadOptions {
    fn key_digits(&self) -> usize {
        (self.key_space_size - 1).max(1).ilog10() as usize + 1
    }

    /// The key with a number, padded to the wanted length.
    pub(super) fn key(&self, number: u64) -> bytes::Bytes {
        let width = self.key_size - self.prefix.len();
        format!("{}{number:0width$}", self.prefix).into()
    }
}
