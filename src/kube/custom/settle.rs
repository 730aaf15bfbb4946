//! The status of a definition: which of its names are its own, and whether it is served.
//!
//! The release has a controller for each condition, which all write on their own. Here one function says what the next write
//! is, and there are at most two: the first accepts names and judges approval and schemas, the second establishes.
//! Between the two the resource is served already and not yet told of, so that whoever hears of it can use it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::approval::{self, Approval};
use super::conditions::{
    API_APPROVAL, Condition, ESTABLISHED, NAMES_ACCEPTED, NON_STRUCTURAL, find, is_true, remove,
};
use super::names::{self, Used, aggregate};
use super::{authorities, structural};
use crate::kube::field::FieldError;
use crate::kube::tree;

/// A definition with the status that it should have next; none if it has it.
///
/// `all` are the definitions that there are, from whose groups names may be taken; the definition itself may be
/// among them. `now` is a time as objects have it.
pub fn settle(crd: &Value, all: &[Arc<Value>], now: &str) -> Option<Value> {
    let mut next = crd.clone();
    settle_names(crd, all, now, &mut next);
    settle_approval(now, &mut next);
    settle_structure(now, &mut next);
    if next == *crd {
        establish(now, &mut next);
    }
    (next != *crd).then_some(next)
}

/// Accepts the names that nobody else has.
fn settle_names(crd: &Value, all: &[Arc<Value>], now: &str, next: &mut Value) {
    let wanted = tree::get(crd, &["spec", "names"]);
    let accepted = tree::get(crd, &["status", "acceptedNames"]);
    if names::same(wanted, accepted) {
        return;
    }
    let (given, verdict) = names::judge(crd, &Used::of(crd, all));
    if names::same(Some(&given), accepted) && verdict.holds(crd) {
        return;
    }
    names::put(given, next);
    let accepted = verdict.status == "True";
    verdict.put(next, now);
    if is_true(crd, ESTABLISHED) {
        return;
    }
    // Also if it was refused once and the bundle of its webhook was at fault.
    if accepted {
        let message = "the initial names have been accepted";
        Condition::new(ESTABLISHED, false, "Installing", message).put(next, now);
    } else if find(crd, ESTABLISHED).is_none() {
        let message = "not all names are accepted";
        Condition::new(ESTABLISHED, false, "NotAccepted", message).put(next, now);
    }
}

/// Says whether a definition of a protected group has been approved.
fn settle_approval(now: &str, next: &mut Value) {
    if !approval::is_protected(names::group(next)) {
        return;
    }
    let (state, message) = approval::of(next);
    let (status, reason) = match state {
        Approval::Invalid => (false, "InvalidAnnotation"),
        Approval::Missing => (false, "MissingAnnotation"),
        Approval::Approved => (true, "ApprovedAnnotation"),
        Approval::Bypassed => (false, "UnapprovedAnnotation"),
    };
    let condition = Condition::new(API_APPROVAL, status, reason, message);
    if !condition.holds(next) {
        condition.put(next, now);
    }
}

/// Says what is not structural in the schemas of a definition; nothing is said if all is well.
fn settle_structure(now: &str, next: &mut Value) {
    match structure(next) {
        None if find(next, NON_STRUCTURAL).is_some() => remove(next, NON_STRUCTURAL),
        Some(condition) if !condition.holds(next) => condition.put(next, now),
        _ => {}
    }
}

/// The condition of a definition that is not structural.
fn structure(crd: &Value) -> Option<Condition> {
    let mut errors = Vec::new();
    if tree::flag(crd, &["spec", "preserveUnknownFields"]) {
        let path = "spec.preserveUnknownFields";
        errors.push(FieldError::invalid(path, "true", "must be false"));
    }
    for (at, version) in tree::items(crd, &["spec", "versions"]).iter().enumerate() {
        let Some(schema) = tree::get(version, &["schema", "openAPIV3Schema"]) else {
            continue;
        };
        let path = format!("spec.versions[{at}].schema.openAPIV3Schema");
        match structural::why_not_structural(schema, &path) {
            Ok(more) => errors.extend(more),
            Err(why) => {
                let name = tree::text(version, &["name"]);
                let why = format!("failed to check validation schema for version {name}: {why}");
                return Some(Condition {
                    status: "Unknown",
                    ..Condition::new(NON_STRUCTURAL, false, "StructuralError", why)
                });
            }
        }
    }
    if errors.is_empty() {
        return None;
    }
    let mut seen = BTreeSet::new();
    let mut messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
    messages.retain(|message| seen.insert(message.clone()));
    let messages = aggregate(&messages);
    Some(Condition::new(NON_STRUCTURAL, true, "Violations", messages))
}

