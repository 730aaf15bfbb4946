//! What the server makes of an object that a client sends, before it is judged: what clients may not set is
//! reset, kept or computed, by kind and subresource.
//!
//! A create goes through [`begin_create`] (before admission), [`fill`] (after mutating admission) and
//! [`prepare_create`]; an update through [`prepare_update`]; both end in defaults, as in the release, where whatever
//! is written is decoded once more. Objects are in Go form and stay in it. Nothing here looks at a clock or makes
//! up random numbers: both are handed in.

mod certificates;
mod create;
pub mod deletion;
mod generation;
mod metadata;
mod names;
mod pod;
mod qos;
mod service;
mod status;
mod time;
mod update;
mod warnings;

use std::time::SystemTime;

use serde_json::{Map, Value};

use super::schema::{ObjectType, Resource, Schema};
use super::user::User;

pub use create::prepare_create;
pub use metadata::{begin_create, dedup_owners, fill};
pub use names::{GENERATE_ATTEMPTS, generate, name_conflict, uid};
pub use qos::class as qos_class;
pub use time::{parse as parse_time, rfc3339};
pub use update::prepare_update;
pub use warnings::warnings;

type Object = Map<String, Value>;

/// Where random bits come from.
pub type Rng<'a> = &'a mut dyn FnMut() -> u64;

/// What the rules may know besides the objects.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub schema: &'a Schema,
    pub user: &'a User,
    pub now: SystemTime,
}

impl<'a> Context<'a> {
    fn of(&self, resource: &Resource) -> Option<&'a ObjectType> {
        resource.object.map(|id| self.schema.get(id))
    }

    /// A moment as objects have it.
    fn stamp(&self) -> Value {
        rfc3339(self.now).into()
    }
}

#[cfg(test)]
mod tests;
