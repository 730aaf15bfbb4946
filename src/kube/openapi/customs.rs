//! Documents of custom resources: made of what definitions say at one moment.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use super::super::custom::Kind;
use super::super::custom::openapi::{self, Own, Release};
use super::super::schema::{GroupVersion, Resource, Resources, Schema};
use super::definitions::{Definitions, group_version_kind, reference};
use super::document::{Subject, security, title};
use super::operations::Writer;
use super::paths::Paths;
use super::{Document, descriptions};

/// The group versions of custom resources at one moment, and their documents once they are asked for.
#[derive(Debug, Default)]
pub struct Customs {
    groups: Vec<GroupVersion>,
    documents: OnceLock<Vec<(String, Document)>>,
    pub(super) swagger: [OnceLock<Document>; 2],
}

impl Customs {
    /// Of what [`super::super::custom::group_versions`] makes.
    pub fn new(groups: Vec<GroupVersion>) -> Self {
        Self {
            groups,
            documents: OnceLock::new(),
            swagger: Default::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Path and document of each group version, in OpenAPI 3.0.
    pub(super) fn documents(
        &self,
        schema: &Schema,
        resources: &Resources,
    ) -> &[(String, Document)] {
        self.documents.get_or_init(|| {
            let all = self.own(resources).map(|of| {
                let document = describe(of, schema, resources, Release::V3);
                (Subject::Version(of).path(), Document::new(&document))
            });
            all.collect()
        })
    }

    /// Each group version as 3.0 would say what 2.0 can say.
    pub(super) fn for_swagger<'a>(
        &'a self,
        schema: &'a Schema,
        resources: &'a Resources,
    ) -> impl Iterator<Item = Value> + 'a {
        let all = self.own(resources);
        all.map(move |of| describe(of, schema, resources, Release::V2))
    }

    /// Those that are not built in.
    fn own<'a>(&'a self, resources: &'a Resources) -> impl Iterator<Item = &'a GroupVersion> + 'a {
        let all = self.groups.iter();
        all.filter(|of| resources.group_version(&of.group, &of.version).is_none())
    }
}

fn describe(of: &GroupVersion, schema: &Schema, resources: &Resources, release: Release) -> Value {
    let mut definitions = Definitions::new(schema, resources, (&of.group, &of.version));
    let mut paths = Paths::default();
    Writer {
        schema,
        definitions: &mut definitions,
        paths: &mut paths,
        of,
        release,
    }
    .write();
    let schemas: Map<String, Value> = definitions.finish().into_iter().collect();
    json!({
        "openapi": "3.0.0",
        "info": title(),
        "paths": paths.finish(),
        "components": {"schemas": schemas, "securitySchemes": security()},
    })
}

/// Any type with kind and version, for what those are described as.
const SOME: &str = "io.k8s.api.core.v1.ConfigMap";

impl Definitions<'_> {
    /// References to a custom kind and to its list, which will be among the definitions.
    pub(super) fn custom(
        &mut self,
        resource: &Resource,
        kind: &Kind,
        release: Release,
    ) -> [Value; 2] {
        let list_kind = &kind.definition.list_kind;
        let [name, list] = [&resource.kind, list_kind].map(|kind| model(resource, kind));
        if !self.has(&name) {
            let object = self.custom_object(resource, kind, release);
            self.add(name.clone(), object);
            let listed = self.custom_list(resource, kind, &name);
            self.add(list.clone(), listed);
        }
        [reference(&name), reference(&list)]
    }

    fn custom_object(&mut self, resource: &Resource, kind: &Kind, release: Release) -> Value {
        let described = |field: &str| {
            let mut of = json!({"type": "string"});
            if let (Some(text), Some(of)) =
                (descriptions::of_field(SOME, field), of.as_object_mut())
            {
                of.insert("description".into(), text.into());
            }
            of
        };
        let metadata = self.named("meta/v1.ObjectMeta");
        let own = Own {
            api_version: &described("apiVersion"),
            kind: &described("kind"),
            metadata: &with_text(metadata, descriptions::of_field(SOME, "metadata")),
        };
        let preserve = kind.definition.preserve_unknown;
        let schema = kind.version.schema.as_deref();
        let mut object = openapi::object(schema, preserve, release, own);
        name_kind(resource, &resource.kind, kind, &mut object);
        object
    }

    fn custom_list(&mut self, resource: &Resource, kind: &Kind, of: &str) -> Value {
        let list_kind = &kind.definition.list_kind;
        let described = |field: &str| match descriptions::of_field(SOME, field) {
            Some(text) => json!({"description": text, "type": "string"}),
            None => json!({"type": "string"}),
        };
        let metadata = self.named("meta/v1.ListMeta");
        let mut list = json!({
            "description": format!("{list_kind} is a list of {}", resource.kind),
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": described("apiVersion"),
                "items": {
                    "description": format!("List of {}. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md", resource.plural),
                    "type": "array",
                    "items": reference(of),
                },
                "kind": described("kind"),
                "metadata": with_text(metadata, descriptions::of_field(&format!("{SOME}List"), "metadata")),
            },
        });
        name_kind(resource, list_kind, kind, &mut list);
        list
    }
}

/// What stands beside a reference is not read: then the reference goes one deeper.
fn with_text(reference: Value, text: Option<&str>) -> Value {
    match text {
        Some(text) => json!({"description": text, "allOf": [reference]}),
        None => reference,
    }
}

fn name_kind(resource: &Resource, name: &str, kind: &Kind, schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    let kinds = [group_version_kind(&resource.group, &resource.version, name)];
    schema.insert(
        "x-kubernetes-group-version-kind".into(),
        kinds.into_iter().collect(),
    );
    let selectable = &kind.version.selectable;
    if !selectable.is_empty() {
        let fields = selectable.iter().map(|path| json!({"fieldPath": path}));
        schema.insert("x-kubernetes-selectable-fields".into(), fields.collect());
    }
}

/// `com.example.v1.Widget`.
fn model(resource: &Resource, kind: &str) -> String {
    let group: Vec<&str> = resource.group.rsplit('.').collect();
    format!("{}.{}.{kind}", group.join("."), resource.version)
}
