//! Owners of `spec.replicas` as the scale subresource shows them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::managed::{self, Managed, Owned};
use super::path::Element;
use super::set::Set;
use crate::kube::schema::Resource;

/// The version of `Scale`.
const SCALE: &str = "autoscaling/v1";

/// Translates owners between an object and its `Scale`.
#[derive(Debug)]
pub struct ScaleFields {
    version: String,
    /// Where the object keeps the number, `spec.replicas`.
    path: Vec<Element>,
}

impl ScaleFields {
    /// `path` is the field that holds the number of replicas: `spec.replicas`.
    pub fn new(resource: &Resource, path: &str) -> Self {
        Self {
            version: resource.api_version(),
            path: path.split('.').map(Element::field).collect(),
        }
    }

    /// `metadata.managedFields` of the `Scale` of an object: the owners of its number of replicas. None if nobody owns it or
    /// the owners cannot be read.
    pub fn of_object(&self, object: &Value) -> Option<Value> {
        let managed = managed::read(managed::of(object)).ok()?;
        let owners = managed.into_iter().filter(|(_, owned)| self.owns(owned));
        let owners = owners.map(|(identity, owned)| {
            let owned = Owned {
                set: Set::of_fields(&["spec.replicas"]),
                version: SCALE.into(),
                time: owned.time,
            };
            (identity, owned)
        });
        let owners: Managed = owners.collect();
        (!owners.is_empty()).then(|| managed::write(&owners).into())
    }

    fn owns(&self, owned: &Owned) -> bool {
        owned.version == self.version && owned.set.has(&self.path)
    }

    /// Puts the owners of a changed `Scale` into the object that it is of. Owners that cannot be read stay as they were.
    pub fn into_object(&self, scale: &Value, object: &mut Value) {
        let own = managed::read(managed::of(object));
        let scaled = managed::read(managed::of(scale));
        let (Ok(own), Ok(mut scaled)) = (own, scaled) else {
            return;
        };
        let own_path = {
            let mut set = Set::default();
            set.insert(&self.path);
            set
        };
        let times: BTreeMap<_, _> = own
            .iter()
            .map(|(who, owned)| (who.clone(), owned.time.clone()))
            .collect();
        let mut owners = Managed::new();
        for (identity, mut owned) in own {
            if owned.version != self.version {
                continue;
            }
            if self.owns(&owned) && scaled.remove(&identity).is_none() {
                owned.set = owned.set.difference(&own_path);
            }
            if !owned.set.is_empty() {
                owners.insert(identity, owned);
            }
        }
        let replicas = ["spec", "replicas"].map(Element::field);
        for (identity, owned) in scaled {
            if owned.set.has(&replicas) {
                // The release takes the time from the object's own entries, so a new one has none.
                let owned = Owned {
                    set: own_path.clone(),
                    version: self.version.clone(),
                    time: times.get(&identity).cloned().flatten(),
                };
                owners.insert(identity, owned);
            }
        }
        if !object.is_object() {
            *object = Map::new().into();
        }
        managed::put(object, &owners);
    }
}
