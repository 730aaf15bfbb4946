//! What definitions make the server serve: group versions, their resources, and what is special about a custom kind.
//!
//! A definition is served once its names are accepted and it is established. Its versions share all but schema,
//! columns and subresources, so each [`Kind`] leads to the whole [`Definition`].

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::columns::Column;
use super::conditions;
use super::rules::CompiledRules;
use super::structural::{self, Additional, Structural};
use crate::kube::discovery::compare_versions;
use crate::kube::schema::{GroupVersion, Resource, Subresource, Verb, Verbs};
use crate::kube::tree;

/// A custom kind in one version: what a [`Resource`] refers to.
#[derive(Debug, Clone)]
pub struct Kind {
    pub definition: Arc<Definition>,
    /// One of the definition's own.
    pub version: Arc<Version>,
}

/// What all versions of a custom kind share.
#[derive(Debug)]
pub struct Definition {
    /// Of the definition itself: `<plural>.<group>`.
    pub name: Box<str>,
    pub uid: Box<str>,
    pub group: Box<str>,
    pub kind: Box<str>,
    pub list_kind: Box<str>,
    /// In which objects are stored.
    pub storage_version: Box<str>,
    /// Nothing is pruned; only definitions from before apiextensions v1 can have it.
    pub preserve_unknown: bool,
    pub conversion: Conversion,
    /// Nothing can be created any more.
    pub terminating: bool,
    /// Whether it is in discovery; until then it may be served already.
    pub established: bool,
    /// All versions, served or not, as the definition lists them.
    pub versions: Vec<Arc<Version>>,
}

/// A version of a custom kind.
#[derive(Debug)]
pub struct Version {
    pub name: Box<str>,
    pub served: bool,
    pub storage: bool,
    /// What every answer warns of, if it is deprecated.
    pub deprecation_warning: Option<String>,
    pub schema: Option<Arc<Structural>>,
    /// Whether there are rules in CEL anywhere in the schema.
    pub ruled: bool,
    /// Those rules, compiled by the first write.
    compiled: OnceLock<Option<CompiledRules>>,
    /// `additionalPrinterColumns`; never empty: without any there is `Age`.
    pub columns: Vec<Column>,
    /// Paths of fields that selectors may name, without their leading dot.
    pub selectable: Vec<Box<str>>,
    /// Whether status is a subresource.
    pub status: bool,
    pub scale: Option<ScalePaths>,
}

/// Where a custom object has what its `Scale` shows. Paths begin with a dot: `.spec.replicas`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalePaths {
    pub spec_replicas: Box<str>,
    pub status_replicas: Box<str>,
    pub label_selector: Option<Box<str>>,
}

/// How objects are turned from one version into another.
#[derive(Debug, Clone, PartialEq)]
pub enum Conversion {
    /// `apiVersion` alone changes.
    None,
    /// A webhook does it: `spec.conversion.webhook`.
    Webhook(Value),
}

impl Version {
    /// The rules that objects are held to, ready to run.
    pub fn rules(&self) -> Option<&CompiledRules> {
        let compile = || CompiledRules::compile(self.schema.as_ref()?);
        self.compiled.get_or_init(compile).as_ref()
    }
}

impl Definition {
    /// The version of this name, served or not.
    pub fn version(&self, name: &str) -> Option<&Arc<Version>> {
        self.versions.iter().find(|one| &*one.name == name)
    }
}

/// The resources that a definition makes, one for each served version; none while its names are not accepted.
///
/// One that is not established is served but not yet told of: see [`Definition::established`].
pub fn served(crd: &Value) -> Vec<Arc<Resource>> {
    let accepted = conditions::is_true(crd, conditions::NAMES_ACCEPTED);
    let established = conditions::is_true(crd, conditions::ESTABLISHED);
    if !accepted && !established {
        return Vec::new();
    }
    let definition = Arc::new(definition(crd, established));
    let versions = definition.versions.iter().filter(|one| one.served);
    versions
        .map(|version| Arc::new(resource(crd, &definition, version)))
        .collect()
}

/// Group versions of what [`served`] makes of several definitions: resources by name.
pub fn group_versions(resources: impl IntoIterator<Item = Arc<Resource>>) -> Vec<GroupVersion> {
    let mut groups: Vec<GroupVersion> = Vec::new();
    for resource in resources {
        let known = groups
            .iter_mut()
            .find(|of| of.group == resource.group && of.version == resource.version);
        match known {
            Some(of) => of.resources.push(resource),
            None => groups.push(GroupVersion {
                group: resource.group.clone(),
                version: resource.version.clone(),
                resources: vec![resource],
            }),
        }
    }
    for of in &mut groups {
        of.resources
            .sort_by(|one, other| one.plural.cmp(&other.plural));
    }
    groups
}

