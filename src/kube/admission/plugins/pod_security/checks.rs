//! The checks of the Pod Security Standards, and from which version on each holds.
//!
//! Rules: <https://kubernetes.io/docs/concepts/security/pod-security-standards/>; words, order and versions are
//! those of `k8s.io/pod-security-admission`.

use serde_json::Value;

use super::level::{Bar, Level, Version};
use super::{baseline, restricted};
use crate::kube::tree::{flag, get, items, text};

/// The first version that no check differs in any more.
const NEWEST: u32 = 35;
const EVER: u32 = u32::MAX;

/// A pod or the template of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pod<'a> {
    pub(super) metadata: &'a Value,
    pub(super) spec: &'a Value,
}

/// What a check has against a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) reason: String,
    /// Where, or what exactly.
    pub(super) detail: String,
}

pub(super) type Check = fn(Pod<'_>) -> Option<Violation>;

/// A check of one level from a version on, until before another one.
struct Row {
    from: u32,
    to: u32,
    /// From here on a stricter check of the restricted level takes its place there.
    replaced: u32,
    check: Check,
}

const fn row(from: u32, to: u32, replaced: u32, check: Check) -> Row {
    Row {
        from,
        to,
        replaced,
        check,
    }
}

/// By the name of the check, as they are told.
const BASELINE: [Row; 18] = [
    row(0, EVER, EVER, baseline::app_armor),
    row(0, EVER, 22, baseline::capabilities),
    row(0, EVER, EVER, baseline::host_namespaces),
    row(0, EVER, 0, baseline::host_paths),
    row(0, EVER, EVER, baseline::host_ports),
    row(34, EVER, EVER, baseline::probe_hosts),
    row(0, EVER, EVER, baseline::privileged),
    row(0, 35, EVER, baseline::proc_mount),
    row(35, EVER, 35, baseline::proc_mount_of_host_users),
    row(0, 31, EVER, baseline::se_linux),
    row(31, EVER, EVER, baseline::se_linux_31),
    row(0, 19, EVER, baseline::seccomp_annotations),
    row(19, EVER, 19, baseline::seccomp),
    row(0, 27, EVER, baseline::sysctls),
    row(27, 29, EVER, baseline::sysctls_27),
    row(29, 32, EVER, baseline::sysctls_29),
    row(32, EVER, EVER, baseline::sysctls_32),
    row(0, EVER, EVER, baseline::host_process),
];
const RESTRICTED: [Row; 12] = [
    row(8, 25, EVER, restricted::escalation),
    row(25, EVER, EVER, restricted::escalation_25),
    row(22, 25, EVER, restricted::capabilities),
    row(25, EVER, EVER, restricted::capabilities_25),
    row(35, EVER, EVER, baseline::proc_mount),
    row(0, EVER, EVER, restricted::volumes),
    row(0, 35, EVER, restricted::non_root),
    row(35, EVER, EVER, restricted::non_root_35),
    row(23, 35, EVER, restricted::user),
    row(35, EVER, EVER, restricted::user_35),
    row(19, 25, EVER, restricted::seccomp),
    row(25, EVER, EVER, restricted::seccomp_25),
];

/// What is against a pod.
pub(super) fn violations(bar: Bar, pod: Pod<'_>) -> Vec<Violation> {
    let version = match bar.version {
        Version::Minor(minor) => minor.min(NEWEST),
        Version::Latest => NEWEST,
    };
    let holds = |row: &&Row| (row.from..row.to).contains(&version);
    let strict = bar.level == Level::Restricted;
    let baseline = BASELINE
        .iter()
        .filter(|row| !strict || version < row.replaced);
    let (baseline, restricted) = match bar.level {
        Level::Privileged => (None, None),
        Level::Baseline => (Some(baseline), None),
        Level::Restricted => (Some(baseline), Some(RESTRICTED.iter())),
    };
    let all = baseline.into_iter().flatten().filter(holds);
    let all = all.chain(restricted.into_iter().flatten().filter(holds));
    all.filter_map(|row| (row.check)(pod)).collect()
}

/// `host namespaces (hostPID=true), privileged (...)`.
pub(super) fn details(all: &[Violation]) -> String {
    let each = all.iter().map(|one| match one.detail.as_str() {
        "" => one.reason.clone(),
        detail => format!("{} ({detail})", one.reason),
    });
    each.collect::<Vec<_>>().join(", ")
}

/// The same without what it is that is wrong with each.
pub(super) fn reasons(all: &[Violation]) -> String {
    let each: Vec<&str> = all.iter().map(|one| one.reason.as_str()).collect();
    each.join(", ")
}

impl<'a> Pod<'a> {
    /// Those that run first, those that run, those that were added.
    pub(super) fn containers(self) -> impl Iterator<Item = &'a Value> {
        let lists = ["initContainers", "containers", "ephemeralContainers"];
        lists
            .into_iter()
            .flat_map(move |list| items(self.spec, &[list]))
    }

    /// The names of containers of which something holds.
    pub(super) fn those(self, mut holds: impl FnMut(&'a Value) -> bool) -> Vec<&'a str> {
        let found = self.containers().filter(|container| holds(container));
        found.map(|container| text(container, &["name"])).collect()
    }

    pub(super) fn is_windows(self) -> bool {
        text(self.spec, &["os", "name"]) == "windows"
    }

    /// Whether its users are none of the host's.
    pub(super) fn has_own_users(self) -> bool {
        get(self.spec, &["hostUsers"]).is_some() && !flag(self.spec, &["hostUsers"])
    }
}

pub(super) fn violation(reason: impl Into<String>, detail: impl Into<String>) -> Option<Violation> {
    Some(Violation {
        reason: reason.into(),
        detail: detail.into(),
    })
}

/// `"a", "b"`.
pub(super) fn listed<T: AsRef<str>>(all: impl IntoIterator<Item = T>) -> String {
    let each = all.into_iter().map(|one| format!("\"{}\"", one.as_ref()));
    each.collect::<Vec<_>>().join(", ")
}

pub(super) fn plural<'a>(one: &'a str, many: &'a str, count: usize) -> &'a str {
    if count == 1 { one } else { many }
}

/// `container "a"`, `containers "a", "b"`.
pub(super) fn containers(names: &[&str]) -> String {
    let word = plural("container", "containers", names.len());
    format!("{word} {}", listed(names))
}

/// Who has set something: the pod, containers, or both.
pub(super) fn setters(pod: bool, names: &[&str]) -> Vec<String> {
    let pod = pod.then(|| "pod".to_owned());
    let names = (!names.is_empty()).then(|| containers(names));
    pod.into_iter().chain(names).collect()
}
