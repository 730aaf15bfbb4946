//! `ipFamilies` and `ipFamilyPolicy`: what a service that does not say them gets.

use serde_json::Value;

use super::ranges::family_of;
use super::{Ranges, SPEC, is_external, put, spec_mut, texts};
use crate::kube::field::{FieldError, quoted};
use crate::kube::tree::{entries, get, text};

const POLICY: &str = "spec.ipFamilyPolicy";
const SINGLE: &str = "SingleStack";
const PREFER: &str = "PreferDualStack";
const REQUIRE: &str = "RequireDualStack";

fn policy(service: &Value) -> &str {
    text(service, &["spec", "ipFamilyPolicy"])
}

fn same(old: &Value, new: &Value, key: &str) -> bool {
    texts(old, key) == texts(new, key)
}

/// Whether an update keeps what a service that takes what it can get has.
pub(super) fn stays(old: &Value, new: &Value) -> bool {
    policy(new) == PREFER
        && ["", PREFER].contains(&policy(old))
        && text(old, &["spec", "type"]) == text(new, &["spec", "type"])
        && !is_external(new)
        && same(old, new, "clusterIPs")
        && same(old, new, "ipFamilies")
}

fn other(family: &str) -> &'static str {
    if family == "IPv4" { "IPv6" } else { "IPv4" }
}

fn set(service: &mut Value, key: &str, value: impl Into<Value>) {
    if let Some(spec) = spec_mut(service) {
        put(SPEC, spec, key, value);
    }
}

/// Fills them in.
pub(super) fn fill(
    ranges: &Ranges,
    old: Option<&Value>,
    service: &mut Value,
) -> Result<(), Vec<FieldError>> {
    if is_external(service) || old.is_some_and(|old| stays(old, service)) {
        return Ok(());
    }
    let open = text(service, &["spec", "clusterIP"]) == "None"
        && entries(service, &["spec", "selector"]).next().is_none();
    if get(service, &["spec", "ipFamilyPolicy"]).is_none() {
        let kept = old.map(policy).filter(|kept| !kept.is_empty());
        let default = kept
            .unwrap_or(if open { REQUIRE } else { SINGLE })
            .to_owned();
        set(service, "ipFamilyPolicy", default);
    }
    let policy = policy(service).to_owned();
    let mut errors = Vec::new();
    let mut wrong = |why: &str| errors.push(FieldError::invalid(POLICY, quoted(&policy), why));
    if let Some(old) = old {
        for (key, what) in [("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")] {
            let (before, now) = (texts(old, key), texts(service, key));
            if policy == SINGLE {
                if let ([first, _, ..], true) = (now.as_slice(), before == now) {
                    set(service, key, vec![first.clone()]);
                }
            } else if !now.is_empty() && now.len() < before.len() {
                wrong(&format!(
                    "must be 'SingleStack' to release the secondary {what}"
                ));
            }
        }
    }
    let addresses = texts(service, "clusterIPs");
    let mut families = texts(service, "ipFamilies");
    if policy == SINGLE {
        let say = "must be 'RequireDualStack' or 'PreferDualStack' when multiple";
        if addresses.len() == 2 {
            wrong(&format!("{say} cluster IPs are specified"));
        }
        if families.len() == 2 {
            wrong(&format!("{say} IP families are specified"));
        }
    }
    for (at, address) in addresses.iter().enumerate() {
        if address == "None" {
            break;
        }
        if at < families.len() {
            continue;
        }
        let family = family_of(address).unwrap_or("unknown");
        if ranges.network(family).is_some() {
            families.push(family.to_owned());
        } else {
            let value = Value::from(addresses.clone()).to_string();
            let why = format!("{family} is not configured on this cluster");
            errors.push(FieldError::invalid(
                format!("spec.clusterIPs[{at}]"),
                value,
                why,
            ));
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    if !open {
        if policy == REQUIRE && ranges.networks.len() < 2 {
            let why = "this cluster is not configured for dual-stack services";
            errors.push(FieldError::invalid(POLICY, quoted(&policy), why));
        }
        for (at, family) in families.iter().enumerate() {
            if ranges.network(family).is_none() {
                let path = format!("spec.ipFamilies[{at}]");
                errors.push(FieldError::invalid(
                    path,
                    quoted(family),
                    "not configured on this cluster",
                ));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
    }
    if let (true, Some(first)) = (families.is_empty(), ranges.networks.first()) {
        families.push(first.family().to_owned());
    }
    // Who brings its own endpoints may have both families, whatever the cluster has.
    let both = open || ranges.networks.len() == 2;
    if let ([first], true) = (families.as_slice(), both && policy != SINGLE) {
        families.push(other(first).to_owned());
    }
    set(service, "ipFamilies", families);
    Ok(())
}
