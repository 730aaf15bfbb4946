//! Priority: what a pod's class means, as a number, and no two classes for those that name none.

use std::sync::Arc;

use serde_json::Value;

use super::{name, put, spec};
use crate::kube::admission::attributes::{Attributes, Operation};
use crate::kube::objects::Objects;
use crate::kube::status::ApiResult;
use crate::kube::tree::{flag, get, int, text};

pub(super) const NAME: &str = "Priority";

const GROUP: &str = "scheduling.k8s.io";
const OF: &str = "core/v1.PodSpec";

pub(super) fn mutate(
    by: &Attributes<'_>,
    objects: &dyn Objects,
    old: Option<&Value>,
    pod: &mut Value,
) -> ApiResult<()> {
    if !by.whole("", "pods") {
        return Ok(());
    }
    match (by.operation, old) {
        (Operation::Create, _) => resolve(by, objects, pod),
        (Operation::Update, Some(old)) => {
            keep(old, pod);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// An update that says nothing of them changes nothing.
fn keep(old: &Value, pod: &mut Value) {
    for key in ["priority", "preemptionPolicy"] {
        let said = get(pod, &["spec", key]).is_some();
        if let (false, Some(value), Some(spec)) = (said, get(old, &["spec", key]), spec(pod)) {
            put(OF, spec, key, value.clone());
        }
    }
}

fn resolve(by: &Attributes<'_>, objects: &dyn Objects, pod: &mut Value) -> ApiResult<()> {
    let named = text(pod, &["spec", "priorityClassName"]);
    let class = if named.is_empty() {
        default_class(objects)
    } else {
        let found = objects.get(GROUP, "priorityclasses", "", named);
        let missing = || by.refuse(pod, format!("no PriorityClass with name {named} was found"));
        Some(found.ok_or_else(missing)?)
    };
    let value = class.as_deref().and_then(|class| int(class, &["value"]));
    let (class_name, value) = (class.as_deref().map(name), value.unwrap_or(0));
    let policy = match &class {
        Some(class) => text(class, &["preemptionPolicy"]),
        None => "PreemptLowerPriority",
    };
    if let Some(said) = int(pod, &["spec", "priority"]).filter(|said| *said != value) {
        let why = format!(
            "the integer value of priority ({said}) must not be provided in pod spec; priority admission controller \
             computed {value} from the given PriorityClass name"
        );
        return Err(by.refuse(pod, why));
    }
    let said = text(pod, &["spec", "preemptionPolicy"]);
    if ![said, policy].contains(&"") && said != policy {
        let why = format!(
            "the string value of PreemptionPolicy ({said}) must not be provided in pod spec; priority admission \
             controller computed {policy} from the given PriorityClass name"
        );
        return Err(by.refuse(pod, why));
    }
    if let Some(spec) = spec(pod) {
        if let Some(class_name) = class_name {
            put(OF, spec, "priorityClassName", class_name);
        }
        put(OF, spec, "priority", value);
        if !policy.is_empty() {
            put(OF, spec, "preemptionPolicy", policy);
        }
    }
    Ok(())
}

/// The least of those that say that they are for everybody.
fn default_class(objects: &dyn Objects) -> Option<Arc<Value>> {
    let classes = objects.list(GROUP, "priorityclasses", None).into_iter();
    classes
        .filter(|class| flag(class, &["globalDefault"]))
        .min_by_key(|class| int(class, &["value"]).unwrap_or(0))
}

pub(super) fn validate(by: &Attributes<'_>, objects: &dyn Objects, class: &Value) -> ApiResult<()> {
    let writes = matches!(by.operation, Operation::Create | Operation::Update);
    let is_class = by.whole(GROUP, "priorityclasses");
    if !writes || !is_class || !flag(class, &["globalDefault"]) {
        return Ok(());
    }
    let Some(other) = default_class(objects) else {
        return Ok(());
    };
    let other = name(&other);
    if by.operation == Operation::Update && other == name(class) {
        return Ok(());
    }
    let why =
        format!("PriorityClass {other} is already marked as default. Only one default can exist");
    Err(by.refuse(class, why))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{Ask, CREATE_POD, Few};
    use super::*;

    fn few() -> Few {
        let class = |value: Value| (GROUP, "priorityclasses", value);
        Few(vec![
            class(
                json!({"metadata": {"name": "high"}, "value": 1000, "preemptionPolicy": "Never"}),
            ),
            class(json!({"metadata": {"name": "all"}, "value": 7, "globalDefault": true})),
        ])
    }

    fn pod(spec: Value) -> Value {
        let mut pod = json!({"metadata": {"name": "p"}});
        pod["spec"] = spec;
        pod
    }

    #[test]
    fn classes_become_numbers() {
        let made = |few: &Few, spec| {
            let pod = CREATE_POD.mutate(NAME, few, None, pod(spec));
            pod.unwrap()["spec"].to_string()
        };
        assert_eq!(
            made(&Few::default(), json!({})),
            r#"{"priority":0,"preemptionPolicy":"PreemptLowerPriority"}"#
        );
        assert_eq!(
            made(&few(), json!({})),
            r#"{"priorityClassName":"all","priority":7}"#
        );
        assert_eq!(
            made(&few(), json!({"priorityClassName": "high"})),
            r#"{"priorityClassName":"high","priority":1000,"preemptionPolicy":"Never"}"#
        );
    }

    #[test]
    fn numbers_are_not_taken_from_clients() {
        let refused = |spec| {
            CREATE_POD
                .mutate(NAME, &few(), None, pod(spec))
                .unwrap_err()
                .message
        };
        assert_eq!(
            refused(json!({"priorityClassName": "nopc"})),
            r#"pods "p" is forbidden: no PriorityClass with name nopc was found"#
        );
        assert!(
            refused(json!({"priorityClassName": "high", "priority": 5}))
                .contains("computed 1000 from")
        );
        let policy =
            json!({"priorityClassName": "high", "preemptionPolicy": "PreemptLowerPriority"});
        assert!(refused(policy).contains("computed Never from"));
    }

    #[test]
    fn one_class_is_for_everybody() {
        let ask = Ask {
            resource: (GROUP, "v1", "priorityclasses"),
            ..CREATE_POD
        };
        let class = json!({"metadata": {"name": "two"}, "value": 1, "globalDefault": true});
        assert_eq!(
            ask.judge(NAME, &few(), None, &class).unwrap_err(),
            "priorityclasses.scheduling.k8s.io \"two\" is forbidden: PriorityClass all is already marked as default. \
             Only one default can exist"
        );
        let ask = Ask {
            operation: Operation::Update,
            ..ask
        };
        let same = json!({"metadata": {"name": "all"}, "value": 7, "globalDefault": true});
        assert_eq!(ask.judge(NAME, &few(), None, &same), Ok(()));
    }

    #[test]
    fn updates_keep_what_they_do_not_say() {
        let ask = Ask {
            operation: Operation::Update,
            ..CREATE_POD
        };
        let old = pod(json!({"priority": 3, "preemptionPolicy": "Never"}));
        let new = ask
            .mutate(NAME, &few(), Some(&old), pod(json!({})))
            .unwrap();
        assert_eq!(new, old);
    }
}
