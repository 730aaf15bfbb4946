//! What kubelets may do: to read what the pods on their node need, and to write what is their own.
//!
//! Which object belongs to which node is found out from the pods of its namespace when it is asked, in time
//! proportional to their number; nothing is kept.

mod related;

use std::sync::LazyLock;

use crate::kube::bootstrap::roles_and_bindings;
use crate::kube::objects::Objects;
use crate::kube::request::{RequestInfo, Target, requirements};
use crate::kube::user::User;

use super::Decision;
use super::rbac::Rule;

const PREFIX: &str = "system:node:";
const GROUP: &str = "system:nodes";

/// What every node may do: the rules of the cluster role `system:node`.
static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let mut roles = roles_and_bindings().iter();
    let role = roles.find(|role| role.plural == "clusterroles" && role.name() == "system:node");
    role.map(|role| Rule::read_all(&role.object))
        .unwrap_or_default()
});

/// Why not; `""` without a reason.
type Refused = Result<(), String>;

/// Whether a user is a node, by name and group.
pub fn is_node(user: &User) -> bool {
    user.name.starts_with(PREFIX) && user.is_in(GROUP)
}

/// Allows, or has no opinion.
pub fn authorize(objects: &dyn Objects, user: &User, request: &RequestInfo) -> Decision {
    if !is_node(user) {
        return Decision::no_opinion("");
    }
    let node = user.name.strip_prefix(PREFIX).unwrap_or_default();
    if node.is_empty() {
        return Decision::no_opinion(format!("unknown node for user {:?}", user.name));
    }
    let judged = match &request.target {
        Some(target) => Judge {
            objects,
            node,
            request,
            target,
        }
        .judge(),
        None => by_rules(request),
    };
    match judged {
        Ok(()) => Decision::allow(""),
        Err(why) => Decision::no_opinion(why),
    }
}

fn by_rules(request: &RequestInfo) -> Refused {
    let allowed = RULES.iter().any(|rule| rule.allows(request));
    allowed.then_some(()).ok_or_else(String::new)
}

struct Judge<'a> {
    objects: &'a dyn Objects,
    node: &'a str,
    request: &'a RequestInfo,
    target: &'a Target,
}

