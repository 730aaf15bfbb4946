//! What a review asks about.

use serde_json::Value;

use crate::kube::field::{FieldError, quoted};
use crate::kube::request::{RequestInfo, requirements};
use crate::kube::user::User;

/// A question.
pub(super) struct Asked {
    pub(super) request: RequestInfo,
    /// Which selectors were ignored because they cannot be read.
    pub(super) ignored: Vec<String>,
}

/// A part of a question, unless it is missing or null.
pub(super) fn given<'a>(of: &'a Value, key: &str) -> Option<&'a Value> {
    of.get(key).filter(|value| !value.is_null())
}

/// What is wrong with a question; `with_subject` says whether it has to name somebody.
pub(super) fn check(spec: &Value, with_subject: bool) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let resource = given(spec, "resourceAttributes");
    match (resource, given(spec, "nonResourceAttributes")) {
        (Some(_), Some(other)) => {
            let detail = "cannot be specified in combination with resourceAttributes";
            let path = "spec.nonResourceAttributes";
            errors.push(FieldError::invalid(path, printed_path(other), detail));
        }
        (None, None) => {
            let detail =
                "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            errors.push(FieldError::invalid(
                "spec.resourceAttributes",
                "null",
                detail,
            ));
        }
        _ => {}
    }
    let groups = spec.get("groups").and_then(Value::as_array);
    if with_subject && text(spec, "user").is_empty() && groups.is_none_or(Vec::is_empty) {
        let detail = "at least one of user or group must be specified";
        errors.push(FieldError::invalid("spec.user", quoted(""), detail));
    }
    for key in ["fieldSelector", "labelSelector"] {
        if let Some(selector) = resource.and_then(|resource| given(resource, key)) {
            check_selector(
                selector,
                &format!("spec.resourceAttributes.{key}"),
                &mut errors,
            );
        }
    }
    errors
}

fn check_selector(selector: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let raw = text(selector, "rawSelector");
    let requirements = list(selector, "requirements");
    if !raw.is_empty() && !requirements.is_empty() {
        let detail = "may not specified at the same time as requirements";
        errors.push(FieldError::invalid(
            format!("{path}.rawSelector"),
            quoted(raw),
            detail,
        ));
    }
    if raw.is_empty() && requirements.is_empty() {
        let detail = format!("when {path} is specified, requirements or rawSelector is required");
        errors.push(FieldError::required(format!("{path}.requirements"), detail));
    }
    for (at, requirement) in requirements.iter().enumerate() {
        let path = format!("{path}.requirements[{at}]");
        let has_values = !list(requirement, "values").is_empty();
        if text(requirement, "key").is_empty() {
            errors.push(FieldError::required(
                format!("{path}.key"),
                "must be specified",
            ));
        }
        let path = format!("{path}.values");
        match text(requirement, "operator") {
            "In" | "NotIn" if !has_values => {
                let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                errors.push(FieldError::required(path, detail));
            }
            "Exists" | "DoesNotExist" if has_values => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(FieldError::forbidden(path, detail));
            }
            _ => {}
        }
    }
}

/// The attributes of a path as the release prints them, which is not as they are sent.
pub(super) fn printed_path(attributes: &Value) -> String {
    let (path, verb) = (text(attributes, "path"), text(attributes, "verb"));
    format!(
        "{{\"Path\":{},\"Verb\":{}}}",
        Value::from(path),
        Value::from(verb)
    )
}

/// Whom a question is about.
pub(super) fn user(spec: &Value) -> User {
    let texts = |list: &[Value]| -> Vec<String> {
        let texts = list.iter().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    };
    let extra = spec.get("extra").and_then(Value::as_object);
    let extra = extra.into_iter().flatten().map(|(key, values)| {
        let values = values.as_array().map(|values| texts(values));
        (key.clone(), values.unwrap_or_default())
    });
    User {
        name: text(spec, "user").into(),
        uid: text(spec, "uid").into(),
        groups: texts(list(spec, "groups")),
        extra: extra.collect(),
    }
}

impl Asked {
    pub(super) fn read(spec: &Value) -> Self {
        let mut ignored = Vec::new();
        let Some(resource) = given(spec, "resourceAttributes") else {
            let other = spec.get("nonResourceAttributes").unwrap_or(&Value::Null);
            let request = RequestInfo {
                verb: text(other, "verb").into(),
                path: text(other, "path").into(),
                ..RequestInfo::default()
            };
            return Self { request, ignored };
        };
        let [verb, group, plural, subresource, namespace, name] = [
            "verb",
            "group",
            "resource",
            "subresource",
            "namespace",
            "name",
        ]
        .map(|key| text(resource, key));
        let mut request =
            RequestInfo::of_resource(verb, group, plural, subresource, namespace, name);
        if let Some(selector) = given(resource, "fieldSelector") {
            request.field_selector = field_selector(selector, &mut ignored);
        }
        if let Some(selector) = given(resource, "labelSelector") {
            check_labels(selector, &mut ignored);
        }
        Self { request, ignored }
    }
}

/// The selector as a request would have it. What cannot be read is left out, which asks for more and not for less.
fn field_selector(selector: &Value, ignored: &mut Vec<String>) -> Option<String> {
    let listed = list(selector, "requirements");
    if listed.is_empty() {
        let raw = text(selector, "rawSelector");
        if requirements(raw).is_none() {
            ignored.push(ignored_as("fieldSelector", false));
            return None;
        }
        return Some(raw.to_owned());
    }
    let escape = |value: &str| {
        value
            .replace('\\', "\\\\")
            .replace(',', "\\,")
            .replace('=', "\\=")
    };
    let terms: Vec<String> = listed
        .iter()
        .filter_map(|requirement| {
            let [value] = list(requirement, "values") else {
                return None;
            };
            let sign = match text(requirement, "operator") {
                "In" => "=",
                "NotIn" => "!=",
                _ => return None,
            };
            Some(format!(
                "{}{sign}{}",
                text(requirement, "key"),
                escape(value.as_str()?)
            ))
        })
        .collect();
    if terms.len() < listed.len() {
        ignored.push(ignored_as("fieldSelector", !terms.is_empty()));
    }
    (!terms.is_empty()).then(|| terms.join(","))
}

/// Nobody here judges by labels; that some cannot be read is said all the same.
fn check_labels(selector: &Value, ignored: &mut Vec<String>) {
    let requirements = list(selector, "requirements");
    let known = |requirement: &&Value| {
        let operator = text(requirement, "operator");
        ["In", "NotIn", "Exists", "DoesNotExist"].contains(&operator)
    };
    let count = requirements.iter().filter(known).count();
    if count < requirements.len() {
        ignored.push(ignored_as("labelSelector", count > 0));
    }
}

fn ignored_as(selector: &str, partially: bool) -> String {
    let how = if partially {
        "partially ignored"
    } else {
        "ignored"
    };
    format!("spec.resourceAttributes.{selector} {how} due to parse error")
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    let text = object.get(key).and_then(Value::as_str);
    text.unwrap_or_default()
}

fn list<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    let list = object.get(key).and_then(Value::as_array);
    list.map(Vec::as_slice).unwrap_or_default()
}
