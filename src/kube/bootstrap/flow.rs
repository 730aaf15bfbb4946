//! Flow schemas and priority levels of a new cluster, from a table.
//!
//! `flow.txt` holds what Kubernetes 1.36 has by default:
//!
//! ```text
//! level NAME exempt|limited SHARES LENDABLE [QUEUES HAND LIMIT]
//! schema NAME PRECEDENCE LEVEL DISTINGUISHER
//!  SUBJECT...
//!  VERBS GROUPS RESOURCES cluster|namespaces
//!  VERBS url PATHS
//! ```
//!
//! Lists have commas; the group `core` has no name; `cluster` means the cluster's scope beside all namespaces. A
//! limited level without queues rejects. Subjects are as those of `rbac.txt`.

use serde_json::{Map, Value, json};

use super::{Own, Upkeep};

const GROUP: &str = "flowcontrol.apiserver.k8s.io";

/// All of them; `time` is now, as objects have it.
pub(super) fn own(time: &str) -> Vec<Own> {
    #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
    read(include_str!("flow.txt"), time).expect("flow.txt is well-formed")
}

fn read(text: &str, time: &str) -> Result<Vec<Own>, String> {
    let mut own: Vec<Own> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let rule = own
            .last_mut()
            .and_then(|own| own.object.pointer_mut("/spec/rules/0"));
        if line.starts_with(' ') {
            let rule = rule
                .and_then(Value::as_object_mut)
                .ok_or("a rule of no schema")?;
            add(rule, &words).ok_or_else(|| format!("no rule: {line}"))?;
            continue;
        }
        let made = match *words.as_slice() {
            ["level", name, ref rest @ ..] => level(rest).map(|spec| {
                object(
                    "PriorityLevelConfiguration",
                    "prioritylevelconfigurations",
                    name,
                    &spec,
                    &json!({}),
                )
            }),
            ["schema", name, precedence, level, distinguisher] => {
                schema(precedence, level, distinguisher).map(|spec| {
                    object(
                        "FlowSchema",
                        "flowschemas",
                        name,
                        &spec,
                        &found(level, time),
                    )
                })
            }
            _ => None,
        };
        own.push(made.ok_or_else(|| format!("neither level nor schema: {line}"))?);
    }
    Ok(own)
}

fn level(words: &[&str]) -> Option<Value> {
    let (kind, numbers) = words.split_first()?;
    let numbers = numbers.iter().map(|number| number.parse::<i64>().ok());
    let numbers: Vec<i64> = numbers.collect::<Option<_>>()?;
    match (*kind, numbers.as_slice()) {
        ("exempt", &[shares, lendable]) => Some(json!({
            "type": "Exempt",
            "exempt": {"nominalConcurrencyShares": shares, "lendablePercent": lendable},
        })),
        ("limited", &[shares, lendable, ref queues @ ..]) => {
            let response = match *queues {
                [] => json!({"type": "Reject"}),
                [queues, hand, limit] => json!({
                    "type": "Queue",
                    "queuing": {"queues": queues, "handSize": hand, "queueLengthLimit": limit},
                }),
                _ => return None,
            };
            Some(json!({
                "type": "Limited",
                "limited": {
                    "nominalConcurrencyShares": shares,
                    "limitResponse": response,
                    "lendablePercent": lendable,
                },
            }))
        }
        _ => None,
    }
}

fn schema(precedence: &str, level: &str, distinguisher: &str) -> Option<Value> {
    let mut spec = Map::new();
    spec.insert("priorityLevelConfiguration".into(), json!({"name": level}));
    spec.insert(
        "matchingPrecedence".into(),
        precedence.parse::<i64>().ok()?.into(),
    );
    if distinguisher != "-" {
        spec.insert("distinguisherMethod".into(), json!({"type": distinguisher}));
    }
    spec.insert("rules".into(), json!([{}]));
    Some(spec.into())
}

/// Adds subjects or a rule.
fn add(rule: &mut Map<String, Value>, words: &[&str]) -> Option<()> {
    let list = |words: &str| -> Value {
        let named = words.split(',');
        named
            .map(|word| Value::from(if word == "core" { "" } else { word }))
            .collect()
    };
    let (key, items) = match *words {
        [verbs, "url", paths] => {
            let rule = json!({"verbs": list(verbs), "nonResourceURLs": list(paths)});
            ("nonResourceRules", vec![rule])
        }
        [verbs, groups, resources, scope @ ("cluster" | "namespaces")] => {
            let mut rule = json!({"verbs": list(verbs), "apiGroups": list(groups), "resources": list(resources)});
            let rule_map = rule.as_object_mut()?;
            if scope == "cluster" {
                rule_map.insert("clusterScope".into(), true.into());
            }
            rule_map.insert("namespaces".into(), json!(["*"]));
            ("resourceRules", vec![rule])
        }
        _ => {
            let subjects = words.iter().map(|word| match word.split_once('=')? {
                ("user", name) => Some(json!({"kind": "User", "user": {"name": name}})),
                ("group", name) => Some(json!({"kind": "Group", "group": {"name": name}})),
                ("account", account) => {
                    let (namespace, name) = account.split_once('/')?;
                    let account = json!({"namespace": namespace, "name": name});
                    Some(json!({"kind": "ServiceAccount", "serviceAccount": account}))
                }
                _ => None,
            });
            ("subjects", subjects.collect::<Option<Vec<_>>>()?)
        }
    };
    let all = rule
        .entry(key)
        .or_insert_with(|| json!([]))
        .as_array_mut()?;
    all.extend(items);
    Some(())
}

/// The condition that the level of a schema is there.
fn found(level: &str, time: &str) -> Value {
    json!({"conditions": [{
        "type": "Dangling",
        "status": "False",
        "lastTransitionTime": time,
        "reason": "Found",
        "message": format!(
            "This FlowSchema references the PriorityLevelConfiguration object named {level:?} and it exists"
        ),
    }]})
}

fn object(kind: &str, plural: &'static str, name: &str, spec: &Value, status: &Value) -> Own {
    // Without these two there is no place for some requests at all.
    let mandatory = ["exempt", "catch-all"].contains(&name);
    Own {
        group: GROUP,
        version: "v1",
        plural,
        object: json!({
            "kind": kind,
            "apiVersion": format!("{GROUP}/v1"),
            "metadata": {
                "name": name,
                "annotations": {"apf.kubernetes.io/autoupdate-spec": "true"},
            },
            "spec": spec,
            "status": status,
        }),
        upkeep: if mandatory {
            Upkeep::Spec
        } else {
            Upkeep::SpecUnlessTaken
        },
    }
}
