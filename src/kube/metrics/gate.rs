//! Who is let in.

use std::time::Instant;

use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::base::metrics::{Count, Histogram};
use crate::kube::authz::Verdict;

type By<M> = Family<[(&'static str, &'static str); 1], M, fn() -> M>;

/// Counts judgements. Handles that no page shows by default.
#[derive(Debug, Clone)]
pub struct GateMetrics {
    known: Judged,
    unknown: Judged,
    allowed: Judged,
    denied: Judged,
    no_opinion: Judged,
    /// By the names that have a series of their own.
    users: [Count; USERS.len()],
}

#[derive(Debug, Clone)]
struct Judged {
    times: Count,
    took: Histogram,
}

impl Judged {
    fn note(&self, began: Instant) {
        self.times.inc();
        self.took.since(began);
    }
}

/// Names of users that metrics tell apart, as in the release; the last ones are for mail addresses and all others.
const USERS: [&str; 7] = [
    "admin",
    "client",
    "kube_proxy",
    "kubelet",
    "system:serviceaccount:kube-system:default",
    "email_id",
    "other",
];

impl GateMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        fn by<M>(
            registry: &mut Registry,
            name: &'static str,
            help: &'static str,
            make: fn() -> M,
        ) -> By<M>
        where
            By<M>: prometheus_client::registry::Metric + Clone,
        {
            let family = Family::new_with_constructor(make);
            registry.register(name, help, family.clone());
            family
        }
        // 1 ms to 16 s.
        let times = || Histogram::doubling(0.001, 15);
        let attempts = by(
            registry,
            "authentication_attempts",
            "Requests by whether it is known who makes them",
            Count::default,
        );
        let took = by(
            registry,
            "authentication_duration_seconds",
            "Time to find out who makes a request",
            times,
        );
        let judged = |times: &By<Count>, took: &By<Histogram>, result| Judged {
            times: times.get_or_create_owned(&[("result", result)]),
            took: took.get_or_create_owned(&[("result", result)]),
        };
        let known = judged(&attempts, &took, "success");
        let unknown = judged(&attempts, &took, "error");
        let users = by(
            registry,
            "authenticated_user_requests",
            "Requests of those who are known",
            Count::default,
        );
        let attempts = by(
            registry,
            "authorization_attempts_total",
            "Requests by whether they may be made",
            Count::default,
        );
        let took = by(
            registry,
            "authorization_duration_seconds",
            "Time to find out whether a request may be made",
            times,
        );
        Self {
            known,
            unknown,
            allowed: judged(&attempts, &took, "allowed"),
            denied: judged(&attempts, &took, "denied"),
            no_opinion: judged(&attempts, &took, "no-opinion"),
            users: USERS.map(|user| users.get_or_create_owned(&[("username", user)])),
        }
    }

    /// Somebody was found to be `user`.
    pub fn known(&self, user: &str, began: Instant) {
        self.known.note(began);
        let own = USERS.iter().position(|known| *known == user);
        let kind = own.unwrap_or(if user.contains('@') {
            USERS.len() - 2
        } else {
            USERS.len() - 1
        });
        if let Some(count) = self.users.get(kind) {
            count.inc();
        }
    }

    /// Nobody knows who somebody is.
    pub fn unknown(&self, began: Instant) {
        self.unknown.note(began);
    }

    /// A request was judged.
    pub fn judged(&self, verdict: Verdict, began: Instant) {
        match verdict {
            Verdict::Allow => &self.allowed,
            Verdict::Deny => &self.denied,
            Verdict::NoOpinion => &self.no_opinion,
        }
        .note(began);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock;

    #[test]
    fn users_do_not_make_the_page_grow() {
        let mut registry = Registry::default();
        let gate = GateMetrics::register(&mut registry);
        for user in [
            "admin",
            "ann@example.com",
            "ben@example.com",
            "system:node:n",
        ] {
            gate.known(user, clock::now());
        }
        gate.unknown(clock::now());
        gate.judged(Verdict::NoOpinion, clock::now());
        let mut page = String::new();
        prometheus_client::encoding::text::encode_registry(&mut page, &registry).unwrap();
        for line in [
            r#"authenticated_user_requests{username="admin"} 1"#,
            r#"authenticated_user_requests{username="email_id"} 2"#,
            r#"authenticated_user_requests{username="other"} 1"#,
            r#"authentication_attempts{result="success"} 4"#,
            r#"authentication_attempts{result="error"} 1"#,
            r#"authorization_attempts_total{result="no-opinion"} 1"#,
        ] {
            assert!(
                page.lines().any(|one| one == line),
                "{line} is not in\n{page}"
            );
        }
        assert!(!page.contains("example.com"));
    }
}
