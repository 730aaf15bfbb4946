//! Whether the quotas of a namespace allow a request, and what each is charged for it.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::list::{self, List};
use super::measure::{Measure, With};
use super::{pod, scope};
use crate::kube::admission::attributes::{Attributes, Operation};
use crate::kube::object::meta;
use crate::kube::status::ApiResult;

/// A request as quotas see it.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) by: &'a Attributes<'a>,
    pub(super) with: With<'a>,
    pub(super) measure: Measure<'a>,
    pub(super) object: &'a Value,
    pub(super) old: Option<&'a Value>,
}

/// What a quota is charged.
#[derive(Debug)]
pub(super) struct Charge {
    pub(super) quota: Arc<Value>,
    /// What comes on top of what it has been charged for this request before.
    pub(super) more: List,
    /// All that is used then.
    pub(super) used: List,
}

/// What has been charged for a request so far, by the quotas' uids.
pub(super) type Paid = HashMap<String, List>;

/// Decides by the quotas' own account of what is used.
///
/// # Errors
/// 403 in the words of kube-apiserver, for the first quota that is against it.
pub(super) fn decide(
    request: Request<'_>,
    quotas: &[Arc<Value>],
    paid: &Paid,
) -> ApiResult<Vec<Charge>> {
    let Request { by, object, .. } = request;
    let mut concerned = Vec::new();
    for quota in quotas {
        let hard = list::at(quota, &["status", "hard"]);
        if !request.concerns(quota, &hard, object) {
            continue;
        }
        request.check_known(quota, &hard)?;
        concerned.push((quota, hard));
    }
    if concerned.is_empty() {
        return Ok(Vec::new());
    }
    let usage = request.measure.usage(request.with, object);
    let negative = list::negative(&usage);
    if !negative.is_empty() {
        let names = negative.join(",");
        let why = format!("quota usage is negative for resource(s): {names}");
        return Err(by.refuse(object, why));
    }
    let before = request.old.filter(|_| by.operation == Operation::Update);
    let mut charges = Vec::new();
    for (quota, hard) in concerned {
        // What the quota has not counted before is new to it.
        let before = before.filter(|old| request.concerns(quota, &hard, old));
        let before = before.map(|old| request.measure.usage(request.with, old));
        let more = list::beyond(&usage, &before.unwrap_or_default());
        let more = list::only(&more, hard.keys());
        let none = List::new();
        let more = list::beyond(&more, paid.get(meta::uid(quota)).unwrap_or(&none));
        if !more.is_empty() {
            charges.push(request.charge(quota, &hard, more)?);
        }
    }
    Ok(charges)
}

impl Request<'_> {
    /// Whether a quota counts an object.
    fn concerns(&self, quota: &Value, hard: &List, object: &Value) -> bool {
        let counts = |name: &String| self.measure.counts(self.with, name);
        hard.keys().any(counts) && scope::covers(quota, self.measure, object)
    }

    /// Checks that the object says what the quota counts, and that the quota knows what is used.
    fn check_known(&self, quota: &Value, hard: &List) -> ApiResult<()> {
        let counted = hard
            .keys()
            .filter(|name| self.measure.counts(self.with, name));
        let counted: Vec<&String> = counted.collect();
        let name = meta::name(quota);
        if let Measure::Pods = self.measure
            && let Some(why) = pod::missing(self.object, &counted)
        {
            let why = format!("failed quota: {name}: {why}");
            return Err(self.by.refuse(self.object, why));
        }
        let used = list::at(quota, &["status", "used"]);
        if counted.iter().all(|name| used.contains_key(*name)) {
            return Ok(());
        }
        let counted: Vec<&str> = counted.into_iter().map(String::as_str).collect();
        let counted = counted.join(",");
        let why = format!("status unknown for quota: {name}, resources: {counted}");
        Err(self.by.refuse(self.object, why))
    }

    fn charge(&self, quota: &Arc<Value>, hard: &List, more: List) -> ApiResult<Charge> {
        let before = list::at(quota, &["status", "used"]);
        let mut used = before.clone();
        list::add(&mut used, &more);
        let too_much = more.keys().filter(|name| used.get(*name) > hard.get(*name));
        let too_much: Vec<&String> = too_much.collect();
        // A status tells what is so already.
        if !too_much.is_empty() && self.by.subresource != "status" {
            let of = |all| list::said(&list::only(all, too_much.iter().copied()));
            let why = format!(
                "exceeded quota: {}, requested: {}, used: {}, limited: {}",
                meta::name(quota),
                of(&more),
                of(&before),
                of(hard)
            );
            return Err(self.by.refuse(self.object, why));
        }
        Ok(Charge {
            quota: Arc::clone(quota),
            more,
            used,
        })
    }
}
