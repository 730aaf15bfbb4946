//! NodeRestriction: a kubelet changes its own node and what runs there, and nothing else.
//!
//! What a node may do at all, and see, is the Node authorizer's; here stands what depends on the object. It runs where
//! mutating plugins do, as in kube-apiserver, before defaults of the kind are enforced.

mod nodes;
mod pods;
mod tokens;

use serde_json::Value;

use super::Given;
use crate::kube::admission::attributes::{Attributes, Operation};
use crate::kube::status::{ApiError, ApiResult, Details};
use crate::kube::tree::{get, text};

pub(in crate::kube::admission) const NAME: &str = "NodeRestriction";

const PREFIX: &str = "system:node:";
const GROUP: &str = "system:nodes";
/// Where the leases are that say that nodes live.
const LEASES: &str = "kube-node-lease";

/// A request of a node.
#[derive(Clone, Copy)]
struct Asked<'a> {
    given: Given<'a>,
    by: &'a Attributes<'a>,
    /// The name of the node.
    node: &'a str,
    old: Option<&'a Value>,
    /// None for a deletion.
    object: Option<&'a Value>,
}

/// Judges what a node wants to do.
///
/// # Errors
/// 403, and 404 where it is about an object that is not there.
pub(super) fn check(
    given: Given<'_>,
    old: Option<&Value>,
    object: Option<&Value>,
) -> ApiResult<()> {
    let by = given.attributes;
    let node = by.user.name.strip_prefix(PREFIX);
    let Some(node) = node.filter(|_| by.user.is_in(GROUP)) else {
        return Ok(());
    };
    let asked = Asked {
        given,
        by,
        node,
        old,
        object,
    };
    if by.operation == Operation::Connect {
        return Ok(());
    }
    if node.is_empty() {
        let user = &by.user.name;
        return asked.refuse(format!("could not determine node from user {user:?}"));
    }
    asked.judge()
}

impl Asked<'_> {
    fn judge(self) -> ApiResult<()> {
        match (&*self.by.resource.group, &*self.by.resource.plural) {
            ("", "pods") => self.pod(),
            ("", "nodes") => self.own_node(),
            ("", "persistentvolumeclaims") => self.claim(),
            ("", "serviceaccounts") => self.account(),
            ("coordination.k8s.io", "leases") => self.lease(),
            ("storage.k8s.io", "csinodes") => {
                self.named("can only access CSINode with the same name as the requesting node")
            }
            ("resource.k8s.io", "resourceslices") => self.slice(),
            ("certificates.k8s.io", "certificatesigningrequests") => self.signing_request(),
            _ => Ok(()),
        }
    }

    fn refuse(self, why: impl std::fmt::Display) -> ApiResult<()> {
        let object = self.object.or(self.old).unwrap_or(&Value::Null);
        Err(self.by.refuse(object, why))
    }

    /// The operation as messages have it.
    fn operation(self) -> &'static str {
        match self.by.operation {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
            Operation::Connect => "CONNECT",
        }
    }

    /// The object must have the node's name.
    fn named(self, why: &str) -> ApiResult<()> {
        let new = self.object.filter(|_| self.by.creates());
        let name = new.map_or(self.by.name, super::name);
        if name == self.node {
            return Ok(());
        }
        self.refuse(why)
    }

    fn lease(self) -> ApiResult<()> {
        if self.by.namespace != LEASES {
            return self.refuse(format!(
                "can only access leases in the {LEASES:?} system namespace"
            ));
        }
        self.named("can only access node lease with the same name as the requesting node")
    }

    /// A node grows its claims' volumes, and says how far it is.
    fn claim(self) -> ApiResult<()> {
        if self.by.subresource != "status" {
            return self.refuse("may only update PVC status");
        }
        let (Operation::Update, Some(old), Some(new)) = (self.by.operation, self.old, self.object)
        else {
            return self.refuse(format!("unexpected operation {:?}", self.operation()));
        };
        if fixed_of_claim(old) == fixed_of_claim(new) {
            return Ok(());
        }
        let node = self.node;
        self.refuse(format!(
            "node {node:?} is not allowed to update fields other than status.quantity and status.conditions"
        ))
    }

    /// Updates are the authorizer's, who knows the slice.
    fn slice(self) -> ApiResult<()> {
        let (verb, slice) = match self.by.operation {
            Operation::Create => ("create", self.object),
            Operation::Delete => ("delete", self.old),
            _ => return Ok(()),
        };
        let of = slice.and_then(|slice| get(slice, &["spec", "nodeName"])?.as_str());
        if of == Some(self.node) {
            return Ok(());
        }
        self.refuse(format!(
            "can only {verb} ResourceSlice with the same NodeName as the requesting node"
        ))
    }

    /// A certificate that makes a node of whoever has it is for the node itself.
    fn signing_request(self) -> ApiResult<()> {
        let Some(request) = self.object.filter(|_| self.by.creates()) else {
            return Ok(());
        };
        let signer = text(request, &["spec", "signerName"]);
        let of_nodes = [
            "kubernetes.io/kubelet-serving",
            "kubernetes.io/kube-apiserver-client-kubelet",
        ];
        if !of_nodes.contains(&signer) {
            return Ok(());
        }
        match super::certificates::Subject::of(request) {
            Ok(subject) if subject.is_named(&format!("{PREFIX}{}", self.node)) => Ok(()),
            Ok(_) => self.refuse(format!(
                "can only create a node CSR with CN={PREFIX}{}",
                self.node
            )),
            Err(why) => self.refuse(format!("unable to parse csr: {why}")),
        }
    }

    /// An object that a rule needs.
    fn find(
        self,
        resource: (&str, &str),
        namespace: &str,
        name: &str,
        kind: &str,
    ) -> ApiResult<std::sync::Arc<Value>> {
        let (group, plural) = resource;
        let found = self.given.objects.get(group, plural, namespace, name);
        found.ok_or_else(|| missing(kind, name))
    }
}

/// 404 as it comes of a look-up, which names the kind.
fn missing(kind: &str, name: &str) -> ApiError {
    let details = Details {
        name: name.into(),
        kind: kind.into(),
        ..Details::default()
    };
    ApiError::new(404, "NotFound", format!("{kind} {name:?} not found")).with_details(details)
}

/// What a node cannot change of a claim.
fn fixed_of_claim(claim: &Value) -> Value {
    let mut claim = claim.clone();
    let free = [
        ("metadata", &["resourceVersion", "managedFields"][..]),
        (
            "status",
            &[
                "capacity",
                "conditions",
                "allocatedResourceStatuses",
                "allocatedResources",
            ],
        ),
    ];
    for (part, fields) in free {
        if let Some(part) = claim.get_mut(part).and_then(Value::as_object_mut) {
            part.retain(|field, _| !fields.contains(&field.as_str()));
        }
    }
    claim
}

#[cfg(test)]
mod tests;
