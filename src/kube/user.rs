//! Who makes a request, as authentication found it.

use std::collections::BTreeMap;

/// The group of whoever is known.
pub const AUTHENTICATED: &str = "system:authenticated";
/// The group of whoever is not.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// The group that may do everything, before any authorizer is asked.
pub const MASTERS: &str = "system:masters";
/// The name of whoever shows nothing.
pub const ANONYMOUS: &str = "system:anonymous";

/// `authentication.k8s.io/v1 UserInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    pub name: String,
    pub uid: String,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A caller without credentials.
    pub fn anonymous() -> Self {
        Self {
            name: ANONYMOUS.into(),
            groups: vec![UNAUTHENTICATED.into()],
            ..Self::default()
        }
    }

    /// Whether the user belongs to a group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|one| one == group)
    }
}
