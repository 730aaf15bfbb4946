//! Whether a request may be made: authorizers in the order of `--authorization-mode`, and what is said to those
//! who may not.

pub mod escalation;
pub mod impersonation;
pub mod node;
pub mod rbac;
pub mod refusal;
pub mod reviews;

#[cfg(any(test, fuzzing))]
pub mod fuzzing;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::objects::Objects;
use super::request::RequestInfo;
use super::user::{MASTERS, User};

/// What an authorizer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub verdict: Verdict,
    /// Why, for the audit log and for access reviews; `""` for no particular reason.
    pub reason: String,
}

/// The outcome of a judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    /// Nobody further is asked.
    Deny,
    /// Whoever comes next may allow it; at the end it is a refusal.
    NoOpinion,
}

impl Decision {
    pub fn allow(reason: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Allow,
            reason: reason.into(),
        }
    }

    pub fn no_opinion(reason: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::NoOpinion,
            reason: reason.into(),
        }
    }

    pub fn is_allowed(&self) -> bool {
        self.verdict == Verdict::Allow
    }
}

/// One way to judge, as `--authorization-mode` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    AlwaysAllow,
    AlwaysDeny,
    Node,
    Rbac,
}

impl Mode {
    /// As the flag names them.
    pub const ALL: [(&str, Self); 4] = [
        ("AlwaysAllow", Self::AlwaysAllow),
        ("AlwaysDeny", Self::AlwaysDeny),
        ("Node", Self::Node),
        ("RBAC", Self::Rbac),
    ];

    /// A mode by its name in the flag.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find_map(|(known, mode)| (*known == name).then_some(*mode))
    }
}

/// Judges requests.
pub struct Authorizer {
    modes: Vec<Mode>,
    rbac: rbac::Rbac,
    objects: Arc<dyn Objects>,
}

impl Authorizer {
    /// Asks in the order of `modes`. Members of [`MASTERS`] are allowed before anybody is asked.
    pub fn new(modes: Vec<Mode>, objects: Arc<dyn Objects>) -> Self {
        Self {
            modes,
            rbac: rbac::Rbac::new(Arc::clone(&objects)),
            objects,
        }
    }

    /// The roles and bindings that are judged by, whether or not RBAC is among the modes.
    pub fn rbac(&self) -> &rbac::Rbac {
        &self.rbac
    }

    /// In the order in which they are asked.
    pub fn modes(&self) -> &[Mode] {
        &self.modes
    }

    /// Judges a request of `user`.
    pub fn authorize(&self, user: &User, request: &RequestInfo) -> Decision {
        if user.is_in(MASTERS) {
            return Decision::allow("");
        }
        let mut reasons = Vec::new();
        for mode in &self.modes {
            let decision = self.ask(*mode, user, request);
            if decision.verdict != Verdict::NoOpinion {
                return decision;
            }
            if !decision.reason.is_empty() {
                reasons.push(decision.reason);
            }
        }
        Decision::no_opinion(reasons.join("\n"))
    }

    fn ask(&self, mode: Mode, user: &User, request: &RequestInfo) -> Decision {
        match mode {
            Mode::AlwaysAllow => Decision::allow(""),
            Mode::AlwaysDeny => Decision::no_opinion("Everything is forbidden."),
            Mode::Node => node::authorize(&*self.objects, user, request),
            Mode::Rbac => self.rbac.authorize(user, request),
        }
    }
}
