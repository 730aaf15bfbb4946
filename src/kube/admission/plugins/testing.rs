//! A handful of objects to look up, and requests about them.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use super::{Given, mutate, validate};
use crate::kube::admission::attributes::{Attributes, Operation};
use crate::kube::admission::quota::Charged;
use crate::kube::objects::Objects;
use crate::kube::schema::Resources;
use crate::kube::status::ApiResult;
use crate::kube::user::User;

/// Objects with the group and plural of their resource.
#[derive(Default)]
pub(super) struct Few(pub(super) Vec<(&'static str, &'static str, Value)>);

impl Objects for Few {
    fn get(&self, group: &str, plural: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let mut all = self.list(group, plural, None).into_iter();
        all.find(|one| {
            let at = |key| one.pointer(key).and_then(Value::as_str).unwrap_or("");
            at("/metadata/name") == name && at("/metadata/namespace") == namespace
        })
    }

    fn list(&self, group: &str, plural: &str, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let of = self
            .0
            .iter()
            .filter(|one| one.0 == group && one.1 == plural);
        let of = of.filter(|one| {
            let at = one.2.pointer("/metadata/namespace");
            namespace.is_none_or(|namespace| at.and_then(Value::as_str) == Some(namespace))
        });
        of.map(|one| Arc::new(one.2.clone())).collect()
    }
}

/// A request about the resource of a group and plural in namespace `ns`.
pub(super) struct Ask {
    pub(super) operation: Operation,
    pub(super) resource: (&'static str, &'static str, &'static str),
    pub(super) subresource: &'static str,
}

pub(super) const CREATE_POD: Ask = Ask {
    operation: Operation::Create,
    resource: ("", "v1", "pods"),
    subresource: "",
};

impl Ask {
    fn with<T>(&self, object: &Value, then: impl FnOnce(&Attributes<'_>) -> T) -> T {
        let (group, version, plural) = self.resource;
        let user = User::default();
        let warnings = Mutex::default();
        let name = object.pointer("/metadata/name").and_then(Value::as_str);
        let attributes = Attributes {
            operation: self.operation,
            resource: Resources::built_in().find(group, version, plural).unwrap(),
            subresource: self.subresource,
            namespace: "ns",
            name: name.unwrap_or(""),
            user: &user,
            dry_run: false,
            warnings: &warnings,
            charged: &Charged::default(),
        };
        then(&attributes)
    }

    /// Runs one plugin, or all with `""`, over an object.
    pub(super) fn mutate(
        &self,
        plugin: &str,
        few: &Few,
        old: Option<&Value>,
        object: Value,
    ) -> ApiResult<Value> {
        self.with(&object.clone(), |attributes| {
            let has = |name: &str| plugin.is_empty() || name == plugin;
            let given = Given {
                attributes,
                objects: few,
                has: &has,
            };
            let mut object = object;
            mutate(given, old, &mut object, &mut || 5)?;
            let once = object.clone();
            mutate(given, old, &mut object, &mut || 6)?;
            assert_eq!(once, object, "a second run changes something");
            Ok(object)
        })
    }

    /// As [`Self::mutate`]; gives the text of the refusal.
    pub(super) fn judge(
        &self,
        plugin: &str,
        few: &Few,
        old: Option<&Value>,
        object: &Value,
    ) -> Result<(), String> {
        self.with(object, |attributes| {
            let has = |name: &str| plugin.is_empty() || name == plugin;
            let given = Given {
                attributes,
                objects: few,
                has: &has,
            };
            validate(given, old, object).map_err(|error| error.message)
        })
    }
}