impl Judge<'_> {
    fn judge(&self) -> Refused {
        let target = self.target;
        match (&*target.group, &*target.resource) {
            ("", "secrets" | "configmaps") => self.read(),
            ("", "persistentvolumeclaims") if target.subresource == "status" => {
                self.update_status()
            }
            ("", "persistentvolumeclaims" | "persistentvolumes") => self.get(),
            ("resource.k8s.io", "resourceclaims") => self.get(),
            ("storage.k8s.io", "volumeattachments") => self.get(),
            ("", "serviceaccounts") => self.service_account(),
            ("coordination.k8s.io", "leases") => self.lease(),
            ("storage.k8s.io", "csinodes") => self.csi_node(),
            ("resource.k8s.io", "resourceslices") => self.resource_slice(),
            ("", "nodes") => self.own_node(),
            ("", "pods") => self.pod(),
            ("certificates.k8s.io", "podcertificaterequests") => Err(String::new()),
            _ => by_rules(self.request),
        }
    }

    fn verb(&self) -> &str {
        &self.request.verb
    }

    fn must(&self, holds: bool, why: &str) -> Refused {
        holds.then_some(()).ok_or_else(|| why.to_owned())
    }

    fn read(&self) -> Refused {
        let reads = ["get", "list", "watch"].contains(&self.verb());
        self.must(reads, "can only read resources of this type")?;
        self.must(
            self.target.subresource.is_empty(),
            "cannot read subresource",
        )?;
        let namespaced = !self.target.namespace.is_empty();
        self.must(namespaced, "can only read namespaced object of this type")?;
        self.related()
    }

    fn get(&self) -> Refused {
        let gets = self.verb() == "get";
        self.must(gets, "can only get individual resources of this type")?;
        self.must(self.target.subresource.is_empty(), "cannot get subresource")?;
        self.related()
    }

    fn update_status(&self) -> Refused {
        let updates = ["update", "patch"].contains(&self.verb());
        self.must(updates, "can only get/update/patch this type")?;
        self.related()
    }

    fn service_account(&self) -> Refused {
        if self.verb() == "get" && self.target.subresource.is_empty() {
            return self.read();
        }
        let one = self.verb() == "create" && !self.target.name.is_empty();
        self.must(
            one,
            "can only create tokens for individual service accounts",
        )?;
        let is_token = self.target.subresource == "token";
        self.must(
            is_token,
            "can only create token subresource of serviceaccount",
        )?;
        self.related()
    }

    fn lease(&self) -> Refused {
        let verbs = ["get", "create", "update", "patch", "delete"];
        let known = verbs.contains(&self.verb());
        self.must(
            known,
            "can only get, create, update, patch, or delete a node lease",
        )?;
        let own = self.target.namespace == "kube-node-lease";
        self.must(
            own,
            "can only access leases in the \"kube-node-lease\" system namespace",
        )?;
        let named = self.verb() == "create" || self.target.name == self.node;
        self.must(
            named,
            "can only access node lease with the same name as the requesting node",
        )
    }

    fn csi_node(&self) -> Refused {
        let verbs = ["get", "create", "update", "patch", "delete"];
        let known = verbs.contains(&self.verb());
        self.must(
            known,
            "can only get, create, update, patch, or delete a CSINode",
        )?;
        let whole = self.target.subresource.is_empty();
        self.must(whole, "cannot authorize CSINode subresources")?;
        let named = self.verb() == "create" || self.target.name == self.node;
        self.must(
            named,
            "can only access CSINode with the same name as the requesting node",
        )
    }

    fn resource_slice(&self) -> Refused {
        let whole = self.target.subresource.is_empty();
        self.must(whole, "cannot authorize ResourceSlice subresources")?;
        match self.verb() {
            "create" => Ok(()),
            "get" | "update" | "patch" | "delete" => self.related(),
            "watch" | "list" | "deletecollection" => self.must(
                self.selects("spec.nodeName"),
                "can only list/watch/deletecollection resourceslices with nodeName field selector",
            ),
            _ => Err(
                "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, \
                 delete, deletecollection"
                    .to_owned(),
            ),
        }
    }

    fn own_node(&self) -> Refused {
        let node = self.node;
        match (&*self.target.subresource, self.verb()) {
            ("", "create" | "update" | "patch") | ("status", "update" | "patch") => Ok(()),
            ("", "get" | "list" | "watch") => match &*self.target.name {
                name if name == node => Ok(()),
                "" => Err(format!(
                    "node '{node}' cannot read all nodes, only its own Node object"
                )),
                name => Err(format!(
                    "node '{node}' cannot read '{name}', only its own Node object"
                )),
            },
            _ => Err(String::new()),
        }
    }

    fn pod(&self) -> Refused {
        match (&*self.target.subresource, self.verb()) {
            ("", "get") => self.get(),
            ("", "list" | "watch") if self.selects("spec.nodeName") => Ok(()),
            ("", "list" | "watch") if !self.target.name.is_empty() => self.related(),
            ("", "list" | "watch") => {
                Err("can only list/watch pods with spec.nodeName field selector".to_owned())
            }
            ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create") => {
                Ok(())
            }
            _ => Err(String::new()),
        }
    }

    /// Whether the field selector leaves only what is on the node.
    fn selects(&self, field: &str) -> bool {
        let selector = self
            .request
            .field_selector
            .as_deref()
            .and_then(requirements);
        let mut terms = selector.into_iter().flatten();
        terms.any(|term| term.equal && term.field == field && term.value == self.node)
    }

    /// Whether the object is there for a pod on the node, or is the node's own.
    fn related(&self) -> Refused {
        let target = self.target;
        if target.name.is_empty() {
            return Err("No Object name found".to_owned());
        }
        let node = self.node;
        let related = related::is_related(self.objects, node, target);
        let why = || format!("no relationship found between node '{node}' and this object");
        related.then_some(()).ok_or_else(why)
    }
}

#[cfg(test)]
mod tests;
