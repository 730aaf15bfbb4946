//! The operations of resources, in OpenAPI 3.0: `paths`.

use serde_json::{Value, json};

use super::super::custom::openapi::Release;
use super::super::schema::{GroupVersion, Resource, Schema, Subresource, Verb, Verbs};
use super::definitions::Definitions;
use super::operation::{LISTED, Operation, PATCHES, WRITTEN, creating, reading};
use super::parameters;
use super::{names, paths::Paths};

const CONNECT_METHODS: [(Verb, &str); 7] = [
    (Verb::Get, "get"),
    (Verb::Create, "post"),
    (Verb::Update, "put"),
    (Verb::Delete, "delete"),
    (Verb::Patch, "patch"),
    (Verb::Get, "options"),
    (Verb::Get, "head"),
];

/// Writes the operations of one group version.
pub(super) struct Writer<'a, 'b> {
    pub(super) schema: &'a Schema,
    pub(super) definitions: &'b mut Definitions<'a>,
    pub(super) paths: &'b mut Paths,
    pub(super) of: &'a GroupVersion,
    /// Of what is written: custom kinds differ.
    pub(super) release: Release,
}

impl Writer<'_, '_> {
    pub(super) fn write(&mut self) {
        let watched = |one: &Resource| one.custom.is_none() && one.verbs.has(Verb::Watch);
        if self.of.resources.iter().any(|one| one.custom.is_none()) {
            self.list_of_resources();
        }
        for resource in &self.of.resources {
            self.collection(resource);
            self.item(resource);
            for sub in &resource.subresources {
                self.subresource(resource, sub);
            }
            if watched(resource) {
                self.watches(resource);
            }
        }
        if self.of.resources.iter().any(|one| watched(one)) {
            self.definitions.watch_event();
        }
    }

    fn list_of_resources(&mut self) {
        let path = format!("{}/", self.base());
        let title = format!("get{}APIResources", self.title());
        let list = self.definitions.named("meta/v1.APIResourceList");
        self.paths.plain(&path, &self.tag(), &title, &list);
    }

    fn base(&self) -> String {
        match &*self.of.group {
            "" => format!("/api/{}", self.of.version),
            group => format!("/apis/{group}/{}", self.of.version),
        }
    }

    /// `CoreV1`.
    fn title(&self) -> String {
        let version = names::capitalized(&self.of.version);
        format!("{}{version}", names::group(&self.of.group))
    }

    fn tag(&self) -> String {
        names::tag(&self.of.group, &self.of.version)
    }

    /// The path of a collection; below a namespace where there are any.
    fn path(&self, resource: &Resource, watch: &str) -> String {
        let namespace = if resource.namespaced {
            "/namespaces/{namespace}"
        } else {
            ""
        };
        format!("{}{watch}{namespace}/{}", self.base(), resource.plural)
    }

    fn name(&self, verb: &str, resource: &Resource) -> String {
        let scope = if resource.namespaced {
            "Namespaced"
        } else {
            ""
        };
        format!("{verb}{}{scope}{}", self.title(), resource.kind)
    }

    fn own(&mut self, resource: &Resource) -> Value {
        match (resource.object, &resource.custom) {
            (Some(id), _) => self.definitions.reference(id),
            (None, Some(kind)) => {
                let [own, _] = self.definitions.custom(resource, kind, self.release);
                own
            }
            (None, None) => json!({"type": "object"}),
        }
    }

    fn list(&mut self, resource: &Resource) -> Value {
        if let Some(kind) = &resource.custom {
            let [_, list] = self.definitions.custom(resource, kind, self.release);
            return list;
        }
        let list = format!("{}List", resource.kind);
        match self.schema.kind(&resource.group, &resource.version, &list) {
            Some(id) => self.definitions.reference(id),
            None => json!({"type": "object"}),
        }
    }

