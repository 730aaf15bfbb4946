//! Cluster roles that gather the rules of others, by labels.
//!
//! In a cluster with a controller manager that writes the gathered rules into the role. Here they apply as
//! soon as the roles are stored, whether or not a controller runs: its writes then change nothing.

use std::sync::Arc;

use serde_json::Value;

use super::index::{Made as _, Role};
use super::rule::Rule;

/// `metav1.LabelSelector`, as an aggregation rule has it.
#[derive(Debug, Clone)]
pub(super) struct Selector(Vec<Requirement>);

#[derive(Debug, Clone)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl Selector {
    /// The selectors of a role; one that cannot be read selects nothing.
    pub(super) fn of_role(role: &Value) -> Vec<Self> {
        let selectors = role.pointer("/aggregationRule/clusterRoleSelectors");
        let selectors = selectors.and_then(Value::as_array);
        selectors
            .into_iter()
            .flatten()
            .filter_map(Self::read)
            .collect()
    }

    fn read(value: &Value) -> Option<Self> {
        let labels = value.get("matchLabels").and_then(Value::as_object);
        let equal = labels.into_iter().flatten().map(|(key, value)| {
            Some(Requirement {
                key: key.clone(),
                operator: Operator::In,
                values: vec![value.as_str()?.to_owned()],
            })
        });
        let expressions = value.get("matchExpressions").and_then(Value::as_array);
        let expressions = expressions.into_iter().flatten().map(|expression| {
            let values = expression.get("values").and_then(Value::as_array);
            let values = values.into_iter().flatten().filter_map(Value::as_str);
            Some(Requirement {
                key: expression.get("key")?.as_str()?.to_owned(),
                operator: match expression.get("operator")?.as_str()? {
                    "In" => Operator::In,
                    "NotIn" => Operator::NotIn,
                    "Exists" => Operator::Exists,
                    "DoesNotExist" => Operator::DoesNotExist,
                    _ => return None,
                },
                values: values.map(str::to_owned).collect(),
            })
        });
        equal.chain(expressions).collect::<Option<_>>().map(Self)
    }

    fn matches(&self, labels: &[(String, String)]) -> bool {
        self.0.iter().all(|requirement| {
            let found = labels.iter().find(|(key, _)| *key == requirement.key);
            let is_in = || found.is_some_and(|(_, value)| requirement.values.contains(value));
            match requirement.operator {
                Operator::In => is_in(),
                Operator::NotIn => !is_in(),
                Operator::Exists => found.is_some(),
                Operator::DoesNotExist => found.is_none(),
            }
        })
    }
}

/// The rules that a cluster role has and gathers from `all`, which are in the order of their names.
pub fn gathered(all: &[Value], name: &str) -> Vec<Rule> {
    let mut roles: Vec<_> = all.iter().map(|role| Arc::new(Role::make(role))).collect();
    gather(&mut roles);
    let is_named =
        |role: &&Value| role.pointer("/metadata/name").and_then(Value::as_str) == Some(name);
    let at = all.iter().position(|role| is_named(&role));
    let role = at.and_then(|at| roles.get(at));
    role.map_or_else(Vec::new, |role| role.rules().to_vec())
}

/// Gives every role that gathers the rules that it gathers. `roles` are in the order of their names.
pub(super) fn gather(roles: &mut [Arc<Role>]) {
    let gathered: Vec<_> = (0..roles.len())
        .map(|at| {
            let gathers = roles.get(at).is_some_and(|role| !role.gathers.is_empty());
            gathers.then(|| {
                let mut rules = Vec::new();
                collect(roles, at, &mut vec![false; roles.len()], &mut rules);
                rules
            })
        })
        .collect();
    for (role, rules) in roles.iter_mut().zip(gathered) {
        if role.gathered != rules {
            *role = Arc::new(Role {
                gathered: rules,
                ..Role::clone(role)
            });
        }
    }
}

/// Adds the rules of a role and of all that it gathers, each role once. Does not recurse: roles may gather each
/// other in chains of any length.
fn collect(roles: &[Arc<Role>], at: usize, seen: &mut [bool], rules: &mut Vec<Rule>) {
    let mut open = vec![at];
    while let Some(at) = open.pop() {
        let (Some(role), Some(seen_here)) = (roles.get(at), seen.get_mut(at)) else {
            continue;
        };
        if std::mem::replace(seen_here, true) {
            continue;
        }
        for rule in &role.own {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
        let selected = |other: &Role| role.gathers.iter().any(|one| one.matches(&other.labels));
        let others = roles.iter().enumerate().rev();
        // The last is looked at first.
        open.extend(
            others
                .filter(|(_, other)| selected(other))
                .map(|(at, _)| at),
        );
    }
}
