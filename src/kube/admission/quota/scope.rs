//! The scopes of a quota: which objects it counts at all.

use serde_json::Value;

use super::measure::Measure;
use super::pod;
use crate::kube::tree::{items, text};

const PRIORITY: &str = "PriorityClass";
const ATTRIBUTES: &str = "VolumeAttributesClass";

/// Whether an object is within all scopes of a quota.
pub(super) fn covers(quota: &Value, measure: Measure<'_>, object: &Value) -> bool {
    let scopes = items(quota, &["spec", "scopes"]).iter();
    let selected = items(quota, &["spec", "scopeSelector", "matchExpressions"]).iter();
    scopes
        .filter_map(Value::as_str)
        .map(|scope| Scope {
            name: scope,
            operator: "Exists",
            values: &[],
        })
        .chain(selected.map(|expression| Scope {
            name: text(expression, &["scopeName"]),
            operator: text(expression, &["operator"]),
            values: items(expression, &["values"]),
        }))
        .all(|scope| scope.covers(measure, object))
}

struct Scope<'a> {
    name: &'a str,
    operator: &'a str,
    values: &'a [Value],
}

impl Scope<'_> {
    /// Objects of a kind that a scope says nothing about are not within it.
    fn covers(&self, measure: Measure<'_>, object: &Value) -> bool {
        match measure {
            Measure::Pods => self.covers_pod(object),
            Measure::VolumeClaims if self.name == ATTRIBUTES => {
                let classes = attributes_classes(object);
                if classes.is_empty() {
                    return self.selects(None);
                }
                classes.into_iter().any(|class| self.selects(Some(class)))
            }
            _ => false,
        }
    }

    fn covers_pod(&self, object: &Value) -> bool {
        match self.name {
            "Terminating" => pod::is_terminating(object),
            "NotTerminating" => !pod::is_terminating(object),
            "BestEffort" => pod::is_best_effort(object),
            "NotBestEffort" => !pod::is_best_effort(object),
            "CrossNamespacePodAffinity" => pod::looks_abroad(object),
            PRIORITY => {
                let class = text(object, &["spec", "priorityClassName"]);
                self.selects((!class.is_empty()).then_some(class))
            }
            _ => false,
        }
    }

    fn selects(&self, class: Option<&str>) -> bool {
        let named = || self.values.iter().any(|value| value.as_str() == class);
        match self.operator {
            "In" => class.is_some() && named(),
            "NotIn" => class.is_none() || !named(),
            "Exists" => class.is_some(),
            "DoesNotExist" => class.is_none(),
            _ => false,
        }
    }
}

/// The classes that a claim has, wants, or is on its way to.
fn attributes_classes(claim: &Value) -> Vec<&str> {
    let all = [
        text(claim, &["spec", "volumeAttributesClassName"]),
        text(claim, &["status", "currentVolumeAttributesClassName"]),
        text(
            claim,
            &[
                "status",
                "modifyVolumeStatus",
                "targetVolumeAttributesClassName",
            ],
        ),
    ];
    all.into_iter().filter(|class| !class.is_empty()).collect()
}
