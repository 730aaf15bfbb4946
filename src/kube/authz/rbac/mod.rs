//! Role-based access control: a request is allowed if a rule of a role allows it that is bound to the user.
//!
//! Rules: <https://kubernetes.io/docs/reference/access-authn-authz/rbac/>.

mod binding;
mod gather;
mod index;
mod rights;
mod rule;

use std::ops::ControlFlow;
use std::sync::Arc;

use self::binding::{Binding, group_key, user_key};
pub use self::gather::gathered;
use self::index::{Kept, Part, Role};
pub use self::rights::{missing, uncovered};
pub use self::rule::{Rule, quoted};
use super::Decision;
use crate::kube::objects::Objects;
use crate::kube::request::RequestInfo;
use crate::kube::user::User;

/// Judges by the roles and bindings that are stored.
pub struct Rbac {
    objects: Arc<dyn Objects>,
    roles: Kept<Role>,
    cluster_roles: Kept<Role>,
    bindings: Kept<Binding>,
    cluster_bindings: Kept<Binding>,
}

/// The rules that apply to a user, and the bindings that lead nowhere.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Rights {
    pub rules: Vec<Rule>,
    /// What is wrong with bindings of the user: each is one line.
    pub errors: Vec<String>,
}

/// Sees a binding of the user, and the rules that it leads to or why there are none.
type Visitor<'a, B> = dyn FnMut(&Binding, Result<&[Rule], String>) -> ControlFlow<B> + 'a;

impl Rbac {
    pub fn new(objects: Arc<dyn Objects>) -> Self {
        Self {
            objects,
            roles: Kept::new("roles"),
            cluster_roles: Kept::new("clusterroles"),
            bindings: Kept::new("rolebindings"),
            cluster_bindings: Kept::new("clusterrolebindings"),
        }
    }

    /// Allows, or has no opinion.
    pub fn authorize(&self, user: &User, request: &RequestInfo) -> Decision {
        let target = request.target.as_ref();
        let namespace = target.map_or("", |target| &target.namespace);
        let mut errors = Vec::new();
        let found = self.visit(user, namespace, &mut |binding, found| match found {
            Ok(rules) if rules.iter().any(|rule| rule.allows(request)) => {
                ControlFlow::Break(binding.describe(user))
            }
            Ok(_) => ControlFlow::Continue(()),
            Err(error) => {
                errors.push(error);
                ControlFlow::Continue(())
            }
        });
        match (found, errors.is_empty()) {
            (ControlFlow::Break(by), _) => Decision::allow(format!("RBAC: allowed by {by}")),
            (_, true) => Decision::no_opinion(String::new()),
            (_, false) => Decision::no_opinion(format!("RBAC: {}", aggregate(&errors))),
        }
    }

    /// Every rule that applies to a user in a namespace, or at the cluster's scope alone with `""`.
    pub fn rights(&self, user: &User, namespace: &str) -> Rights {
        let mut rights = Rights::default();
        let _to_the_end = self.visit(user, namespace, &mut |_, found| {
            match found {
                Ok(rules) => rights.rules.extend_from_slice(rules),
                Err(error) => rights.errors.push(error),
            }
            ControlFlow::<()>::Continue(())
        });
        rights
    }

    /// The rules of the role that a binding in `namespace` leads to; None if there is no such role.
    pub fn rules_of(&self, kind: &str, name: &str, namespace: &str) -> Option<Vec<Rule>> {
        let role = match kind {
            "ClusterRole" => {
                let roles = self.cluster_roles.get(&*self.objects);
                roles.named("", name)?.rules().to_vec()
            }
            "Role" => self
                .roles
                .get(&*self.objects)
                .named(namespace, name)?
                .rules()
                .to_vec(),
            _ => return None,
        };
        Some(role)
    }

    /// Shows the bindings of a user with the rules that they lead to, in the order of their names, first those at
    /// the cluster's scope.
    fn visit<B>(&self, user: &User, namespace: &str, to: &mut Visitor<B>) -> ControlFlow<B> {
        let objects = &*self.objects;
        let cluster_roles = self.cluster_roles.get(objects);
        let bindings = self.cluster_bindings.get(objects);
        for binding in of(&bindings, "", user) {
            to(binding, lead(binding, &cluster_roles, None))?;
        }
        if !namespace.is_empty() {
            let roles = self.roles.get(objects);
            let bindings = self.bindings.get(objects);
            for binding in of(&bindings, namespace, user) {
                to(binding, lead(binding, &cluster_roles, Some(&roles)))?;
            }
        }
        ControlFlow::Continue(())
    }
}

/// The bindings of a namespace in which a user is named.
fn of<'a>(
    bindings: &'a Part<Binding>,
    namespace: &str,
    user: &User,
) -> impl Iterator<Item = &'a Binding> {
    let mut places = Vec::new();
    bindings.places_of(namespace, &user_key(&user.name), &mut places);
    for group in &user.groups {
        bindings.places_of(namespace, &group_key(group), &mut places);
    }
    places.sort_unstable();
    places.dedup();
    places.into_iter().filter_map(|place| bindings.at(place))
}

fn lead<'a>(
    binding: &Binding,
    cluster_roles: &'a Part<Role>,
    roles: Option<&'a Part<Role>>,
) -> Result<&'a [Rule], String> {
    let (kind, role) = match &*binding.role_kind {
        "ClusterRole" => ("clusterrole", cluster_roles.named("", &binding.role)),
        "Role" => {
            let role = roles.and_then(|roles| roles.named(&binding.namespace, &binding.role));
            ("role", role)
        }
        other => return Err(format!("unsupported role reference kind: {other:?}")),
    };
    let missing = || {
        format!(
            "{kind}.rbac.authorization.k8s.io {:?} not found",
            binding.role
        )
    };
    role.map(Role::rules).ok_or_else(missing)
}

/// Several errors as Go's aggregate prints them: each once, in brackets if they are more than one.
pub fn aggregate(errors: &[String]) -> String {
    let mut said: Vec<&str> = Vec::new();
    for error in errors {
        if !said.contains(&error.as_str()) {
            said.push(error);
        }
    }
    match said.as_slice() {
        [one] => (*one).to_owned(),
        several => format!("[{}]", several.join(", ")),
    }
}

#[cfg(test)]
mod tests;
