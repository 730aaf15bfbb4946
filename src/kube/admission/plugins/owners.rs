//! OwnerReferencesPermissionEnforcement: whoever ties an object to another one must be allowed what follows of it.

use serde_json::Value;

use super::{Given, resource_request};
use crate::kube::admission::attributes::Operation;
use crate::kube::object::meta;
use crate::kube::objects::Objects;
use crate::kube::schema::Resources;
use crate::kube::status::ApiResult;
use crate::kube::tree::{flag, text};

pub(super) const NAME: &str = "OwnerReferencesPermissionEnforcement";

const FINALIZERS: &str = "finalizers";

pub(super) fn validate(given: Given<'_>, old: Option<&Value>, object: &Value) -> ApiResult<()> {
    let by = given.attributes;
    // Kubelets of old spoil them here, and the status cannot change them.
    let status_of_pod = by.about("", "pods") && by.subresource == "status";
    let writes = matches!(by.operation, Operation::Create | Operation::Update);
    let owners = |of| meta::owner_references(of);
    let before = old.map_or(&[][..], owners);
    if !writes || status_of_pod || owners(object) == before {
        return Ok(());
    }
    let resource = by.resource;
    if !by.creates() {
        let of = (
            &*resource.group,
            &*resource.version,
            &*resource.plural,
            by.subresource,
        );
        // An object that loses its owner goes: that is as good as deleting it.
        let delete = resource_request("delete", of, by.namespace, by.name);
        if let Err(reason) = (given.may)(&delete) {
            let why =
                format!("cannot set an ownerRef on a resource you can't delete: {reason}, <nil>");
            return Err(by.refuse(object, why));
        }
    }
    let blocks = |owner: &&Value| flag(owner, &["blockOwnerDeletion"]);
    let uid = |owner: &Value| text(owner, &["uid"]).to_owned();
    let did = |owner: &Value| {
        let mut before = before.iter().filter(blocks);
        before.any(|old| uid(old) == uid(owner))
    };
    let new = owners(object).iter().filter(blocks);
    let new: Vec<&Value> = new.filter(|owner| !did(owner)).collect();
    let everything = resource_request("update", ("*", "*", "*", FINALIZERS), "", "*");
    if new.is_empty() || (given.may)(&everything).is_ok() {
        return Ok(());
    }
    for owner in new {
        check(given, owner).map_err(|why| by.refuse(object, why))?;
    }
    Ok(())
}

/// Whether they may set the finalizers of an owner: keeping it from going is as good as that.
fn check(given: Given<'_>, owner: &Value) -> Result<(), String> {
    let (version, kind) = (text(owner, &["apiVersion"]), text(owner, &["kind"]));
    let (group, short) = version.split_once('/').unwrap_or(("", version));
    let Some((plural, namespaced)) = resource(given.objects, group, short, kind) else {
        return Err(format!(
            "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion {version} Kind \
             {kind}: no matches for kind {kind:?} in version {version:?}"
        ));
    };
    let namespace = if namespaced {
        given.attributes.namespace
    } else {
        ""
    };
    let of = (group, short, plural.as_str(), FINALIZERS);
    let update = resource_request("update", of, namespace, text(owner, &["name"]));
    (given.may)(&update).map_err(|reason| {
        format!(
            "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: \
             {reason}, <nil>"
        )
    })
}

/// The plural of a kind, and whether it is namespaced.
fn resource(
    objects: &dyn Objects,
    group: &str,
    version: &str,
    kind: &str,
) -> Option<(String, bool)> {
    let known = Resources::built_in().group_version(group, version);
    let mut known = known.into_iter().flat_map(|of| &of.resources);
    if let Some(known) = known.find(|one| &*one.kind == kind) {
        return Some((known.plural.to_string(), known.namespaced));
    }
    let custom = objects.list("apiextensions.k8s.io", "customresourcedefinitions", None);
    let mut custom = custom.iter();
    let custom = custom.find(|one| {
        text(one, &["spec", "group"]) == group && text(one, &["spec", "names", "kind"]) == kind
    })?;
    let plural = text(custom, &["spec", "names", "plural"]).to_owned();
    Some((plural, text(custom, &["spec", "scope"]) == "Namespaced"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{Ask, CREATE_POD, Few};
    use super::*;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "a case writes its objects in place"
    )]
    fn pod(owners: Value) -> Value {
        json!({"metadata": {"name": "p", "ownerReferences": owners}})
    }

    fn owner(version: &str, kind: &str, block: bool) -> Value {
        json!([{"apiVersion": version, "kind": kind, "name": "o", "uid": "u", "blockOwnerDeletion": block}])
    }

    #[test]
    fn blocking_needs_the_owners_finalizers() {
        let few = Few(vec![(
            "apiextensions.k8s.io",
            "customresourcedefinitions",
            json!({"metadata": {"name": "ws.ex.com"}, "spec": {"group": "ex.com", "scope": "Cluster",
                "names": {"kind": "W", "plural": "ws"}}}),
        )]);
        let create = |may: &'static str, owners: Value| {
            CREATE_POD.judge_as(may, NAME, &few, None, &pod(owners))
        };
        assert_eq!(create("", owner("v1", "Node", false)), Ok(()));
        assert_eq!(
            create("", owner("apps/v1", "ReplicaSet", true)).unwrap_err(),
            "pods \"p\" is forbidden: cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't \
             set finalizers on: no, <nil>"
        );
        let update = "update apps replicasets/finalizers ns/o";
        assert_eq!(create(update, owner("apps/v1", "ReplicaSet", true)), Ok(()));
        let update = "update ex.com ws/finalizers /o";
        assert_eq!(create(update, owner("ex.com/v1", "W", true)), Ok(()));
        assert_eq!(
            create("update * */finalizers /*", owner("x/v1", "X", true)),
            Ok(())
        );
        assert_eq!(
            create(update, owner("x/v1", "X", true)).unwrap_err(),
            "pods \"p\" is forbidden: cannot set blockOwnerDeletion in this case because cannot find RESTMapping for \
             APIVersion x/v1 Kind X: no matches for kind \"X\" in version \"x/v1\""
        );
    }

    #[test]
    fn other_owners_need_the_right_to_delete() {
        let update = Ask {
            operation: Operation::Update,
            ..CREATE_POD
        };
        let (few, old) = (Few::default(), pod(json!([])));
        let new = pod(owner("v1", "Node", false));
        let refused = update.judge_as("", NAME, &few, Some(&old), &new);
        assert_eq!(
            refused.unwrap_err(),
            "pods \"p\" is forbidden: cannot set an ownerRef on a resource you can't delete: no, <nil>"
        );
        let allowed = update.judge_as("delete  pods/ ns/p", NAME, &few, Some(&old), &new);
        assert_eq!(allowed, Ok(()));
        assert_eq!(update.judge_as("", NAME, &few, Some(&new), &new), Ok(()));
    }
}
