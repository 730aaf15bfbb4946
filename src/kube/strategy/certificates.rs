//! Certificate requests: who asks is the caller, and conditions are dated.

use serde_json::Value;

use super::{Context, Object};
use crate::kube::schema::ObjectType;
use crate::kube::tree::{self, keep, make, remove, set_in_order, type_of};

/// The request is made in the caller's name, whatever it says.
pub(super) fn create(cx: &Context<'_>, of: &ObjectType, request: &mut Object) {
    let (Some(of), Some(spec)) = (type_of(cx.schema, of, "spec"), make(of, request, "spec")) else {
        return;
    };
    let user = cx.user;
    let extra: Object = user
        .extra
        .iter()
        .map(|(key, values)| (key.clone(), Value::from(values.clone())))
        .collect();
    for (field, value) in [
        ("username", Value::from(user.name.as_str())),
        ("uid", user.uid.as_str().into()),
        ("groups", user.groups.clone().into()),
        ("extra", extra.into()),
    ] {
        remove(spec, field);
        if !tree::is_zero(&value) {
            set_in_order(of, spec, field, value);
        }
    }
}

/// An update through `status` or `approval`.
pub(super) fn update(
    cx: &Context<'_>,
    of: &ObjectType,
    approval: bool,
    new: &mut Object,
    old: &Object,
) {
    keep(of, new, old, "spec");
    let before = conditions(old).to_vec();
    if !approval {
        for kind in ["Approved", "Denied"] {
            keep_conditions(new, &before, kind);
        }
    }
    date(cx, new, &before);
    if approval {
        let after = new
            .get("status")
            .and_then(|status| status.get("conditions"))
            .cloned();
        keep(of, new, old, "status");
        let Some(of) = type_of(cx.schema, of, "status") else {
            return;
        };
        if let Some(status) = tree::child(new, "status") {
            match after {
                Some(after) => set_in_order(of, status, "conditions", after),
                None => {
                    remove(status, "conditions");
                }
            }
        }
    }
}

fn conditions(request: &Object) -> &[Value] {
    request
        .get("status")
        .map_or(&[], |status| tree::items(status, &["conditions"]))
}

fn conditions_mut(request: &mut Object) -> impl Iterator<Item = &mut Value> {
    let status = request.get_mut("status");
    let list = status.and_then(|status| status.get_mut("conditions")?.as_array_mut());
    list.into_iter().flatten()
}

fn is_of(condition: &Value, kind: &str) -> bool {
    tree::text(condition, &["type"]) == kind
}

/// Through `status` nobody approves: as many conditions of a kind as before are the ones before.
fn keep_conditions(new: &mut Object, before: &[Value], kind: &str) {
    let count = conditions(new).iter().filter(|c| is_of(c, kind)).count();
    let known = before.iter().filter(|c| is_of(c, kind));
    if count == known.clone().count() {
        let slots = conditions_mut(new).filter(|c| is_of(c, kind));
        for (slot, known) in slots.zip(known) {
            *slot = known.clone();
        }
    }
}

fn date(cx: &Context<'_>, new: &mut Object, before: &[Value]) {
    let Some(of) = cx
        .schema
        .find("certificates/v1.CertificateSigningRequestCondition")
    else {
        return;
    };
    let of = cx.schema.get(of);
    for condition in conditions_mut(new) {
        let state = |c: &Value| ["type", "status"].map(|key| tree::text(c, &[key]).to_owned());
        let same = before.iter().find(|c| {
            state(c) == state(condition) && !tree::text(c, &["lastTransitionTime"]).is_empty()
        });
        let since = same.and_then(|c| c.get("lastTransitionTime")).cloned();
        let Some(condition) = condition.as_object_mut() else {
            continue;
        };
        for (field, value) in [
            ("lastUpdateTime", cx.stamp()),
            ("lastTransitionTime", since.unwrap_or_else(|| cx.stamp())),
        ] {
            if tree::unset(of, condition, field) {
                set_in_order(of, condition, field, value);
            }
        }
    }
}