    fn collection(&mut self, resource: &Resource) {
        let path = self.path(resource, "");
        let mut operations = Vec::new();
        if resource.verbs.has(Verb::List) {
            let listing = |id| reading(id, "list", parameters::LIST, &LISTED);
            let list = self.list(resource);
            operations.push(listing(self.name("list", resource)).answering(list.clone()));
            if resource.namespaced {
                let id = format!("list{}{}ForAllNamespaces", self.title(), resource.kind);
                let all = listing(id).answering(list);
                let path = format!("{}/{}", self.base(), resource.plural);
                self.put(
                    &path,
                    &[],
                    resource_kind(resource),
                    formed(resource, vec![all]),
                    true,
                );
            }
        }
        if resource.verbs.has(Verb::Create) {
            let own = self.own(resource);
            operations.push(creating(self.name("create", resource), own));
        }
        if resource.verbs.has(Verb::DeleteCollection) {
            let scope = if resource.namespaced {
                "Namespaced"
            } else {
                ""
            };
            let id = format!("delete{}Collection{scope}{}", self.title(), resource.kind);
            let status = self.definitions.named("meta/v1.Status");
            let options = self.definitions.named("meta/v1.DeleteOptions");
            operations.push(Operation {
                method: "delete",
                id,
                action: "deletecollection",
                parameters: parameters::DELETE_COLLECTION,
                body: Some((&["*/*"], options, false)),
                codes: &["200"],
                media: &WRITTEN,
                answer: status,
            });
        }
        let names: &[&str] = if resource.namespaced {
            &["namespace"]
        } else {
            &[]
        };
        let operations = formed(resource, operations);
        self.put(&path, names, resource_kind(resource), operations, true);
    }

    fn item(&mut self, resource: &Resource) {
        let own = self.own(resource);
        let name = |this: &Self, verb: &str| this.name(verb, resource);
        let mut operations = self.changes(resource.verbs, &own, name);
        if resource.verbs.has(Verb::Delete) {
            let options = self.definitions.named("meta/v1.DeleteOptions");
            // The release answers with the namespace and says Status here, which generated clients go by.
            let told = resource.delete_returns_object && &*resource.plural != "namespaces";
            let answer = if told {
                own
            } else {
                self.definitions.named("meta/v1.Status")
            };
            operations.push(Operation {
                method: "delete",
                id: self.name("delete", resource),
                action: "delete",
                parameters: parameters::DELETE,
                body: Some((&["*/*"], options, false)),
                codes: &["200", "202"],
                media: &WRITTEN,
                answer,
            });
        }
        let path = format!("{}/{{name}}", self.path(resource, ""));
        self.put(
            &path,
            item_names(resource),
            resource_kind(resource),
            formed(resource, operations),
            true,
        );
    }

    /// Reading, replacing and patching.
    fn changes(
        &mut self,
        verbs: Verbs,
        own: &Value,
        name: impl Fn(&Self, &str) -> String,
    ) -> Vec<Operation> {
        let mut operations = Vec::new();
        if verbs.has(Verb::Get) {
            let read = reading(name(self, "read"), "get", &[], &WRITTEN);
            operations.push(read.answering(own.clone()));
        }
        if verbs.has(Verb::Update) {
            operations.push(Operation {
                method: "put",
                id: name(self, "replace"),
                action: "put",
                parameters: parameters::WRITE,
                body: Some((&["*/*"], own.clone(), true)),
                codes: &["200", "201"],
                media: &WRITTEN,
                answer: own.clone(),
            });
        }
        if verbs.has(Verb::Patch) {
            let patch = self.definitions.named("meta/v1.Patch");
            operations.push(Operation {
                method: "patch",
                id: name(self, "patch"),
                action: "patch",
                parameters: parameters::PATCH,
                body: Some((&PATCHES, patch, true)),
                codes: &["200", "201"],
                media: &WRITTEN,
                answer: own.clone(),
            });
        }
        operations
    }

    fn subresource(&mut self, resource: &Resource, sub: &Subresource) {
        let path = format!("{}/{{name}}/{}", self.path(resource, ""), sub.name);
        let kind = (&*sub.group, &*sub.version, &*sub.kind);
        let suffix = names::capitalized(&sub.name);
        let names = item_names(resource);
        if sub.kind.ends_with("Options") {
            self.connections(resource, sub, &path);
            return;
        }
        if &*sub.name == "log" {
            let id = format!("{}{suffix}", self.name("read", resource));
            let mut log = reading(id, "get", parameters::LOG, &WRITTEN);
            log.media = &[
                "application/json",
                "application/vnd.kubernetes.protobuf",
                "application/yaml",
                "text/plain",
            ];
            let log = log.answering(json!({"type": "string"}));
            self.put(&path, names, kind, vec![log], true);
            return;
        }
        let own = match self.schema.kind(&sub.group, &sub.version, &sub.kind) {
            Some(id) => self.definitions.reference(id),
            None => self.own(resource),
        };
        let name = |this: &Self, verb: &str| format!("{}{suffix}", this.name(verb, resource));
        let mut operations = self.changes(sub.verbs, &own, name);
        if sub.verbs.has(Verb::Create) {
            operations.push(creating(name(self, "create"), own));
        }
        // What is said of subresources of custom kinds is the kind that they belong to.
        let kind = resource
            .custom
            .as_ref()
            .map_or(kind, |_| resource_kind(resource));
        let operations = formed(resource, operations);
        self.put(&path, names, kind, operations, true);
    }

