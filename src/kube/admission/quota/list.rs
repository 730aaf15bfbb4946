//! Amounts by the name of their resource, as quotas limit and count them.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::kube::amount::Amount;
use crate::kube::tree;

/// Amounts by name: a `ResourceList`.
pub(in crate::kube::admission) type List = BTreeMap<String, Amount>;

/// The list at a path of an object; what is no quantity is not in it.
pub(super) fn at(object: &Value, path: &[&str]) -> List {
    let all = tree::entries(object, path);
    all.filter_map(|(name, value)| Some((name.to_owned(), Amount::parse(value.as_str()?)?)))
        .collect()
}

pub(super) fn add(to: &mut List, more: &List) {
    for (name, amount) in more {
        let sum = to.get(name).map_or(*amount, |has| has.plus(*amount));
        to.insert(name.clone(), sum);
    }
}

/// Raises what is less than in the other list.
pub(super) fn raise(to: &mut List, other: &List) {
    for (name, amount) in other {
        if to.get(name).is_none_or(|has| amount > has) {
            to.insert(name.clone(), *amount);
        }
    }
}

/// What of `all` is more than nothing when `less` is taken away.
pub(super) fn beyond(all: &List, less: &List) -> List {
    let rest = |(name, amount): (&String, &Amount)| {
        let rest = less.get(name).map_or(*amount, |less| amount.minus(*less));
        (rest > Amount::ZERO).then(|| (name.clone(), rest))
    };
    all.iter().filter_map(rest).collect()
}

/// The entries with these names.
pub(super) fn only<'a>(all: &List, names: impl IntoIterator<Item = &'a String>) -> List {
    let found = names.into_iter().filter_map(|name| all.get_key_value(name));
    found
        .map(|(name, amount)| (name.clone(), *amount))
        .collect()
}

/// Names of what is below zero.
pub(super) fn negative(all: &List) -> Vec<&str> {
    let below = all
        .iter()
        .filter(|(_, amount)| amount.sign() == Ordering::Less);
    below.map(|(name, _)| name.as_str()).collect()
}

/// `cpu=1,memory=2Gi`.
pub(super) fn said(all: &List) -> String {
    let each: Vec<String> = all
        .iter()
        .map(|(name, amount)| format!("{name}={amount}"))
        .collect();
    each.join(",")
}

/// As objects have it.
pub(super) fn object(all: &List) -> Map<String, Value> {
    let each = all.iter();
    each.map(|(name, amount)| (name.clone(), amount.to_string().into()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "a case writes its objects in place"
    )]
    fn list(of: Value) -> List {
        at(&of, &[])
    }

    #[test]
    fn lists_are_counted_together() {
        let mut sum = list(json!({"cpu": "1", "memory": "1Gi"}));
        add(&mut sum, &list(json!({"cpu": "500m", "pods": "1"})));
        assert_eq!(said(&sum), "cpu=1500m,memory=1Gi,pods=1");
        raise(&mut sum, &list(json!({"cpu": "1", "memory": "2Gi"})));
        assert_eq!(said(&sum), "cpu=1500m,memory=2Gi,pods=1");
        let rest = beyond(&sum, &list(json!({"cpu": "2", "memory": "1Gi", "x": "1"})));
        assert_eq!(said(&rest), "memory=1Gi,pods=1");
        assert_eq!(said(&only(&sum, [&"pods".to_owned()])), "pods=1");
        assert_eq!(negative(&list(json!({"a": "-1", "b": "0"}))), ["a"]);
    }
}
