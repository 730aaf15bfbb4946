//! The row of a pod: what `kubectl get pods` says about it.

use serde_json::{Value, json};

use super::cells;
use super::value::{Subject, flag, has, is_true, list, number, or, since, text};

pub(super) fn row(pod: Subject<'_>) -> Vec<Value> {
    let mut summary = Summary::new(pod);
    let initialized = summary.init_containers(pod);
    if initialized || is_true(pod.list("status.conditions"), "Initialized") {
        summary.containers(pod);
    }
    if pod.has("metadata.deletionTimestamp") {
        if pod.text("status.reason") == "NodeLost" {
            summary.reason = "Unknown".into();
        } else if !matches!(pod.text("status.phase"), "Failed" | "Succeeded") {
            summary.reason = "Terminating".into();
        }
    }
    let restarts = match summary.restarts {
        Restarts { count, last } if count != 0 && !last.is_empty() => {
            format!("{count} ({} ago)", since(last, pod.now))
        }
        Restarts { count, .. } => count.to_string(),
    };
    let address = pod.list("status.podIPs").first();
    let address = address.map_or("", |one| text(one, "ip"));
    cells![
        pod.name(),
        format!("{}/{}", summary.ready, summary.total),
        summary.reason,
        restarts,
        pod.age(),
        or(address, "<none>"),
        or(pod.text("spec.nodeName"), "<none>"),
        or(pod.text("status.nominatedNodeName"), "<none>"),
        readiness_gates(pod),
    ]
}

/// `conditions` of the row: clients may hide pods that are done.
pub(super) fn row_conditions(pod: &Value) -> Option<Value> {
    let phase = text(pod, "status.phase");
    let message = match phase {
        "Succeeded" => "The pod has completed successfully.",
        "Failed" => "The pod failed.",
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": phase, "message": message}]))
}

/// What the containers' states add up to.
struct Summary<'a> {
    reason: String,
    ready: usize,
    total: usize,
    restarts: Restarts<'a>,
    /// Of init containers that go on running beside the others.
    sidecar_restarts: Restarts<'a>,
}

/// How often containers were started again, and when one ended last.
#[derive(Clone, Copy, Default)]
struct Restarts<'a> {
    count: i64,
    /// RFC 3339 in UTC, so that the order of texts is that of times; empty without.
    last: &'a str,
}

impl<'a> Restarts<'a> {
    fn add(&mut self, status: &'a Value) {
        self.count = self.count.saturating_add(number(status, "restartCount"));
        self.last = self
            .last
            .max(text(status, "lastState.terminated.finishedAt"));
    }
}

impl<'a> Summary<'a> {
    fn new(pod: Subject<'a>) -> Self {
        let gated = pod.list("status.conditions").iter().any(|one| {
            text(one, "type") == "PodScheduled" && text(one, "reason") == "SchedulingGated"
        });
        let reason = match pod.text("status.reason") {
            _ if gated => "SchedulingGated",
            "" => pod.text("status.phase"),
            reason => reason,
        };
        let sidecars = pod.list("spec.initContainers").iter();
        let sidecars = sidecars.filter(|one| is_sidecar(one)).count();
        Self {
            reason: reason.into(),
            ready: 0,
            total: pod.list("spec.containers").len() + sidecars,
            restarts: Restarts::default(),
            sidecar_restarts: Restarts::default(),
        }
    }

    /// Whether all of them are done or, being sidecars, have started; the first that is not gives the reason.
    fn init_containers(&mut self, pod: Subject<'a>) -> bool {
        let declared = pod.list("spec.initContainers");
        for (at, status) in pod.list("status.initContainerStatuses").iter().enumerate() {
            let name = text(status, "name");
            // The last of a name counts.
            let of = declared.iter().rfind(|one| text(one, "name") == name);
            let sidecar = of.is_some_and(is_sidecar);
            self.restarts.add(status);
            if sidecar {
                self.sidecar_restarts.add(status);
            }
            let ended = has(status, "state.terminated");
            if ended && number(status, "state.terminated.exitCode") == 0 {
                continue;
            }
            if sidecar && flag(status, "started") {
                self.ready += usize::from(flag(status, "ready"));
                continue;
            }
            let waiting = text(status, "state.waiting.reason");
            self.reason = if ended {
                format!("Init:{}", end(status))
            } else if !waiting.is_empty() && waiting != "PodInitializing" {
                format!("Init:{waiting}")
            } else {
                format!("Init:{at}/{}", declared.len())
            };
            return false;
        }
        true
    }

    /// The first container with something to say gives the reason.
    fn containers(&mut self, pod: Subject<'a>) {
        self.restarts = self.sidecar_restarts;
        let (mut running, mut failure) = (false, None);
        for status in pod.list("status.containerStatuses").iter().rev() {
            self.restarts.add(status);
            let waiting = text(status, "state.waiting.reason");
            if !waiting.is_empty() {
                self.reason = waiting.into();
            } else if has(status, "state.terminated") {
                self.reason = end(status);
                if number(status, "state.terminated.exitCode") != 0 {
                    failure = Some(self.reason.clone());
                }
            } else if flag(status, "ready") && has(status, "state.running") {
                running = true;
                self.ready += 1;
            }
        }
        // A pod of which only some containers are done is not.
        if self.reason == "Completed" {
            if running && any_is_true(pod.list("status.conditions"), "Ready") {
                self.reason = "Running".into();
            } else if let Some(failure) = failure {
                self.reason = failure;
            } else if running {
                self.reason = "NotReady".into();
            }
        }
    }
}

fn is_sidecar(container: &Value) -> bool {
    text(container, "restartPolicy") == "Always"
}

/// Why a container ended.
fn end(status: &Value) -> String {
    let reason = text(status, "state.terminated.reason");
    let signal = number(status, "state.terminated.signal");
    if !reason.is_empty() {
        reason.into()
    } else if signal != 0 {
        format!("Signal:{signal}")
    } else {
        format!("ExitCode:{}", number(status, "state.terminated.exitCode"))
    }
}

fn any_is_true(conditions: &[Value], kind: &str) -> bool {
    let mut conditions = conditions.iter();
    conditions.any(|one| text(one, "type") == kind && text(one, "status") == "True")
}

fn readiness_gates(pod: Subject<'_>) -> String {
    let gates = pod.list("spec.readinessGates");
    if gates.is_empty() {
        return "<none>".into();
    }
    let conditions = list(pod.object, "status.conditions");
    let open = gates.iter();
    let open = open.filter(|gate| is_true(conditions, text(gate, "conditionType")));
    format!("{}/{}", open.count(), gates.len())
}
