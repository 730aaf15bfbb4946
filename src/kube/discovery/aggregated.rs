//! Discovery of everything at once: `apidiscovery.k8s.io/v2 APIGroupDiscoveryList` at `/api` and `/apis`.
//!
//! Clients ask for it by media type and know it again by the media type of the answer, which therefore must
//! repeat [`MEDIA_TYPE_PARAMETERS`].

use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha512};

use super::super::schema::{GroupVersion, Resource, Schema, Subresource, TypeId};
use super::legacy::names;
use super::{Served, verbs};

/// What the media type of an answer ends with, behind `application/json` and the like.
pub const MEDIA_TYPE_PARAMETERS: &str = ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

static TYPES: LazyLock<Schema> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
    Schema::parse(include_str!("types.txt")).expect("types.txt is well-formed")
});

/// The types of the document, for its protobuf form: they are no API types, so they have a schema of their own.
pub fn schema() -> &'static Schema {
    &TYPES
}

/// The type of the document in [`schema`].
pub fn list_type() -> Option<TypeId> {
    TYPES.find("apidiscovery/v2.APIGroupDiscoveryList")
}

/// The body of `/api`: core alone, as a group without a name.
pub fn core(served: &Served<'_>) -> Value {
    list(vec![group(json!({}), served.versions(""))])
}

/// The body of `/apis`: every named group.
pub fn named(served: &Served<'_>) -> Value {
    let groups = served
        .named()
        .map(|(name, versions)| group(json!({"name": name}), versions));
    list(groups.collect())
}

/// The entity tag of a document in its JSON form, in the quotes that the header has.
pub fn etag(document: &Value) -> String {
    format!("\"{}\"", sha512_hex(document.to_string().as_bytes()))
}

/// SHA-512 in upper-case hexadecimal digits, as the release names the state of its documents.
pub(in super::super) fn sha512_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut hex = String::with_capacity(128);
    for byte in Sha512::digest(bytes) {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02X}");
    }
    hex
}

fn list(items: Vec<Value>) -> Value {
    let mut list = Map::new();
    list.insert("kind".into(), "APIGroupDiscoveryList".into());
    list.insert("apiVersion".into(), "apidiscovery.k8s.io/v2".into());
    list.insert("metadata".into(), json!({}));
    list.insert("items".into(), items.into());
    list.into()
}

fn group(metadata: Value, versions: &[&GroupVersion]) -> Value {
    let mut group = Map::new();
    group.insert("metadata".into(), metadata);
    let versions = versions.iter().map(|of| {
        let mut version = Map::new();
        version.insert("version".into(), of.version.to_string().into());
        if !of.resources.is_empty() {
            let resources = of.resources.iter().map(|one| resource(one));
            version.insert("resources".into(), resources.collect());
        }
        version.insert("freshness".into(), "Current".into());
        Value::Object(version)
    });
    group.insert("versions".into(), versions.collect());
    group.into()
}

fn resource(of: &Resource) -> Value {
    let mut entry = Map::new();
    entry.insert("resource".into(), of.plural.to_string().into());
    let kind = response_kind(of, (&of.group, &of.version, &of.kind));
    entry.insert("responseKind".into(), kind);
    let scope = if of.namespaced {
        "Namespaced"
    } else {
        "Cluster"
    };
    entry.insert("scope".into(), scope.into());
    entry.insert("singularResource".into(), of.singular.to_string().into());
    entry.insert("verbs".into(), verbs(of).into());
    names("shortNames", &of.short_names, &mut entry);
    names("categories", &of.categories, &mut entry);
    if !of.subresources.is_empty() {
        let all = of.subresources.iter().map(|sub| subresource(of, sub));
        entry.insert("subresources".into(), all.collect());
    }
    entry.into()
}

fn subresource(of: &Resource, sub: &Subresource) -> Value {
    let verbs: Vec<_> = sub.verbs.iter().map(|verb| verb.as_str()).collect();
    json!({
        "subresource": sub.name,
        "responseKind": response_kind(of, (&sub.group, &sub.version, &sub.kind)),
        "verbs": verbs,
    })
}

/// A built-in kind of the enclosing group version is named by its kind alone.
fn response_kind(of: &Resource, (group, version, kind): (&str, &str, &str)) -> Value {
    let own = of.object.is_some() && (group, version) == (&*of.group, &*of.version);
    let (group, version) = if own { ("", "") } else { (group, version) };
    json!({"group": group, "version": version, "kind": kind})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::schema::Resources;

    #[test]
    fn documents_are_those_of_the_release() {
        let served = Served::new(Resources::built_in(), []);
        let all = named(&served);
        assert_eq!(
            all["items"][0].to_string(),
            r#"{"metadata":{"name":"apiregistration.k8s.io"},"versions":[{"version":"v1","resources":[{"resource":"apiservices","responseKind":{"group":"","version":"","kind":"APIService"},"scope":"Cluster","singularResource":"apiservice","verbs":["create","delete","deletecollection","get","list","patch","update","watch"],"categories":["api-extensions"],"subresources":[{"subresource":"status","responseKind":{"group":"","version":"","kind":"APIService"},"verbs":["get","patch","update"]}]}],"freshness":"Current"}]}"#
        );
        let core = core(&served);
        assert!(core.to_string().starts_with(
            r#"{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"items":[{"metadata":{},"versions":[{"version":"v1","resources":[{"resource":"bindings","#
        ));
        assert!(core.to_string().contains(
            r#"{"subresource":"eviction","responseKind":{"group":"policy","version":"v1","kind":"Eviction"},"verbs":["create"]}"#
        ));
    }

    #[test]
    fn a_custom_kind_is_named_in_full() {
        let built_in = Resources::built_in();
        let deployments = built_in.find("apps", "v1", "deployments").unwrap();
        let mut resource = Resource::clone(deployments);
        resource.group = "example.com".into();
        resource.object = None;
        for sub in &mut resource.subresources {
            if &*sub.name == "status" {
                sub.group = "example.com".into();
            }
        }
        let custom = GroupVersion {
            group: "example.com".into(),
            version: "v1".into(),
            resources: vec![resource.into()],
        };
        let all = named(&Served::new(built_in, [&custom]));
        let last = all["items"].as_array().unwrap().last().unwrap();
        let resource = &last["versions"][0]["resources"][0];
        assert_eq!(
            resource["responseKind"].to_string(),
            r#"{"group":"example.com","version":"v1","kind":"Deployment"}"#
        );
        assert_eq!(resource["verbs"][0], "delete");
        assert_eq!(
            resource["subresources"][1]["responseKind"]["group"],
            "example.com"
        );
    }

    #[test]
    fn the_entity_tag_follows_the_document() {
        let served = Served::new(Resources::built_in(), []);
        let (one, other) = (etag(&core(&served)), etag(&named(&served)));
        assert_ne!(one, other);
        assert_eq!(one.len(), 130);
        assert_eq!(one, etag(&core(&served)));
        assert!(
            one.bytes()
                .all(|byte| byte == b'"' || byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte))
        );
    }

    #[test]
    fn the_types_of_the_document_can_be_read() {
        let list = schema().get(list_type().unwrap());
        assert_eq!(list.field("items").unwrap().number, Some(2));
    }
}
