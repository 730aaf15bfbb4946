//! What a run printed: one set of figures, as text or JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::cpu::Used;
use super::load::Outcome;
use super::options::{BenchOptions, Workload};

/// The figures of a run. Latencies are in milliseconds, CPU in microseconds per operation.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    workload: &'static str,
    clients: usize,
    conns: usize,
    operations: u64,
    failed: u64,
    seconds: f64,
    rate: f64,
    latency_ms: Latency,
    client_cpu_us: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Server>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extra: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    errors: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
struct Latency {
    min: f64,
    mean: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

#[derive(Debug, Serialize)]
struct Server {
    cpu_us: f64,
    rss_mib: f64,
}

impl Report {
    pub(super) fn new(
        options: &BenchOptions,
        outcome: &Outcome,
        elapsed: Duration,
        used: &Used,
    ) -> Self {
        let operations = outcome.latency.len();
        let per_operation = |cpu: Duration| cpu.as_secs_f64() * 1e6 / operations.max(1) as f64;
        let server = (!options.load.server_pids.is_empty()).then(|| Server {
            cpu_us: per_operation(used.server),
            rss_mib: used.server_rss as f64 / f64::from(1 << 20),
        });
        Self {
            workload: name(&options.workload),
            clients: options.load.clients,
            conns: options.load.conns,
            operations,
            failed: outcome.errors.values().sum(),
            seconds: elapsed.as_secs_f64(),
            rate: operations as f64 / elapsed.as_secs_f64(),
            latency_ms: Latency::new(outcome),
            client_cpu_us: per_operation(used.client),
            server,
            extra: outcome.extra.clone(),
            errors: outcome.errors.clone(),
        }
    }
}

impl Latency {
    fn new(outcome: &Outcome) -> Self {
        let latency = &outcome.latency;
        let at = |quantile| latency.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            min: latency.min() as f64 / 1e3,
            mean: latency.mean() / 1e3,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: latency.max() as f64 / 1e3,
        }
    }
}

const fn name(workload: &Workload) -> &'static str {
    match workload {
        Workload::Put => "put",
        Workload::Range(_) => "range",
        Workload::Txn(_) => "txn",
        Workload::Mixed(_) => "mixed",
        Workload::Watch(_) => "watch",
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = match self.workload {
            "watch" => "deliveries",
            _ => "requests",
        };
        writeln!(
            f,
            "{}: {} {operation} in {:.2} s, {:.0}/s ({} clients, {} connections)",
            self.workload, self.operations, self.seconds, self.rate, self.clients, self.conns
        )?;
        let l = &self.latency_ms;
        writeln!(
            f,
            "latency ms: min {:.3}  mean {:.3}  p50 {:.3}  p90 {:.3}  p99 {:.3}  p99.9 {:.3}  max {:.3}",
            l.min, l.mean, l.p50, l.p90, l.p99, l.p999, l.max
        )?;
        write!(f, "CPU us/{operation}: client {:.2}", self.client_cpu_us)?;
        if let Some(server) = &self.server {
            write!(
                f,
                "  servers {:.2}  (resident {:.0} MiB)",
                server.cpu_us, server.rss_mib
            )?;
        }
        writeln!(f)?;
        for (name, count) in &self.extra {
            writeln!(f, "{name}: {count}")?;
        }
        for (error, count) in &self.errors {
            writeln!(f, "failed {count} times: {error}")?;
        }
        Ok(())
    }
}
