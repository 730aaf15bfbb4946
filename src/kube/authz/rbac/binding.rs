//! Who is bound to which role.

use serde_json::Value;

use crate::kube::user::User;

use super::index::Made;

/// Before the name of a service account's user.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// A `RoleBinding` or a `ClusterRoleBinding`.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) name: String,
    /// `""` at the cluster's scope.
    pub(super) namespace: String,
    /// `Role`, `ClusterRole`.
    pub(super) role_kind: String,
    pub(super) role: String,
    subjects: Vec<Subject>,
}

#[derive(Debug)]
struct Subject {
    kind: Kind,
    name: String,
    /// Of a service account; that of the binding if it names none.
    namespace: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    User,
    Group,
    ServiceAccount,
}

impl Made for Binding {
    fn make(object: &Value) -> Self {
        let text = |object: &Value, pointer: &str| {
            let text = object.pointer(pointer).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let namespace = text(object, "/metadata/namespace");
        let subjects = object.get("subjects").and_then(Value::as_array);
        let subjects = subjects.into_iter().flatten().filter_map(|subject| {
            let kind = match &*text(subject, "/kind") {
                "User" => Kind::User,
                "Group" => Kind::Group,
                "ServiceAccount" => Kind::ServiceAccount,
                _ => return None,
            };
            let of = text(subject, "/namespace");
            Some(Subject {
                kind,
                name: text(subject, "/name"),
                namespace: if of.is_empty() { namespace.clone() } else { of },
            })
        });
        Self {
            name: text(object, "/metadata/name"),
            role_kind: text(object, "/roleRef/kind"),
            role: text(object, "/roleRef/name"),
            subjects: subjects.collect(),
            namespace,
        }
    }
}

impl Binding {
    pub(super) fn subject_keys(&self) -> Vec<String> {
        self.subjects.iter().filter_map(Subject::key).collect()
    }

    /// `ClusterRoleBinding "x" of ClusterRole "y" to Group "z"`, with the first subject that `user` is.
    pub(super) fn describe(&self, user: &User) -> String {
        let subject = self.subjects.iter().find(|subject| subject.is(user));
        let subject = subject.map(Subject::describe).unwrap_or_default();
        let (kind, at) = match &*self.namespace {
            "" => ("ClusterRoleBinding", String::new()),
            namespace => ("RoleBinding", format!("/{namespace}")),
        };
        format!(
            "{kind} {:?} of {} {:?} to {subject}",
            format!("{}{at}", self.name),
            self.role_kind,
            self.role,
        )
    }
}

impl Subject {
    /// As the index has it; none for a service account of no namespace, which is nobody.
    fn key(&self) -> Option<String> {
        match self.kind {
            Kind::User => Some(user_key(&self.name)),
            Kind::Group => Some(group_key(&self.name)),
            Kind::ServiceAccount if self.namespace.is_empty() => None,
            Kind::ServiceAccount => Some(user_key(&self.account())),
        }
    }

    fn account(&self) -> String {
        format!("{SERVICE_ACCOUNT}{}:{}", self.namespace, self.name)
    }

    fn is(&self, user: &User) -> bool {
        match self.kind {
            Kind::User => user.name == self.name,
            Kind::Group => user.is_in(&self.name),
            Kind::ServiceAccount => !self.namespace.is_empty() && user.name == self.account(),
        }
    }

    fn describe(&self) -> String {
        match self.kind {
            Kind::User => format!("User {:?}", self.name),
            Kind::Group => format!("Group {:?}", self.name),
            Kind::ServiceAccount => {
                format!(
                    "ServiceAccount {:?}",
                    format!("{}/{}", self.name, self.namespace)
                )
            }
        }
    }
}

/// How users and groups are looked up, so that no name of the one kind is taken for one of the other.
pub(super) fn user_key(user: &str) -> String {
    format!("u{user}")
}

/// As [`user_key`].
pub(super) fn group_key(group: &str) -> String {
    format!("g{group}")
}
