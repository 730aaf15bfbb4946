//! One operation: its parameters, body and answers.

use serde_json::{Map, Value, json};

use super::parameters::{self, Parameter};

/// What answers are sent as.
pub(super) const WRITTEN: [&str; 3] = [
    "application/json",
    "application/vnd.kubernetes.protobuf",
    "application/yaml",
];
pub(super) const LISTED: [&str; 5] = [
    "application/json",
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf",
    "application/vnd.kubernetes.protobuf;stream=watch",
    "application/yaml",
];
pub(super) const PATCHES: [&str; 4] = [
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];
/// What custom resources, which have no protobuf form, are sent as.
pub(super) const CUSTOM: [&str; 2] = ["application/json", "application/yaml"];
pub(super) const CUSTOM_PATCHES: [&str; 3] = [
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
];

/// An operation while it is put together.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) id: String,
    pub(super) action: &'static str,
    pub(super) parameters: &'static [Parameter],
    /// Media types and schema of the body, and whether there must be one.
    pub(super) body: Option<(&'static [&'static str], Value, bool)>,
    /// The statuses of success.
    pub(super) codes: &'static [&'static str],
    pub(super) media: &'static [&'static str],
    pub(super) answer: Value,
}

pub(super) fn reading(
    id: String,
    action: &'static str,
    parameters: &'static [Parameter],
    media: &'static [&'static str],
) -> Operation {
    Operation {
        method: "get",
        id,
        action,
        parameters,
        body: None,
        codes: &["200"],
        media,
        answer: Value::Null,
    }
}

pub(super) fn creating(id: String, own: Value) -> Operation {
    Operation {
        method: "post",
        id,
        action: "post",
        parameters: parameters::WRITE,
        body: Some((&["*/*"], own.clone(), true)),
        codes: &["200", "201", "202"],
        media: &WRITTEN,
        answer: own,
    }
}

impl Operation {
    pub(super) fn answering(mut self, answer: Value) -> Self {
        self.answer = answer;
        self
    }

    /// As custom resources have it.
    pub(super) fn custom(mut self) -> Self {
        self.media = &CUSTOM;
        if let Some((media, ..)) = &mut self.body {
            *media = if self.method == "patch" {
                &CUSTOM_PATCHES
            } else {
                &CUSTOM
            };
        }
        if self.method == "patch" {
            self.codes = &["200"];
        }
        match self.action {
            "get" => self.parameters = parameters::READ,
            "deletecollection" => {
                self.body = None;
                self.parameters = parameters::LIST;
            }
            _ => {}
        }
        self
    }

    pub(super) fn into_value(self, tag: &str, (group, version, kind): (&str, &str, &str)) -> Value {
        let mut operation = Map::new();
        operation.insert("tags".into(), json!([tag]));
        operation.insert("operationId".into(), self.id.into());
        if !self.parameters.is_empty() {
            let parameters = self.parameters.iter().map(|one| one.to_value());
            operation.insert("parameters".into(), parameters.collect());
        }
        if let Some((media, schema, required)) = self.body {
            let mut body = Map::new();
            body.insert("content".into(), content(media, &schema));
            if required {
                body.insert("required".into(), true.into());
            }
            operation.insert("requestBody".into(), body.into());
        }
        let mut responses = Map::new();
        for code in self.codes {
            let answer = json!({
                "description": phrase(code),
                "content": content(self.media, &self.answer),
            });
            responses.insert((*code).into(), answer);
        }
        responses.insert("401".into(), json!({"description": phrase("401")}));
        operation.insert("responses".into(), responses.into());
        operation.insert("x-kubernetes-action".into(), self.action.into());
        operation.insert(
            "x-kubernetes-group-version-kind".into(),
            json!({"group": group, "version": version, "kind": kind}),
        );
        operation.into()
    }
}

/// The schema under each media type.
pub(super) fn content(media: &[&str], schema: &Value) -> Value {
    let types = media
        .iter()
        .map(|one| ((*one).to_owned(), json!({"schema": schema})));
    Value::Object(types.collect())
}

pub(super) fn phrase(code: &str) -> &'static str {
    match code {
        "200" => "OK",
        "201" => "Created",
        "202" => "Accepted",
        _ => "Unauthorized",
    }
}
