//! What is stored, for those who look other objects up: the views, decoded.

use std::sync::Arc;

use serde_json::Value;

use super::codec;
use super::objects::Objects;
use super::schema::Resources;
use super::store;
use super::views::{Stored, Views};

/// The stored objects as this member's views have them.
#[derive(Debug, Clone)]
pub struct Live {
    views: Views,
}

impl Live {
    pub fn new(views: Views) -> Self {
        Self { views }
    }

    /// Where a resource is stored, in whatever version: custom ones below their group.
    fn place(group: &str, plural: &str) -> String {
        let groups = Resources::built_in().groups().iter();
        let mut known = groups
            .filter(|of| &*of.group == group)
            .filter_map(|of| of.resources.iter().find(|one| &*one.plural == plural));
        match known.find_map(|resource| resource.key.as_deref()) {
            Some(place) => place.to_owned(),
            None => format!("{group}/{plural}"),
        }
    }
}

/// An object that cannot be decoded is as good as none here; a list of its resource tells of it.
fn decoded(stored: &Arc<Stored>) -> Option<Arc<Value>> {
    codec::object(stored).ok().cloned()
}

impl Objects for Live {
    fn get(&self, group: &str, plural: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let key = store::key(&Self::place(group, plural), namespace, name);
        self.views.world().get(&key).and_then(decoded)
    }

    fn list(&self, group: &str, plural: &str, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let prefix = store::prefix(&Self::place(group, plural), namespace.unwrap_or_default());
        let world = self.views.world();
        world
            .range(prefix.as_bytes(), b"")
            .filter_map(decoded)
            .collect()
    }
}