    /// A subresource that opens a connection by whatever method.
    fn connections(&mut self, resource: &Resource, sub: &Subresource, path: &str) {
        let kind = (&*sub.group, &*sub.version, &*sub.kind);
        let suffix = names::capitalized(&sub.name);
        let options = parameters::of_options(self.schema, &sub.kind);
        let is_proxy = &*sub.name == "proxy";
        let mut forms = vec![(path.to_owned(), "")];
        if is_proxy {
            forms.push((format!("{path}/{{path}}"), "WithPath"));
        }
        for (path, end) in forms {
            let mut operations = Vec::new();
            for (verb, method) in CONNECT_METHODS {
                let further = matches!(method, "options" | "head");
                if !sub.verbs.has(verb) || (further && !is_proxy) {
                    continue;
                }
                let verb = format!("connect{}{}", self.title(), names::capitalized(method));
                let scope = if resource.namespaced {
                    "Namespaced"
                } else {
                    ""
                };
                let id = format!("{verb}{scope}{}{suffix}{end}", resource.kind);
                let mut connect = reading(id, "connect", &[], &["*/*"]);
                connect.method = method;
                operations.push(connect.answering(json!({"type": "string"})));
            }
            let mut names = item_names(resource).to_vec();
            if !end.is_empty() {
                names.push("path");
            }
            self.put(&path, &names, kind, operations, false);
            self.paths.add_parameters(&path, &options);
        }
    }

    /// The paths that watched before lists could.
    fn watches(&mut self, resource: &Resource) {
        let title = self.title();
        let event = super::definitions::reference(WATCH_EVENT);
        let watching =
            |id, action| reading(id, action, parameters::LIST, &LISTED).answering(event.clone());
        let kind = resource_kind(resource);
        if resource.namespaced {
            let id = format!("watch{title}{}ListForAllNamespaces", resource.kind);
            let path = format!("{}/watch/{}", self.base(), resource.plural);
            self.put(&path, &[], kind, vec![watching(id, "watchlist")], true);
        }
        let path = self.path(resource, "/watch");
        let names: &[&str] = if resource.namespaced {
            &["namespace"]
        } else {
            &[]
        };
        let id = format!("{}List", self.name("watch", resource));
        self.put(&path, names, kind, vec![watching(id, "watchlist")], true);
        let id = self.name("watch", resource);
        let path = format!("{path}/{{name}}");
        self.put(
            &path,
            item_names(resource),
            kind,
            vec![watching(id, "watch")],
            true,
        );
    }

    /// Writes the operations of a path; `names` stand in the path, `pretty` is a parameter of nearly all.
    fn put(
        &mut self,
        path: &str,
        names: &[&str],
        kind: (&str, &str, &str),
        operations: Vec<Operation>,
        pretty: bool,
    ) {
        if operations.is_empty() {
            return;
        }
        let tag = self.tag();
        for operation in operations {
            let method = operation.method;
            self.paths
                .add(path, method, operation.into_value(&tag, kind));
        }
        let mut shared: Vec<Value> = names.iter().map(|name| parameters::in_path(name)).collect();
        if pretty {
            shared.push(parameters::PRETTY.to_value());
        }
        self.paths.add_parameters(path, &shared);
    }
}

pub(super) const WATCH_EVENT: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent";

/// Operations in the forms that a resource has.
fn formed(resource: &Resource, operations: Vec<Operation>) -> Vec<Operation> {
    if resource.custom.is_none() {
        return operations;
    }
    operations.into_iter().map(Operation::custom).collect()
}

fn resource_kind(resource: &Resource) -> (&str, &str, &str) {
    (&resource.group, &resource.version, &resource.kind)
}

fn item_names(resource: &Resource) -> &'static [&'static str] {
    if resource.namespaced {
        &["name", "namespace"]
    } else {
        &["name"]
    }
}
