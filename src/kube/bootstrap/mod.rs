//! The objects that the server makes for itself at its start, and what it does when they are there already.
//!
//! Nothing here writes: an [`Own`] says what is to be there, and [`Own::change`] what has to be done about what is.

mod api_services;
mod cluster;
mod flow;
mod lease;
mod rbac;
mod upkeep;

use serde_json::Value;

pub use api_services::{AUTOMANAGED, custom_api_service};
pub use cluster::{Facts, FrontProxyFacts, cluster_objects, endpoints};
pub use lease::identity_lease;
pub use rbac::roles_and_bindings;
pub use upkeep::Change;

/// An object of the server's own.
#[derive(Debug, Clone)]
pub struct Own {
    pub group: &'static str,
    pub version: &'static str,
    pub plural: &'static str,
    /// In Go form but for what the way through the registry adds: uid, creation time, defaults.
    pub object: Value,
    pub upkeep: Upkeep,
}

/// What is done about an object that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upkeep {
    /// Nothing.
    LeaveAlone,
    /// Missing rules, selectors and labels are added; nothing is taken away. Not where an annotation forbids it.
    Role,
    /// Missing subjects and labels are added; with another role it is made anew. As [`Self::Role`].
    Binding,
    /// It gets back its labels and its `spec`.
    Spec,
    /// As [`Self::Spec`], unless an annotation says that somebody else looks after it, or without one, somebody has
    /// changed it.
    SpecUnlessTaken,
    /// A service: it gets back its ports and its type.
    Ports,
    /// Whatever is neither metadata nor status is as it has to be.
    Content,
    /// A configmap of certificates and lists: what is missing in them is added.
    Trust,
}

impl Own {
    pub fn namespace(&self) -> &str {
        text(&self.object, "/metadata/namespace")
    }

    pub fn name(&self) -> &str {
        text(&self.object, "/metadata/name")
    }

    /// What has to be done; `existing` is what is stored.
    pub fn change(&self, existing: Option<&Value>) -> Change {
        let Some(existing) = existing else {
            return Change::Create(self.object.clone());
        };
        match self.upkeep {
            Upkeep::LeaveAlone => Change::Nothing,
            Upkeep::Role => upkeep::role(existing, &self.object),
            Upkeep::Binding => upkeep::binding(existing, &self.object),
            Upkeep::Spec => upkeep::content(existing, &self.object, &["spec"]),
            Upkeep::SpecUnlessTaken => upkeep::spec_unless_taken(existing, &self.object),
            Upkeep::Ports => upkeep::ports(existing, &self.object),
            Upkeep::Content => upkeep::content(existing, &self.object, &[]),
            Upkeep::Trust => upkeep::trust(existing, &self.object),
        }
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    let text = object.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default()
}