fn definition(crd: &Value, established: bool) -> Definition {
    let names = |key| tree::text(crd, &["status", "acceptedNames", key]).into();
    let all = tree::items(crd, &["spec", "versions"]);
    let versions: Vec<_> = all.iter().map(|one| Arc::new(version(crd, one))).collect();
    let stored = versions.iter().find(|one| one.storage);
    let conversion = match tree::text(crd, &["spec", "conversion", "strategy"]) {
        "Webhook" => {
            let hook = tree::get(crd, &["spec", "conversion", "webhook"]);
            Conversion::Webhook(hook.cloned().unwrap_or_default())
        }
        _ => Conversion::None,
    };
    Definition {
        name: tree::text(crd, &["metadata", "name"]).into(),
        uid: tree::text(crd, &["metadata", "uid"]).into(),
        group: tree::text(crd, &["spec", "group"]).into(),
        kind: names("kind"),
        list_kind: names("listKind"),
        storage_version: stored.map_or("".into(), |one| one.name.clone()),
        preserve_unknown: tree::flag(crd, &["spec", "preserveUnknownFields"]),
        conversion,
        terminating: conditions::is_true(crd, conditions::TERMINATING),
        established,
        versions,
    }
}

/// A schema as objects are held to it: its defaults have nothing in them that it does not know. None if it is not
/// structural, which nobody can write any more.
fn read(schema: &Value) -> Option<Structural> {
    let mut schema = Structural::parse(schema).ok()?;
    structural::prune_defaults(&mut schema).ok()?;
    Some(schema)
}

/// Whether a schema has rules on the spine of its fields and items: the release looks for them nowhere else, and runs those of
/// junctions only if there are any. As deep as the schema, whose depth is bounded by that of bodies.
fn has_rules(schema: &Structural) -> bool {
    let additional = match &schema.additional {
        Additional::Of(of) => Some(of),
        _ => None,
    };
    let mut below = schema.items.iter().chain(additional);
    !schema.rules.is_empty()
        || below.any(|of| has_rules(of))
        || schema.properties.values().any(has_rules)
}

fn version(crd: &Value, of: &Value) -> Version {
    let schema = tree::get(of, &["schema", "openAPIV3Schema"]).and_then(read);
    let selectable = tree::items(of, &["selectableFields"]).iter();
    let selectable = selectable.map(|field| {
        let path = tree::text(field, &["jsonPath"]);
        path.strip_prefix('.').unwrap_or(path).into()
    });
    let scale = tree::get(of, &["subresources", "scale"]);
    Version {
        name: tree::text(of, &["name"]).into(),
        served: tree::flag(of, &["served"]),
        storage: tree::flag(of, &["storage"]),
        deprecation_warning: deprecation_warning(crd, of),
        ruled: schema.as_ref().is_some_and(has_rules),
        compiled: OnceLock::new(),
        schema: schema.map(Arc::new),
        columns: Column::all(of),
        selectable: selectable.collect(),
        status: tree::get(of, &["subresources", "status"]).is_some(),
        scale: scale.map(|scale| ScalePaths {
            spec_replicas: tree::text(scale, &["specReplicasPath"]).into(),
            status_replicas: tree::text(scale, &["statusReplicasPath"]).into(),
            label_selector: tree::get(scale, &["labelSelectorPath"])
                .and_then(Value::as_str)
                .map(Into::into),
        }),
    }
}

/// The definition's own words, or those that name the version to turn to.
fn deprecation_warning(crd: &Value, of: &Value) -> Option<String> {
    if !tree::flag(of, &["deprecated"]) {
        return None;
    }
    if let Some(own) = tree::get(of, &["deprecationWarning"]) {
        return Some(own.as_str().unwrap_or_default().to_owned());
    }
    let group = tree::text(crd, &["spec", "group"]);
    let kind = tree::text(crd, &["spec", "names", "kind"]);
    let name = tree::text(of, &["name"]);
    let mut warning = format!("{group}/{name} {kind} is deprecated");
    let others = tree::items(crd, &["spec", "versions"]).iter();
    let better = others
        .filter(|one| tree::flag(one, &["served"]) && !tree::flag(one, &["deprecated"]))
        .map(|one| tree::text(one, &["name"]))
        .filter(|one| compare_versions(one, name).is_lt())
        .min_by(|one, other| compare_versions(one, other));
    if let Some(better) = better {
        warning.push_str(&format!("; use {group}/{better} {kind}"));
    }
    Some(warning)
}

