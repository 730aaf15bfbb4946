//! What the state of the member has to say of a call before anyone looks at it: does it serve such calls at
//! all, and is there the leader that the caller asks for.

use std::sync::Arc;

use http::HeaderMap;
use tonic::Status;

use super::leader;
use super::methods::Method;
use crate::engine::Engine;
use crate::etcd::status;

/// A question to the member, answered at once.
type Ask = Arc<dyn Fn() -> bool + Send + Sync>;

/// Lets calls in or refuses them. Cheap to clone, and to ask.
#[derive(Clone)]
pub(super) struct Admission {
    has_leader: Ask,
    is_learner: Ask,
}

impl Admission {
    /// What this member's state says.
    pub(super) fn of(engine: &Engine) -> Self {
        let (leads, learns) = (engine.clone(), engine.clone());
        Self::new(move || leads.has_leader(), move || learns.is_learner())
    }

    pub(super) fn new(
        has_leader: impl Fn() -> bool + Send + Sync + 'static,
        is_learner: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            has_leader: Arc::new(has_leader),
            is_learner: Arc::new(is_learner),
        }
    }

    /// Refuses a call that the member cannot serve now.
    pub(super) fn check(&self, method: &Method, headers: &HeaderMap) -> Result<(), Status> {
        if !method.for_learners && (self.is_learner)() {
            return Err(status::not_for_learners());
        }
        if leader::is_required(headers) && !(self.has_leader)() {
            return Err(status::no_leader());
        }
        Ok(())
    }
}
