//! Whole documents, in OpenAPI 3.0.

use serde_json::{Map, Value, json};

use super::super::custom::openapi::Release;
use super::super::schema::{GroupVersion, RELEASE, Resources, Schema};
use super::definitions::{Definitions, reference};
use super::operation::content;
use super::operations::Writer;
use super::paths::Paths;
use super::{descriptions, names};

/// What is described in one document: the part of its URL behind `/openapi/v3/`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject<'a> {
    /// `apis/apps/v1`.
    Version(&'a GroupVersion),
    /// `apis/apps`.
    Group(&'a str),
    /// `api`.
    Core,
    /// `apis`.
    Groups,
    /// `version`.
    Release,
    /// `.well-known/openid-configuration`.
    Issuer,
    /// `openid/v1/jwks`.
    Keys,
}

impl Subject<'_> {
    /// Every document of these resources.
    pub(super) fn all(resources: &Resources) -> Vec<Subject<'_>> {
        let mut all = vec![
            Subject::Core,
            Subject::Groups,
            Subject::Release,
            Subject::Issuer,
            Subject::Keys,
        ];
        let mut before = "";
        for of in resources.groups() {
            // The versions of a group stand together.
            if *of.group != *before {
                all.push(Subject::Group(&of.group));
                before = &of.group;
            }
            all.push(Subject::Version(of));
        }
        all
    }

    pub(super) fn path(self) -> String {
        match self {
            Subject::Version(of) if of.group.is_empty() => format!("api/{}", of.version),
            Subject::Version(of) => format!("apis/{}/{}", of.group, of.version),
            Subject::Group(group) => format!("apis/{group}"),
            Subject::Core => "api".into(),
            Subject::Groups => "apis".into(),
            Subject::Release => "version".into(),
            Subject::Issuer => ".well-known/openid-configuration".into(),
            Subject::Keys => "openid/v1/jwks".into(),
        }
    }

    /// The document.
    pub(super) fn describe(self, schema: &Schema, resources: &Resources) -> Value {
        let of = match self {
            Subject::Version(of) => (&*of.group, &*of.version),
            _ => ("", "v1"),
        };
        let mut definitions = Definitions::new(schema, resources, of);
        let mut paths = Paths::default();
        let path = format!("/{}/", self.path());
        let mut further = None;
        match self {
            Subject::Version(of) => Writer {
                schema,
                definitions: &mut definitions,
                paths: &mut paths,
                of,
                release: Release::V3,
            }
            .write(),
            Subject::Group(group) => {
                let answer = definitions.named("meta/v1.APIGroup");
                let id = format!("get{}APIGroup", names::group(group));
                paths.plain(&path, &names::tag(group, ""), &id, &answer);
            }
            Subject::Core => {
                let answer = definitions.named("meta/v1.APIVersions");
                paths.plain(&path, "core", "getCoreAPIVersions", &answer);
            }
            Subject::Groups => {
                let answer = definitions.named("meta/v1.APIGroupList");
                paths.plain(&path, "apis", "getAPIVersions", &answer);
            }
            Subject::Release => {
                let answer = content(&["application/json"], &reference(INFO));
                paths.document(&path, "version", "getCodeVersion", &answer);
                further = Some((INFO.to_owned(), info()));
            }
            Subject::Issuer => {
                let answer = content(&["application/json"], &json!({"type": "string"}));
                let id = "getServiceAccountIssuerOpenIDConfiguration";
                paths.document(&path, "WellKnown", id, &answer);
            }
            Subject::Keys => {
                let answer = content(&["application/jwk-set+json"], &json!({"type": "string"}));
                let id = "getServiceAccountIssuerOpenIDKeyset";
                paths.document(&path, "openid", id, &answer);
            }
        }
        let schemas: Map<String, Value> = definitions.finish().into_iter().chain(further).collect();
        let mut components = Map::new();
        if !schemas.is_empty() {
            components.insert("schemas".into(), schemas.into());
        }
        components.insert("securitySchemes".into(), security());
        let mut document = Map::new();
        document.insert("openapi".into(), "3.0.0".into());
        document.insert("info".into(), title());
        document.insert("paths".into(), paths.finish());
        document.insert("components".into(), components.into());
        document.into()
    }
}

/// `info` of every document.
pub(super) fn title() -> Value {
    let version = RELEASE.rsplit_once('.').map_or(RELEASE, |(minor, _)| minor);
    json!({"title": "Kubernetes", "version": version})
}

/// How callers say who they are.
pub(super) fn security() -> Value {
    json!({"BearerToken": {
        "type": "apiKey",
        "description": "Bearer Token authentication",
        "name": "authorization",
        "in": "header",
    }})
}

const INFO: &str = "io.k8s.apimachinery.pkg.version.Info";

/// The definition of what `/version` answers, which is no API type.
fn info() -> Value {
    let always = [
        "major",
        "minor",
        "gitVersion",
        "gitCommit",
        "gitTreeState",
        "buildDate",
        "goVersion",
        "compiler",
        "platform",
    ];
    let sometimes = [
        "emulationMajor",
        "emulationMinor",
        "minCompatibilityMajor",
        "minCompatibilityMinor",
    ];
    let mut fields: Vec<&str> = always.iter().chain(&sometimes).copied().collect();
    fields.sort_unstable();
    let properties = fields.into_iter().map(|name| {
        let shape = if always.contains(&name) {
            json!({"type": "string", "default": ""})
        } else {
            json!({"type": "string"})
        };
        (name.to_owned(), shape)
    });
    let properties: Map<String, Value> = properties.collect();
    let mut info = Map::new();
    if let Some(text) = descriptions::of_type(INFO) {
        info.insert("description".into(), text.into());
    }
    info.insert("type".into(), "object".into());
    info.insert("required".into(), json!(always));
    info.insert("properties".into(), properties.into());
    info.into()
}
