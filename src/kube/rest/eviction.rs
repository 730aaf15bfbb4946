//! `pods/eviction`: a deletion that the pod's disruption budget must allow.

use bytes::Bytes;
use serde_json::{Value, json};

use super::call::Call;
use super::options::WriteOptions;
use super::{Answer, Inner, remove, steps, write};
use crate::kube::object::meta;
use crate::kube::objects::Objects as _;
use crate::kube::schema::{Resources, Schema};
use crate::kube::select::LabelSelector;
use crate::kube::status::{ApiError, ApiResult, Cause, Details};
use crate::kube::strategy::deletion::DeleteOptions;
use crate::kube::{codec, store, tree};

/// Times that a budget is charged while others charge it.
const TRIED: usize = 20;
/// Pods that a budget remembers as on their way out; more mean that nobody looks after it.
const MAX_DISRUPTED: usize = 2000;

/// Evicts the pod that a call names.
///
/// # Errors
/// 404, 429 if the budget does not allow it, 500 if there are several budgets.
pub(super) async fn evict(inner: &Inner, call: &Call, body: &Bytes) -> ApiResult<Answer> {
    let given = WriteOptions::parse(&call.query, "CreateOptions")?;
    let mut eviction = steps::decode(call, body, given.validation)?;
    let name = call.name();
    if meta::name(&eviction) != name {
        return Err(ApiError::bad_request(
            "name in URL does not match name in Eviction object",
        ));
    }
    steps::admit_part(inner, call, &mut eviction).await?;
    let key = store::key(store::place(&call.resource)?, call.namespace(), name);
    let stored = inner.store.read(key).await?;
    let stored = stored.ok_or_else(|| ApiError::not_found(&call.resource, name))?;
    let pod = codec::decode(&stored).map_err(ApiError::internal)?;
    let mut options = eviction
        .get("deleteOptions")
        .map(DeleteOptions::from_value)
        .unwrap_or_default();
    if given.dry_run {
        options.dry_run = vec!["All".into()];
    }
    if !ignores_budget(&pod) {
        charge(inner, call, &pod, !options.dry_run.is_empty()).await?;
    }
    let whole = Call::of_object(call);
    remove::remove(inner, &whole, stored, &options).await?;
    Ok(Answer::created(json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "code": 201,
    })))
}

/// A pod that does not run disrupts nothing when it goes.
fn ignores_budget(pod: &Value) -> bool {
    let phase = tree::text(pod, &["status", "phase"]);
    matches!(phase, "Succeeded" | "Failed" | "Pending") || steps::is_deleting(pod)
}

/// Takes one disruption from the pod's budget, if it has one.
async fn charge(inner: &Inner, call: &Call, pod: &Value, dry_run: bool) -> ApiResult<()> {
    let resources = Resources::built_in();
    let budgets = resources.find("policy", "v1", "poddisruptionbudgets");
    let budgets = budgets.ok_or_else(ApiError::no_such_resource)?;
    let all = inner
        .live
        .list("policy", "poddisruptionbudgets", Some(call.namespace()));
    let covers = |budget: &Value| {
        let selector = budget.pointer("/spec/selector");
        let selector = selector.and_then(|selector| LabelSelector::from_object(selector).ok());
        selector.is_some_and(|selector| selector.matches_object(pod))
    };
    let covering: Vec<_> = all.iter().filter(|budget| covers(budget)).collect();
    let budget = match covering.as_slice() {
        [] => return Ok(()),
        [one] => meta::name(one).to_owned(),
        _ => {
            return Err(ApiError::unclassified(
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
            ));
        }
    };
    let key = store::key(store::place(budgets)?, call.namespace(), &budget);
    let mut known = inner.store.read(key.clone()).await?;
    for _ in 0..TRIED {
        let Some(stored) = known else { return Ok(()) };
        let mut object = codec::decode(&stored).map_err(ApiError::internal)?;
        take_one(&mut object, &budget, meta::name(pod))?;
        if dry_run {
            return Ok(());
        }
        let bytes = codec::encode(&object);
        match inner
            .store
            .replace(key.clone(), stored.revision, bytes, write::KEPT)
            .await?
        {
            store::Written::At(_) => return Ok(()),
            store::Written::Not(other) => known = other,
        }
    }
    Err(refused(&budget, "", 10))
}

fn take_one(budget: &mut Value, name: &str, pod: &str) -> ApiResult<()> {
    let status = |field: &str| tree::int(budget, &["status", field]).unwrap_or(0);
    let generation = tree::int(budget, &["metadata", "generation"]).unwrap_or(0);
    if status("observedGeneration") < generation {
        let why = format!("The disruption budget {name} is still being processed by the server.");
        return Err(refused(name, &why, 10));
    }
    let allowed = status("disruptionsAllowed");
    if allowed <= 0 {
        let (desired, healthy) = (status("desiredHealthy"), status("currentHealthy"));
        let why = format!(
            "The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
        );
        return Err(refused(name, &why, 0));
    }
    let schema = Schema::built_in();
    let of = schema
        .find("policy/v1.PodDisruptionBudgetStatus")
        .map(|id| schema.get(id));
    let stamp = crate::kube::strategy::rfc3339(steps::wall());
    if let (Some(of), Some(status)) = (of, budget.get_mut("status").and_then(Value::as_object_mut))
    {
        let mut disrupted = match status.get("disruptedPods") {
            Some(Value::Object(pods)) => pods.clone(),
            _ => serde_json::Map::new(),
        };
        if disrupted.len() > MAX_DISRUPTED {
            return Err(refused(
                name,
                "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
                0,
            ));
        }
        tree::set_sorted(&mut disrupted, pod, stamp.into());
        tree::set_in_order(of, status, "disruptionsAllowed", (allowed - 1).into());
        tree::set_in_order(of, status, "disruptedPods", disrupted.into());
    }
    Ok(())
}

fn refused(_budget: &str, why: &str, retry_after_seconds: u32) -> ApiError {
    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
    let causes = vec![Cause {
        reason: "DisruptionBudget".into(),
        message: why.into(),
        field: String::new(),
    }];
    ApiError::new(429, "TooManyRequests", message).with_details(Details {
        causes,
        retry_after_seconds,
        ..Details::default()
    })
}
