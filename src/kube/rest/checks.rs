//! What the health pages look at: the store, and how far the start has come.
//!
//! The names are kube-apiserver's and stand here for the same work; those of work that is not done here are left out.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Inner;
use crate::kube::bootstrap::Own;
use crate::kube::health::Check;

/// How long the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A part of the start. Each is done once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Part {
    Namespaces,
    /// What aggregated servers believe clients by.
    Trust,
    /// The lease that says that this member lives.
    Identity,
    /// Leases of servers that live no more have been looked for.
    Departed,
    /// Since when old tokens are tracked.
    TokenTracking,
    Roles,
    PriorityClasses,
    /// Flow schemas and priority levels.
    Flows,
    /// The service `kubernetes`, and where it leads.
    Service,
    /// The range of addresses of services.
    ServiceRange,
    ApiServices,
}

impl Part {
    /// The part that makes an object.
    pub(super) fn of(own: &Own) -> Self {
        match own.plural {
            "namespaces" => Self::Namespaces,
            "services" | "endpoints" | "endpointslices" => Self::Service,
            "servicecidrs" | "ipaddresses" => Self::ServiceRange,
            "priorityclasses" => Self::PriorityClasses,
            "flowschemas" | "prioritylevelconfigurations" => Self::Flows,
            "apiservices" => Self::ApiServices,
            "configmaps" if own.name() == "extension-apiserver-authentication" => Self::Trust,
            "configmaps" => Self::TokenTracking,
            "leases" => Self::Identity,
            _ => Self::Roles,
        }
    }
}

/// How far the start has come, and whether the end has.
#[derive(Debug, Default)]
pub(super) struct Progress {
    done: AtomicU32,
    stopping: CancellationToken,
}

impl Progress {
    pub(super) fn done(&self, part: Part) {
        self.done.fetch_or(1 << part as u8, Relaxed);
    }

    /// The member is about to stop.
    pub(super) fn stop(&self) {
        self.stopping.cancel();
    }

    /// Completes once the member is about to stop.
    pub(super) async fn stopping(&self) {
        self.stopping.cancelled().await;
    }

    fn check(&self, part: Part) -> Result<(), String> {
        let done = self.done.load(Relaxed) & 1 << part as u8 != 0;
        done.then_some(()).ok_or_else(|| "not finished".into())
    }
}

/// What a check looks at.
#[derive(Debug, Clone, Copy)]
enum Look {
    /// Nothing: whoever can answer has it.
    Here,
    /// Whether the store answers.
    Store,
    At(Part),
    /// Whether the member is not about to stop.
    Staying,
}

/// Name and look of every check in the order of the page, and whether `/readyz` alone has it.
static CHECKS: [(&str, Look, bool); 23] = [
    ("ping", Look::Here, false),
    ("log", Look::Here, false),
    ("etcd", Look::Store, false),
    ("etcd-readiness", Look::Store, true),
    ("informer-sync", Look::Here, true),
    (
        "poststarthook/start-apiserver-admission-initializer",
        Look::Here,
        false,
    ),
    (
        "poststarthook/generic-apiserver-start-informers",
        Look::Here,
        false,
    ),
    (
        "poststarthook/priority-and-fairness-config-consumer",
        Look::At(Part::Flows),
        false,
    ),
    (
        "poststarthook/start-system-namespaces-controller",
        Look::At(Part::Namespaces),
        false,
    ),
    (
        "poststarthook/start-cluster-authentication-info-controller",
        Look::At(Part::Trust),
        false,
    ),
    (
        "poststarthook/start-kube-apiserver-identity-lease-controller",
        Look::At(Part::Identity),
        false,
    ),
    (
        "poststarthook/start-kube-apiserver-identity-lease-garbage-collector",
        Look::At(Part::Departed),
        false,
    ),
    ("poststarthook/storage-readiness", Look::Here, false),
    (
        "poststarthook/start-legacy-token-tracking-controller",
        Look::At(Part::TokenTracking),
        false,
    ),
    (
        "poststarthook/rbac/bootstrap-roles",
        Look::At(Part::Roles),
        false,
    ),
    (
        "poststarthook/scheduling/bootstrap-system-priority-classes",
        Look::At(Part::PriorityClasses),
        false,
    ),
    (
        "poststarthook/priority-and-fairness-config-producer",
        Look::At(Part::Flows),
        false,
    ),
    (
        "poststarthook/bootstrap-controller",
        Look::At(Part::Service),
        false,
    ),
    (
        "poststarthook/start-kubernetes-service-cidr-controller",
        Look::At(Part::ServiceRange),
        false,
    ),
    (
        "poststarthook/apiservice-status-local-available-controller",
        Look::At(Part::ApiServices),
        false,
    ),
    (
        "poststarthook/kube-apiserver-autoregistration",
        Look::At(Part::ApiServices),
        false,
    ),
    (
        "autoregister-completion",
        Look::At(Part::ApiServices),
        false,
    ),
    ("shutdown", Look::Staying, true),
];

/// The pages, without their slash.
pub(super) const PAGES: [&str; 3] = ["healthz", "livez", "readyz"];

/// The names of a page's checks.
fn named(page: &str) -> impl Iterator<Item = &'static (&'static str, Look, bool)> {
    let ready = page == "readyz";
    CHECKS
        .iter()
        .filter(move |(_, _, ready_only)| ready || !ready_only)
}

/// Every path of the health pages.
pub(super) fn paths() -> impl Iterator<Item = String> {
    PAGES.iter().flat_map(|page| {
        let of = move |(name, ..): &(&str, Look, bool)| format!("/{page}/{name}");
        std::iter::once(format!("/{page}")).chain(named(page).map(of))
    })
}

/// The checks of a page as they are now; of the one called `only`, if that is given.
pub(super) async fn checks(inner: &Inner, page: &str, only: Option<&str>) -> Vec<Check<'static>> {
    let wanted = |name: &str| only.is_none_or(|only| only == name);
    let mut store = None;
    let mut made = Vec::new();
    for (name, look, _) in named(page).filter(|(name, ..)| wanted(name)) {
        let result = match look {
            Look::Here => Ok(()),
            Look::Store => match &store {
                Some(known) => Result::clone(known),
                None => store.insert(look_at_store(inner).await).clone(),
            },
            Look::At(part) => inner.progress.check(*part),
            Look::Staying if inner.progress.stopping.is_cancelled() => {
                Err("process is shutting down".into())
            }
            Look::Staying => Ok(()),
        };
        made.push(Check { name, result });
    }
    made
}

async fn look_at_store(inner: &Inner) -> Result<(), String> {
    let answer = tokio::time::timeout(PATIENCE, inner.store.engine().read_barrier()).await;
    match answer {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("the store does not answer".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_looks_at_more_than_life() {
        let names = |page: &'static str| named(page).map(|(name, ..)| *name).collect::<Vec<_>>();
        let more: Vec<_> = names("readyz")
            .into_iter()
            .filter(|name| !names("livez").contains(name))
            .collect();
        assert_eq!(more, ["etcd-readiness", "informer-sync", "shutdown"]);
        assert_eq!(names("livez"), names("healthz"));
        assert!(paths().any(|path| path == "/readyz/poststarthook/rbac/bootstrap-roles"));
    }

    #[test]
    fn a_part_is_not_done_before_it_is() {
        let progress = Progress::default();
        assert!(progress.check(Part::ApiServices).is_err());
        progress.done(Part::ApiServices);
        assert!(progress.check(Part::ApiServices).is_ok() && progress.check(Part::Roles).is_err());
    }
}
