//! A handful of objects to look up, and requests about them.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use super::node_restriction::NAME as NODE_RESTRICTION;
use super::{DENY, Given, mutate, validate};
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
    fn with<T>(
        &self,
        user: &str,
        object: &Value,
        then: impl FnOnce(&Attributes<'_>) -> T,
    ) -> (T, Vec<String>) {
        let (group, version, plural) = self.resource;
        let mut words = user.split(' ').map(str::to_owned);
        let user = User {
            name: words.next().unwrap_or_default(),
            groups: words.collect(),
            ..User::default()
        };
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
        let done = then(&attributes);
        (done, warnings.into_inner())
    }

    /// Runs one plugin, or all with `""`, over an object.
    pub(super) fn mutate(
        &self,
        plugin: &str,
        few: &Few,
        old: Option<&Value>,
        object: Value,
    ) -> ApiResult<Value> {
        let (done, _) = self.with("", &object.clone(), |attributes| {
            let given = Given {
                attributes,
                objects: few,
                has: &|name| plugin.is_empty() && name != DENY || name == plugin,
                may: &|_| Err("no".into()),
            };
            let mut object = object;
            mutate(given, old, &mut object, &mut || 5)?;
            let once = object.clone();
            mutate(given, old, &mut object, &mut || 6)?;
            assert_eq!(once, object, "a second run changes something");
            Ok(object)
        });
        done
    }

    /// As [`Self::mutate`]; gives the text of the refusal.
    pub(super) fn judge(
        &self,
        plugin: &str,
        few: &Few,
        old: Option<&Value>,
        object: &Value,
    ) -> Result<(), String> {
        self.judge_as("", plugin, few, old, object)
    }

    /// As [`Self::judge`] for somebody who may do one other thing: `verb group resource/subresource namespace/name`.
    pub(super) fn judge_as(
        &self,
        may: &str,
        plugin: &str,
        few: &Few,
        old: Option<&Value>,
        object: &Value,
    ) -> Result<(), String> {
        self.judge_by("", may, plugin, few, old, Some(object))
    }

    /// As [`Self::judge_as`] for a user and their groups, and for deletions too. Plugins that mutate are asked too.
    pub(super) fn judge_by(
        &self,
        user: &str,
        may: &str,
        plugin: &str,
        few: &Few,
        old: Option<&Value>,
        object: Option<&Value>,
    ) -> Result<(), String> {
        let (done, _) = self.told(user, may, plugin, few, old, object);
        done
    }

    /// What one is warned of.
    pub(super) fn warned(
        &self,
        plugin: &str,
        few: &Few,
        old: Option<&Value>,
        object: &Value,
    ) -> Vec<String> {
        let (done, warnings) = self.told("", "", plugin, few, old, Some(object));
        assert_eq!(done, Ok(()));
        warnings
    }

    fn told(
        &self,
        user: &str,
        may: &str,
        plugin: &str,
        few: &Few,
        old: Option<&Value>,
        object: Option<&Value>,
    ) -> (Result<(), String>, Vec<String>) {
        let of = object.or(old).unwrap();
        self.with(user, of, |attributes| {
            let given = Given {
                attributes,
                objects: few,
                has: &|name| plugin.is_empty() && name != DENY || name == plugin,
                may: &|request| {
                    let target = request.target.as_ref().unwrap();
                    let asked = format!(
                        "{} {} {}/{} {}/{}",
                        request.verb,
                        target.group,
                        target.resource,
                        target.subresource,
                        target.namespace,
                        target.name
                    );
                    if asked == may {
                        Ok(())
                    } else {
                        Err("no".into())
                    }
                },
            };
            let restricted = plugin == NODE_RESTRICTION && object.is_some();
            let judged = if restricted {
                mutate(given, old, &mut of.clone(), &mut || 5)
            } else {
                validate(given, old, object)
            };
            judged.map_err(|error| error.message)
        })
    }
}
