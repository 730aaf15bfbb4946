//! In which form a client wants an answer: the `Accept` header.
//!
//! Rules: <https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources>.

use http::HeaderMap;
use http::header::{ACCEPT, USER_AGENT};

use super::query::Query;
use crate::kube::negotiate::{self, Answer, MetaVersion, Offers};
use crate::kube::object::Format;
use crate::kube::schema::Resource;
use crate::kube::status::{ApiError, ApiResult};

/// What of an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Whole,
    /// `as=Table`, of this version of `meta.k8s.io`.
    Table(MetaVersion),
    /// `as=PartialObjectMetadata` and its list.
    Metadata(MetaVersion),
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    pub media: Format,
    pub shape: Shape,
    /// With indentation, for people.
    pub pretty: bool,
}

impl Form {
    pub fn content_type(&self) -> &'static str {
        negotiate::content_type(self.media, Answer::Object)
    }

    /// Of a watch: the media type says so.
    pub fn watch_type(&self) -> &'static str {
        negotiate::content_type(self.media, Answer::Watch)
    }

    /// The form of refusals: a `Status` has no other shapes. None for clients that accept nothing that there is.
    pub fn of_refusals(headers: &HeaderMap, query: &Query) -> Option<Self> {
        let accepted = negotiate::accept_error(Some(&accepted(headers)))?;
        let pretty = accepted.pretty || is_pretty(headers, query);
        Some(Self {
            media: accepted.format,
            shape: Shape::Whole,
            pretty: pretty && accepted.format == Format::Json,
        })
    }

    /// Chooses the form of an answer. `custom` resources have no protobuf form but for their metadata.
    ///
    /// # Errors
    /// 406.
    pub fn choose(
        headers: &HeaderMap,
        query: &Query,
        purpose: Answer,
        resource: &Resource,
    ) -> ApiResult<Self> {
        let accepted = accepted(headers);
        let offers = if resource.object.is_none() {
            Offers::CUSTOM
        } else {
            Offers::BUILT_IN
        };
        let accepted = negotiate::accept(Some(&accepted), purpose, offers)?;
        let list = purpose == Answer::List;
        let go = match &*resource.group {
            "" => format!("core.{}", resource.kind),
            group => format!(
                "{}.{}",
                group.split('.').next().unwrap_or(group),
                resource.kind
            ),
        };
        let go = if list { format!("{go}List") } else { go };
        if purpose != Answer::Watch {
            negotiate::check_form(accepted.form, list, &go)?;
        }
        let shape = match accepted.form {
            None => Shape::Whole,
            Some((negotiate::Form::Table, version)) => Shape::Table(version),
            Some((_, version)) => Shape::Metadata(version),
        };
        let pretty = accepted.pretty || is_pretty(headers, query);
        Ok(Self {
            media: accepted.format,
            shape,
            pretty: pretty && purpose != Answer::Watch && accepted.format == Format::Json,
        })
    }
}

fn accepted(headers: &HeaderMap) -> String {
    let accepted = headers.get_all(ACCEPT).iter();
    let accepted: Vec<&str> = accepted.filter_map(|value| value.to_str().ok()).collect();
    accepted.join(",")
}

/// The refusal of a form that there is not.
pub fn not_acceptable(custom: bool) -> ApiError {
    let mut all = vec!["application/json", "application/yaml"];
    if !custom {
        all.push("application/vnd.kubernetes.protobuf");
    }
    ApiError::new(
        406,
        "NotAcceptable",
        format!(
            "only the following media types are accepted: {}",
            all.join(", ")
        ),
    )
}

fn is_pretty(headers: &HeaderMap, query: &Query) -> bool {
    if let Some(asked) = query.flag("pretty") {
        return asked;
    }
    let agent = headers
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    let people = ["curl", "Wget", "Mozilla/5.0"];
    agent.is_some_and(|agent| people.iter().any(|name| agent.starts_with(name)))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::kube::schema::Resources;

    fn choose(accept: &str, purpose: Answer) -> Result<(Format, Shape), u16> {
        let pods = Resources::built_in().find("", "v1", "pods").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
        Form::choose(&headers, &Query::default(), purpose, pods)
            .map(|form| (form.media, form.shape))
            .map_err(|error| error.code)
    }

    #[test]
    fn the_first_form_that_there_is_counts() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        let partial = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
        for (accept, purpose, expected) in [
            ("*/*", Answer::Object, Ok((Format::Json, Shape::Whole))),
            (
                table,
                Answer::List,
                Ok((Format::Json, Shape::Table(MetaVersion::V1))),
            ),
            (
                partial,
                Answer::List,
                Ok((Format::Protobuf, Shape::Metadata(MetaVersion::V1))),
            ),
            ("application/yaml", Answer::Watch, Err(406)),
            ("text/html", Answer::Object, Err(406)),
            (
                "application/json;stream=watch",
                Answer::Watch,
                Ok((Format::Json, Shape::Whole)),
            ),
        ] {
            assert_eq!(choose(accept, purpose), expected, "{accept}");
        }
    }

    #[test]
    fn refusals_have_the_first_form_without_a_shape() {
        let form = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
            Form::of_refusals(&headers, &Query::default()).map(|form| form.media)
        };
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        assert_eq!(form(table), None);
        assert_eq!(form("text/html"), None);
        assert_eq!(
            form(&format!("{table},application/json")),
            Some(Format::Json)
        );
        assert_eq!(form("application/yaml"), Some(Format::Yaml));
        assert_eq!(form("*/*"), Some(Format::Json));
    }

    #[test]
    fn people_get_indentation() {
        let pods = Resources::built_in().find("", "v1", "pods").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static("curl/8.0"));
        let pretty = |query: &str| {
            let query = Query::parse(query);
            let form = Form::choose(&headers, &query, Answer::Object, pods);
            form.unwrap().pretty
        };
        assert!(pretty("") && !pretty("pretty=false"));
    }
}
