//! Rules of custom resources, `x-kubernetes-validations`: compiled when a definition is written, and run when a resource is.
//!
//! [`check`] says what is wrong with the rules of a schema, and what they may cost at most; [`CompiledRules`] holds
//! objects to them. Rules: <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules>.

mod compile;
mod declare;
mod path;
mod ratchet;
mod run;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::kube::custom::structural::Structural;

pub use compile::check;
pub use run::{OBJECT_BUDGET, Verdict, skipped, validate};

/// The rules of a schema, ready to run.
#[derive(Debug)]
pub struct CompiledRules {
    root: compile::Node,
    schema: Arc<Structural>,
}