/// Lets a definition be told of whose names are accepted.
fn establish(now: &str, next: &mut Value) {
    if !is_true(next, NAMES_ACCEPTED) || is_true(next, ESTABLISHED) {
        return;
    }
    let config = ["spec", "conversion", "webhook", "clientConfig"];
    let bundle = tree::get(next, &config).map(|config| tree::text(config, &["caBundle"]));
    let bad_bundle = bundle.is_some_and(|bundle| !authorities::readable(bundle));
    let condition = if bad_bundle {
        let message = "The conversion webhook CABundle is invalid";
        Condition::new(ESTABLISHED, false, "InvalidCABundle", message)
    } else {
        let message = "the initial names have been accepted";
        Condition::new(ESTABLISHED, true, "InitialNamesAccepted", message)
    };
    if !condition.holds(next) {
        condition.put(next, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: &str = "2026-01-02T03:04:05Z";
    const LATER: &str = "2026-01-02T03:04:06Z";

    fn crd(names: &Value) -> Value {
        let plural = names["plural"].as_str().unwrap();
        json!({
            "metadata": {"name": format!("{plural}.example.com"), "uid": plural},
            "spec": {"group": "example.com", "names": names, "scope": "Cluster", "versions": [
                {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}},
            ]},
            "status": {
                "conditions": null,
                "acceptedNames": {"plural": "", "kind": ""},
                "storedVersions": ["v1"],
            },
        })
    }

    fn widgets() -> Value {
        json!({"plural": "widgets", "singular": "widget", "shortNames": ["w"], "kind": "Widget", "listKind": "WidgetList"})
    }

    fn settled(mut crd: Value, all: &[Value]) -> Value {
        let all: Vec<_> = all.iter().cloned().map(Arc::new).collect();
        for _ in 0..4 {
            match settle(&crd, &all, NOW) {
                Some(next) => crd = next,
                None => return crd,
            }
        }
        panic!("{crd}");
    }

    /// Type, status, reason and message of each condition.
    fn said(crd: &Value) -> Vec<String> {
        let all = crd["status"]["conditions"].as_array().unwrap().iter();
        let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
        all.map(|one| {
            ["type", "status", "reason", "message"]
                .map(|key| text(one, key))
                .join("|")
        })
        .collect()
    }

    #[test]
    fn names_are_accepted_before_the_definition_is_established() {
        let first = settle(&crd(&widgets()), &[], NOW).unwrap();
        assert_eq!(
            first["status"].to_string(),
            r#"{"conditions":[{"type":"NamesAccepted","status":"True","lastTransitionTime":"2026-01-02T03:04:05Z","reason":"NoConflicts","message":"no conflicts found"},{"type":"Established","status":"False","lastTransitionTime":"2026-01-02T03:04:05Z","reason":"Installing","message":"the initial names have been accepted"}],"acceptedNames":{"plural":"widgets","singular":"widget","shortNames":["w"],"kind":"Widget","listKind":"WidgetList"},"storedVersions":["v1"]}"#
        );
        let second = settle(&first, &[], LATER).unwrap();
        assert_eq!(
            second["status"]["conditions"].to_string(),
            r#"[{"type":"NamesAccepted","status":"True","lastTransitionTime":"2026-01-02T03:04:05Z","reason":"NoConflicts","message":"no conflicts found"},{"type":"Established","status":"True","lastTransitionTime":"2026-01-02T03:04:06Z","reason":"InitialNamesAccepted","message":"the initial names have been accepted"}]"#
        );
        assert_eq!(settle(&second, &[], LATER), None);
    }

    #[test]
    fn names_that_others_have_are_refused_and_free_ones_taken() {
        let known = settled(crd(&widgets()), &[]);
        let others = [known];
        for (names, reason, message, left_out) in [
            (
                json!({"plural": "gadgets", "singular": "widget", "kind": "Gadget", "listKind": "GadgetList"}),
                "SingularConflict",
                "\"widget\" is already in use",
                "singular",
            ),
            (
                json!({"plural": "gadgets", "singular": "gadget", "shortNames": ["g", "w", "widget"], "kind": "Gadget", "listKind": "GadgetList"}),
                "ShortNamesConflict",
                "[\"w\" is already in use, \"widget\" is already in use]",
                "shortNames",
            ),
            (
                json!({"plural": "gadgets", "singular": "gadget", "shortNames": ["w"], "kind": "Widget", "listKind": "GadgetList"}),
                "KindConflict",
                "\"Widget\" is already in use",
                "shortNames",
            ),
            (
                json!({"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "WidgetList"}),
                "ListKindConflict",
                "\"WidgetList\" is already in use",
                "listKind",
            ),
        ] {
            let refused = settled(crd(&names), &others);
            assert_eq!(
                said(&refused),
                [
                    format!("NamesAccepted|False|{reason}|{message}"),
                    "Established|False|NotAccepted|not all names are accepted".to_owned(),
                ]
            );
            let accepted = &refused["status"]["acceptedNames"];
            assert_eq!(accepted["plural"], "gadgets");
            assert_eq!(accepted.get(left_out), None, "{left_out}");
        }
        // Another group's names are its own.
        let mut elsewhere = crd(&widgets());
        elsewhere["spec"]["group"] = "example.org".into();
        elsewhere["metadata"]["name"] = "widgets.example.org".into();
        let elsewhere = settled(elsewhere, &others);
        assert!(said(&elsewhere)[0].starts_with("NamesAccepted|True"));
    }

    #[test]
    fn a_definition_whose_names_become_free_is_established() {
        let names = json!({"plural": "gadgets", "singular": "widget", "kind": "Gadget", "listKind": "GadgetList"});
        let refused = settled(crd(&names), &[settled(crd(&widgets()), &[])]);
        let free = settled(refused, &[]);
        assert_eq!(free["status"]["acceptedNames"], free["spec"]["names"]);
        assert!(said(&free)[1].starts_with("Established|True|InitialNamesAccepted"));
    }

    #[test]
    fn an_established_definition_stays_so_whatever_it_asks_for() {
        let others = [settled(
            crd(
                &json!({"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList"}),
            ),
            &[],
        )];
        let mut known = settled(crd(&widgets()), &others);
        known["spec"]["names"]["shortNames"] = json!(["gadget"]);
        let known = settled(known, &others);
        assert_eq!(
            said(&known),
            [
                "NamesAccepted|False|ShortNamesConflict|\"gadget\" is already in use",
                "Established|True|InitialNamesAccepted|the initial names have been accepted",
            ]
        );
        assert_eq!(known["status"]["acceptedNames"]["shortNames"], json!(["w"]));
    }

    #[test]
    fn approval_and_schemas_are_told_of() {
        let mut protected = crd(&widgets());
        protected["spec"]["group"] = "foo.k8s.io".into();
        protected["metadata"]["annotations"] =
            json!({"api-approved.kubernetes.io": "unapproved, test"});
        protected["spec"]["versions"][0]["schema"]["openAPIV3Schema"] =
            json!({"properties": {"a": {"items": {"type": "string"}}}});
        let mut told = settle(&protected, &[], NOW).unwrap();
        assert_eq!(
            said(&told)[2..],
            [
                "KubernetesAPIApprovalPolicyConformant|False|UnapprovedAnnotation|not approved: \"unapproved, test\"",
                "NonStructuralSchema|True|Violations|[spec.versions[0].schema.openAPIV3Schema.properties[a].type: Required value: must not be empty for specified object fields, spec.versions[0].schema.openAPIV3Schema.type: Required value: must not be empty at the root]",
            ]
        );
        told["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = json!({"type": "object"});
        let mended = settled(told, &[]);
        assert_eq!(said(&mended).len(), 3);
    }

    #[test]
    fn a_bundle_that_cannot_be_read_keeps_a_definition_from_being_established() {
        let mut hooked = crd(&widgets());
        hooked["spec"]["conversion"] = json!({"strategy": "Webhook", "webhook": {
            "clientConfig": {"url": "https://a", "caBundle": "Z2FyYmFnZQ=="},
            "conversionReviewVersions": ["v1"],
        }});
        let hooked = settled(hooked, &[]);
        assert_eq!(
            said(&hooked)[1],
            "Established|False|InvalidCABundle|The conversion webhook CABundle is invalid"
        );
    }
}
