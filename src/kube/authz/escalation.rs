//! Whoever writes a role or a binding gives rights away, and must hold them: or hold the verbs `escalate` and `bind`.

use serde_json::Value;

use crate::kube::request::{RequestInfo, Target};
use crate::kube::schema::Resource;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::user::{MASTERS, User};

use super::Authorizer;
use super::rbac::{Rule, aggregate, missing, quoted};

/// Checks a write of one of the four resources of RBAC, once its new state is known; `old` is what is stored.
///
/// # Errors
/// 403 with the rights that are missing; 404 for a binding to a role that there is not.
pub fn check(
    authorizer: &Authorizer,
    user: &User,
    request: &RequestInfo,
    resource: &Resource,
    new: &Value,
    old: Option<&Value>,
) -> ApiResult<()> {
    let Some(target) = &request.target else {
        return Ok(());
    };
    if user.is_in(MASTERS) || old.is_some_and(|old| differ_for_collector_alone(new, old)) {
        return Ok(());
    }
    let giving = Giving {
        authorizer,
        user,
        target,
        resource,
        name: text(new, "/metadata/name"),
    };
    match &*resource.plural {
        "roles" | "clusterroles" => giving.role(new, old),
        _ => giving.binding(new),
    }
}

struct Giving<'a> {
    authorizer: &'a Authorizer,
    user: &'a User,
    target: &'a Target,
    resource: &'a Resource,
    name: &'a str,
}

impl Giving<'_> {
    fn role(&self, new: &Value, old: Option<&Value>) -> ApiResult<()> {
        let target = self.target;
        if self.may("escalate", &target.group, &target.resource, &target.name) {
            return Ok(());
        }
        self.holds(&Rule::read_all(new))?;
        let gathers = |role: &Value| {
            let selectors = role.pointer("/aggregationRule/clusterRoleSelectors");
            selectors
                .and_then(Value::as_array)
                .is_some_and(|all| !all.is_empty())
        };
        if (gathers(new) || old.is_some_and(gathers)) && self.holds(&Rule::full()).is_err() {
            let why = "must have cluster-admin privileges to use the aggregationRule";
            return Err(ApiError::forbidden(self.resource, self.name, why));
        }
        Ok(())
    }

    fn binding(&self, new: &Value) -> ApiResult<()> {
        let (kind, role) = (text(new, "/roleRef/kind"), text(new, "/roleRef/name"));
        let group = text(new, "/roleRef/apiGroup");
        let plural = match kind {
            "ClusterRole" => "clusterroles",
            "Role" => "roles",
            // Validation says what is wrong with it.
            _ => return Ok(()),
        };
        if self.may("bind", group, plural, role) {
            return Ok(());
        }
        let namespace = &self.target.namespace;
        let rules = self.authorizer.rbac().rules_of(kind, role, namespace);
        // The release names the binding's resource here, and the role.
        let rules = rules.ok_or_else(|| ApiError::not_found(self.resource, role))?;
        self.holds(&rules)
    }

    /// Whether a verb is held on a role.
    fn may(&self, verb: &str, group: &str, plural: &str, name: &str) -> bool {
        let namespace = &self.target.namespace;
        let asked = RequestInfo::of_resource(verb, group, plural, "", namespace, name);
        self.authorizer.authorize(self.user, &asked).is_allowed()
    }

    /// Whether the user holds all of some rules.
    fn holds(&self, rules: &[Rule]) -> ApiResult<()> {
        let held = self
            .authorizer
            .rbac()
            .rights(self.user, &self.target.namespace);
        let missing = missing(&held.rules, rules);
        if missing.is_empty() {
            return Ok(());
        }
        let mut why = format!(
            "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
            self.user.name,
            quoted(&self.user.groups),
            missing.join("\n"),
        );
        if !held.errors.is_empty() {
            why.push_str(&format!(
                "; resolution errors: [{}]",
                aggregate(&held.errors)
            ));
        }
        Err(ApiError::forbidden(self.resource, self.name, why))
    }
}

/// Whether two states differ in nothing but what the garbage collector writes.
fn differ_for_collector_alone(new: &Value, old: &Value) -> bool {
    let rest = |object: &Value| {
        let mut object = object.clone();
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            for key in ["ownerReferences", "finalizers", "managedFields", "selfLink"] {
                metadata.shift_remove(key);
            }
        }
        object
    };
    rest(new) == rest(old)
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    let text = object.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default()
}