fn resource(crd: &Value, definition: &Arc<Definition>, version: &Arc<Version>) -> Resource {
    let names = |key| tree::items(crd, &["status", "acceptedNames", key]).iter();
    let list = |key| -> Vec<Box<str>> {
        let texts = names(key).filter_map(Value::as_str);
        texts.map(Into::into).collect()
    };
    let plural: Box<str> = tree::text(crd, &["status", "acceptedNames", "plural"]).into();
    let group = definition.group.clone();
    // The storage hash of discovery names the version that is stored.
    let hashed_as = (definition.storage_version != version.name)
        .then(|| (group.clone(), definition.storage_version.clone()));
    Resource {
        key: Some(format!("{group}/{plural}").into()),
        plural,
        version: version.name.clone(),
        kind: definition.kind.clone(),
        singular: tree::text(crd, &["status", "acceptedNames", "singular"]).into(),
        namespaced: tree::text(crd, &["spec", "scope"]) == "Namespaced",
        verbs: Verbs::ALL,
        short_names: list("shortNames"),
        categories: list("categories"),
        delete_returns_object: false,
        put_creates: false,
        needs_version: true,
        generation: true,
        hashed_as,
        subresources: subresources(&group, &definition.kind, version),
        object: None,
        custom: Some(Arc::new(Kind {
            definition: Arc::clone(definition),
            version: Arc::clone(version),
        })),
        group,
    }
}

fn subresources(group: &str, kind: &str, version: &Version) -> Vec<Subresource> {
    let verbs = Verbs::of(&[Verb::Get, Verb::Patch, Verb::Update]);
    let sub = |name: &str, group: &str, version: &str, kind: &str| Subresource {
        name: name.into(),
        group: group.into(),
        version: version.into(),
        kind: kind.into(),
        verbs,
    };
    let status = version
        .status
        .then(|| sub("status", group, &version.name, kind));
    let scale = version.scale.as_ref();
    let scale = scale.map(|_| sub("scale", "autoscaling", "v1", "Scale"));
    status.into_iter().chain(scale).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn crd(versions: &Value) -> Value {
        let condition = |of: &str| json!({"type": of, "status": "True"});
        json!({
            "metadata": {"name": "widgets.example.com", "uid": "u"},
            "spec": {
                "group": "example.com",
                "scope": "Namespaced",
                "names": {"kind": "Widget"},
                "versions": versions,
            },
            "status": {
                "acceptedNames": {
                    "plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList",
                    "shortNames": ["w"], "categories": ["all"],
                },
                "conditions": [condition("NamesAccepted"), condition("Established")],
            },
        })
    }

    fn versions() -> Value {
        json!([
            {"name": "v1alpha1", "served": true, "storage": false, "deprecated": true},
            {"name": "v1beta1", "served": true, "storage": false, "deprecated": true, "deprecationWarning": "no more"},
            {"name": "v1beta2", "served": true, "storage": false},
            {"name": "v1", "served": true, "storage": true, "subresources": {
                "status": {},
                "scale": {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"},
            }},
            {"name": "v2", "served": false, "storage": false},
        ])
    }

    #[test]
    fn each_served_version_is_a_resource() {
        let all = served(&crd(&versions()));
        let names: Vec<_> = all.iter().map(|one| &*one.version).collect();
        assert_eq!(names, ["v1alpha1", "v1beta1", "v1beta2", "v1"]);
        let v1 = all.last().unwrap();
        assert_eq!(v1.key.as_deref(), Some("example.com/widgets"));
        assert_eq!((&*v1.plural, v1.namespaced), ("widgets", true));
        let subs: Vec<_> = v1.subresources.iter().map(|sub| &*sub.name).collect();
        assert_eq!(subs, ["status", "scale"]);
        assert_eq!(v1.hashed_as, None);
        assert_eq!(all[0].hashed_as, Some(("example.com".into(), "v1".into())));
        assert!(all[0].subresources.is_empty());
        let groups = group_versions(all);
        assert_eq!(groups.len(), 4);
    }

    #[test]
    fn deprecated_versions_name_the_best_that_is_not() {
        let all = served(&crd(&versions()));
        let warnings = all.iter().map(|one| {
            let kind = one.custom.as_ref().unwrap();
            kind.version.deprecation_warning.as_deref()
        });
        assert_eq!(
            warnings.collect::<Vec<_>>(),
            [
                Some("example.com/v1alpha1 Widget is deprecated; use example.com/v1 Widget"),
                Some("no more"),
                None,
                None,
            ]
        );
    }

    #[test]
    fn nothing_is_served_before_names_are_accepted() {
        let mut crd = crd(&versions());
        crd["status"]["conditions"] = json!([{"type": "NamesAccepted", "status": "False"}]);
        assert!(served(&crd).is_empty());
        crd["status"]["conditions"] = json!([{"type": "NamesAccepted", "status": "True"}]);
        let all = served(&crd);
        assert!(!all[0].custom.as_ref().unwrap().definition.established);
    }
}
