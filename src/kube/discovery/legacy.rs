//! Discovery with a document for each group and version.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::super::schema::{GroupVersion, Resource, Subresource};
use super::{Served, verbs};

/// The body of `/api`. `address` is `host:port` under which clients reach this server.
pub fn api_versions(served: &Served<'_>, address: &str) -> Value {
    let versions: Vec<_> = served.versions("").iter().map(|of| &of.version).collect();
    json!({
        "kind": "APIVersions",
        "versions": versions,
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

/// The body of `/apis`.
pub fn group_list(served: &Served<'_>) -> Value {
    let mut list = head("APIGroupList", true);
    let groups = served.named().filter_map(|(_, versions)| {
        let mut group = Map::new();
        describe(versions, &mut group)?;
        Some(Value::Object(group))
    });
    list.insert("groups".into(), groups.collect());
    list.into()
}

/// The body of `/apis/GROUP`; none for a group that is not served, and for core.
pub fn group(served: &Served<'_>, group: &str) -> Option<Value> {
    let versions = served.versions(group);
    if group.is_empty() {
        return None;
    }
    let mut body = head("APIGroup", true);
    describe(versions, &mut body)?;
    Some(body.into())
}

/// The body of `/api/v1` and `/apis/GROUP/VERSION`.
pub fn resource_list(of: &GroupVersion) -> Value {
    let mut list = head("APIResourceList", !of.group.is_empty());
    list.insert("groupVersion".into(), of.api_version().into());
    let mut resources: Vec<Value> = Vec::new();
    for one in &of.resources {
        resources.push(resource(one));
        resources.extend(one.subresources.iter().map(|sub| subresource(one, sub)));
    }
    list.insert("resources".into(), resources.into());
    list.into()
}

/// base64 of the first eight bytes of SHA-256 of `group/version/Kind`: tells in which version objects are stored.
pub fn storage_version_hash(group: &str, version: &str, kind: &str) -> String {
    let digest = Sha256::digest(format!("{group}/{version}/{kind}"));
    BASE64_STANDARD.encode(digest.get(..8).unwrap_or_default())
}

/// The core group's documents were first to be and have no `apiVersion`.
fn head(kind: &str, versioned: bool) -> Map<String, Value> {
    let mut head = Map::new();
    head.insert("kind".into(), kind.into());
    if versioned {
        head.insert("apiVersion".into(), "v1".into());
    }
    head
}

/// What an `APIGroup` says, alone or in a list; none without versions.
fn describe(versions: &[&GroupVersion], into: &mut Map<String, Value>) -> Option<()> {
    let version =
        |of: &GroupVersion| json!({"groupVersion": of.api_version(), "version": of.version});
    let preferred = versions.first()?;
    into.insert("name".into(), preferred.group.to_string().into());
    let all = versions.iter().map(|of| version(of));
    into.insert("versions".into(), all.collect());
    into.insert("preferredVersion".into(), version(preferred));
    Some(())
}

fn resource(of: &Resource) -> Value {
    let mut entry = Map::new();
    entry.insert("name".into(), of.plural.to_string().into());
    entry.insert("singularName".into(), of.singular.to_string().into());
    entry.insert("namespaced".into(), of.namespaced.into());
    entry.insert("kind".into(), of.kind.to_string().into());
    entry.insert("verbs".into(), verbs(of).into());
    names("shortNames", &of.short_names, &mut entry);
    names("categories", &of.categories, &mut entry);
    if of.key.is_some() {
        let (group, version) = match &of.hashed_as {
            Some((group, version)) => (group, version),
            None => (&of.group, &of.version),
        };
        let hash = storage_version_hash(group, version, &of.kind);
        entry.insert("storageVersionHash".into(), hash.into());
    }
    entry.into()
}

fn subresource(of: &Resource, sub: &Subresource) -> Value {
    let mut entry = Map::new();
    entry.insert("name".into(), format!("{}/{}", of.plural, sub.name).into());
    entry.insert("singularName".into(), "".into());
    entry.insert("namespaced".into(), of.namespaced.into());
    if (&sub.group, &sub.version) != (&of.group, &of.version) {
        if !sub.group.is_empty() {
            entry.insert("group".into(), sub.group.to_string().into());
        }
        entry.insert("version".into(), sub.version.to_string().into());
    }
    entry.insert("kind".into(), sub.kind.to_string().into());
    let verbs = sub.verbs.iter().map(|verb| Value::from(verb.as_str()));
    entry.insert("verbs".into(), verbs.collect());
    entry.into()
}

/// A list of names, left out when empty.
pub(super) fn names(key: &str, names: &[Box<str>], into: &mut Map<String, Value>) {
    if !names.is_empty() {
        let names = names.iter().map(|name| Value::from(&**name));
        into.insert(key.into(), names.collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::schema::Resources;

    #[test]
    fn documents_are_those_of_the_release() {
        let resources = Resources::built_in();
        let served = Served::new(resources, []);
        assert_eq!(
            api_versions(&served, "10.0.0.1:6443").to_string(),
            r#"{"kind":"APIVersions","versions":["v1"],"serverAddressByClientCIDRs":[{"clientCIDR":"0.0.0.0/0","serverAddress":"10.0.0.1:6443"}]}"#
        );
        assert_eq!(
            group(&served, "autoscaling").unwrap().to_string(),
            r#"{"kind":"APIGroup","apiVersion":"v1","name":"autoscaling","versions":[{"groupVersion":"autoscaling/v2","version":"v2"},{"groupVersion":"autoscaling/v1","version":"v1"}],"preferredVersion":{"groupVersion":"autoscaling/v2","version":"v2"}}"#
        );
        assert!(group(&served, "").is_none() && group(&served, "none").is_none());
        let autoscaling = resource_list(resources.group_version("autoscaling", "v1").unwrap());
        assert_eq!(
            autoscaling.to_string(),
            r#"{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"autoscaling/v1","resources":[{"name":"horizontalpodautoscalers","singularName":"horizontalpodautoscaler","namespaced":true,"kind":"HorizontalPodAutoscaler","verbs":["create","delete","deletecollection","get","list","patch","update","watch"],"shortNames":["hpa"],"categories":["all"],"storageVersionHash":"qwQve8ut294="},{"name":"horizontalpodautoscalers/status","singularName":"","namespaced":true,"kind":"HorizontalPodAutoscaler","verbs":["get","patch","update"]}]}"#
        );
    }

    #[test]
    fn core_has_no_api_version_and_subresources_name_a_foreign_type() {
        let core = resource_list(Resources::built_in().group_version("", "v1").unwrap());
        assert_eq!(core.get("apiVersion"), None);
        let entry = |name: &str| {
            let mut all = core["resources"].as_array().unwrap().iter();
            all.find(|one| one["name"] == name).unwrap().to_string()
        };
        assert_eq!(
            entry("pods/eviction"),
            r#"{"name":"pods/eviction","singularName":"","namespaced":true,"group":"policy","version":"v1","kind":"Eviction","verbs":["create"]}"#
        );
        assert_eq!(
            entry("componentstatuses"),
            r#"{"name":"componentstatuses","singularName":"componentstatus","namespaced":false,"kind":"ComponentStatus","verbs":["get","list"],"shortNames":["cs"]}"#
        );
        assert!(entry("events").contains("r2yiGXH7wu8="));
    }
}
