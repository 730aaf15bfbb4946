//! What this server serves, told to clients: the documents under `/`, `/api` and `/apis`.
//!
//! There are two forms: one small document for each group and version ([`legacy`]), and one for all groups
//! ([`aggregated`]), which today's clients ask for by media type. Both are made from the resource tables; what
//! custom resources add at run time comes in as further group versions.
//!
//! Contract: <https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api>.

pub mod aggregated;
pub mod legacy;
mod order;

use std::collections::BTreeSet;

use serde_json::{Value, json};

pub use order::{Served, compare_versions};

use super::schema::{Resource, Verb};

/// The body of `/`: every path that leads somewhere, sorted. `others` are those that are no API group.
pub fn root_paths<'a>(served: &Served<'_>, others: impl IntoIterator<Item = &'a str>) -> Value {
    let mut paths: BTreeSet<String> = others.into_iter().map(Into::into).collect();
    paths.insert("/apis/".into());
    for of in served.iter() {
        match &*of.group {
            "" => {
                paths.insert("/api".into());
                paths.insert(format!("/api/{}", of.version));
            }
            group => {
                paths.insert("/apis".into());
                paths.insert(format!("/apis/{group}"));
                paths.insert(format!("/apis/{group}/{}", of.version));
            }
        }
    }
    json!({"paths": paths})
}

/// The verbs in the order in which discovery lists them.
fn verbs(resource: &Resource) -> Vec<Value> {
    // The server of custom resources has an order of its own.
    const CUSTOM: [Verb; 8] = [
        Verb::Delete,
        Verb::DeleteCollection,
        Verb::Get,
        Verb::List,
        Verb::Patch,
        Verb::Create,
        Verb::Update,
        Verb::Watch,
    ];
    if resource.object.is_some() {
        resource
            .verbs
            .iter()
            .map(|verb| verb.as_str().into())
            .collect()
    } else {
        let custom = resource.custom.as_ref();
        let terminating = custom.is_some_and(|kind| kind.definition.terminating);
        let mut verbs = Vec::from(CUSTOM);
        verbs.retain(|verb| resource.verbs.has(*verb));
        // What is on its way out is only to be looked at and deleted; writes are refused one by one.
        verbs.retain(|verb| {
            !terminating || !matches!(verb, Verb::Patch | Verb::Create | Verb::Update)
        });
        verbs.into_iter().map(|verb| verb.as_str().into()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::schema::Resources;

    #[test]
    fn the_root_lists_every_path_once_and_sorted() {
        let served = Served::new(Resources::built_in(), []);
        let root = root_paths(
            &served,
            ["/version", "/healthz", "/healthz/ping", "/healthz"],
        );
        let paths: Vec<_> = root["paths"].as_array().unwrap().iter().collect();
        let mut sorted = paths.clone();
        sorted.sort_by_key(|path| path.as_str());
        sorted.dedup();
        assert_eq!(paths, sorted);
        for path in [
            "/api",
            "/api/v1",
            "/apis",
            "/apis/",
            "/apis/apps/v1",
            "/healthz",
        ] {
            assert!(paths.iter().any(|one| *one == path), "{path}");
        }
    }
}
