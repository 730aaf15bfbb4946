//! `holdfast up`: a cluster of several members on this machine, each a process of its own.
//!
//! Everything that can be wrong is looked for before the first process starts, and said in one line. The
//! members' data stays between runs; their logs lie beside it. They end with this process, however that
//! ends: each watches a pipe that it holds.

mod child;
mod plan;
mod probe;
mod progress;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use self::child::Child;
use self::plan::{MemberPlan, Plan};
use self::progress::Progress;
use super::signals::StopSignals;
use super::terminal::{complain, say};

/// Between looks at whether a member serves.
const POLL: Duration = Duration::from_millis(100);

/// After this time without a cluster that serves, something is wrong.
const PATIENCE: Duration = Duration::from_secs(120);

/// Options of `holdfast up`.
#[derive(Debug, Clone, Args)]
pub(super) struct UpOptions {
    /// How many members
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=5))]
    pub(super) members: u16,
    /// Where their data is kept, and their logs
    #[arg(long, default_value = "./data")]
    pub(super) data_dir: PathBuf,
    /// Client port of the first member; its peer port is the next one. The others are 20000, 30000...
    /// above
    #[arg(long, default_value_t = 2379)]
    pub(super) base_port: u16,
    /// Port of the first member's Kubernetes API; the others are 10000, 20000... above. 0 serves none
    #[arg(long, default_value_t = 6443)]
    pub(super) kube_port: u16,
}

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpError {
    /// The options ask for what cannot be, or something is in the way.
    #[error(transparent)]
    Plan(#[from] plan::PlanError),
    /// A process or its log cannot be started.
    #[error("cannot start member {name}: {source}")]
    Spawn {
        /// The member.
        name: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A member ended by itself.
    #[error("member {name} ended ({status}): {last_line}")]
    Ended {
        /// The member.
        name: String,
        /// How.
        status: String,
        /// The last thing it said.
        last_line: String,
    },
    /// The members run but do not serve.
    #[error("the members did not become ready in {} s: {waiting} still waiting, see {log}", PATIENCE.as_secs())]
    NotReady {
        /// Names of those that are not.
        waiting: String,
        /// Where to look.
        log: String,
    },
    /// The system refuses something.
    #[error("cannot {action}: {source}")]
    System {
        /// What was tried.
        action: &'static str,
        /// What it says.
        source: std::io::Error,
    },
}

/// Runs the cluster until told to stop.
pub(super) fn run(options: &UpOptions) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(serve(options)),
        Err(source) => Err(UpError::System {
            action: "start a runtime",
            source,
        }),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("holdfast up: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn serve(options: &UpOptions) -> Result<(), UpError> {
    let plan = Plan::new(options)?;
    plan.check()?;
    let mut signals = StopSignals::listen().map_err(|source| UpError::System {
        action: "listen for signals",
        source,
    })?;
    let mut children = Vec::new();
    let outcome = tokio::select! {
        outcome = run_members(&plan, &mut children) => outcome,
        _ = signals.next() => Ok(()),
    };
    say(format_args!("Stopping {} members...", children.len()));
    tokio::select! {
        () = stop_all(&mut children) => {}
        () = signals.next_signal() => {}
    }
    outcome
}

/// Starts the members, says how to reach them, and returns when one ends.
async fn run_members(plan: &Plan, children: &mut Vec<Child>) -> Result<(), UpError> {
    for member in &plan.members {
        let child = Child::spawn(member).map_err(|source| UpError::Spawn {
            name: member.name.clone(),
            source,
        })?;
        children.push(child);
    }
    wait_until_ready(plan, children).await?;
    introduce(plan);
    loop {
        tokio::time::sleep(POLL).await;
        check_alive(children)?;
    }
}

async fn wait_until_ready(plan: &Plan, children: &mut [Child]) -> Result<(), UpError> {
    let progress = Progress::start(plan.members.len());
    let mut waiting: Vec<&MemberPlan> = plan.members.iter().collect();
    let everyone = async {
        while !waiting.is_empty() {
            check_alive(children)?;
            let mut still = Vec::new();
            for member in waiting.drain(..) {
                if !probe::is_ready(member.client_port).await {
                    still.push(member);
                }
            }
            waiting = still;
            progress.show(waiting.iter().map(|m| m.name.as_str()));
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    };
    let outcome = tokio::time::timeout(PATIENCE, everyone).await;
    progress.finish();
    outcome.unwrap_or_else(|_| {
        let names: Vec<_> = waiting.iter().map(|m| m.name.as_str()).collect();
        let log = waiting.first().map(|m| m.log.display().to_string());
        Err(UpError::NotReady {
            waiting: names.join(", "),
            log: log.unwrap_or_default(),
        })
    })
}

fn check_alive(children: &mut [Child]) -> Result<(), UpError> {
    for child in children {
        if let Some(status) = child.ended() {
            return Err(UpError::Ended {
                name: child.name().to_owned(),
                status,
                last_line: child.last_line(),
            });
        }
    }
    Ok(())
}

/// All at once, and then waits for each.
async fn stop_all(children: &mut [Child]) {
    for child in children.iter_mut() {
        child.tell_to_stop();
    }
    for child in children {
        child.wait().await;
    }
}

/// Endpoints and three commands to try.
fn introduce(plan: &Plan) {
    let endpoints = plan.endpoints();
    say("");
    for member in &plan.members {
        say(format_args!(
            "  {}  http://127.0.0.1:{}  log {}",
            member.name,
            member.client_port,
            member.log.display()
        ));
    }
    say("\nThree commands to try in another terminal:\n");
    let kubeconfig = plan.kubeconfig.as_deref();
    for command in plan::commands(&endpoints, plan::is_on_path("etcdctl"), kubeconfig) {
        say(format_args!("  {command}"));
    }
    say("\nCtrl-C stops all members; the data stays in place.");
}
