//! Objects for the tests of authorization.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use crate::kube::bootstrap::roles_and_bindings;
use crate::kube::objects::Objects;
use crate::kube::request::RequestInfo;
use crate::kube::user::User;

use super::{Authorizer, Mode};

/// By group, plural, namespace and name.
#[derive(Default)]
pub(super) struct Stored(Mutex<BTreeMap<[String; 4], Arc<Value>>>);

impl Stored {
    /// A new cluster: with its roles and bindings.
    pub(super) fn cluster() -> Arc<Self> {
        let stored = Self::default();
        for own in roles_and_bindings() {
            stored.put(own.group, own.plural, &own.object);
        }
        Arc::new(stored)
    }

    pub(super) fn put(&self, group: &str, plural: &str, object: &Value) {
        let text = |pointer| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let key = [
            group,
            plural,
            text("/metadata/namespace"),
            text("/metadata/name"),
        ];
        self.0
            .lock()
            .insert(key.map(str::to_owned), Arc::new(object.clone()));
    }

    pub(super) fn put_rbac(&self, plural: &str, object: &Value) {
        self.put("rbac.authorization.k8s.io", plural, object);
    }
}

impl Objects for Stored {
    fn get(&self, group: &str, plural: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let key = [group, plural, namespace, name].map(str::to_owned);
        self.0.lock().get(&key).cloned()
    }

    fn list(&self, group: &str, plural: &str, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let objects = self.0.lock();
        let of = objects
            .iter()
            .filter(|([of_group, of_plural, of_namespace, _], _)| {
                let there = namespace.is_none_or(|namespace| of_namespace == namespace);
                of_group == group && of_plural == plural && there
            });
        of.map(|(_, object)| Arc::clone(object)).collect()
    }
}

pub(super) fn authorizer(stored: &Arc<Stored>) -> Authorizer {
    let objects = Arc::clone(stored) as Arc<dyn Objects>;
    Authorizer::new(vec![Mode::Node, Mode::Rbac], objects)
}

/// A user; groups behind spaces.
pub(super) fn user(text: &str) -> User {
    let mut words = text.split(' ').map(str::to_owned);
    User {
        name: words.next().unwrap_or_default(),
        groups: words.collect(),
        ..User::default()
    }
}

/// `GET /path?query`.
pub(super) fn request(text: &str) -> RequestInfo {
    let (method, url) = text.split_once(' ').unwrap();
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    RequestInfo::parse(method, path, query).unwrap()
}
