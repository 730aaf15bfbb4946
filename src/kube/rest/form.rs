//! In which form a client wants an answer: the `Accept` header.
//!
//! Rules: <https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources>.

use http::HeaderMap;
use http::header::{ACCEPT, USER_AGENT};

use super::query::Query;
use crate::kube::status::ApiError;

/// A media type that answers are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Media {
    Json,
    Yaml,
    Protobuf,
}

impl Media {
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
            Self::Protobuf => "application/vnd.kubernetes.protobuf",
        }
    }
}

/// What of an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    Whole,
    /// `as=Table`, of this version of `meta.k8s.io`.
    Table(&'static str),
    /// `as=PartialObjectMetadata` and its list, with this `apiVersion`.
    Metadata(&'static str),
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    pub media: Media,
    pub shape: Shape,
    /// With indentation, for people.
    pub pretty: bool,
}

/// What a request is for, which decides on the forms that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Object,
    List,
    Watch,
}

impl Form {
    pub fn content_type(&self) -> &'static str {
        self.media.name()
    }

    /// Of a watch: the media type says so.
    pub fn watch_type(&self) -> &'static str {
        match self.media {
            Media::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
            Media::Json | Media::Yaml => "application/json",
        }
    }

    /// Chooses the first form that the client takes and the server has. `custom` resources have no protobuf form but
    /// for their metadata.
    ///
    /// # Errors
    /// 406.
    pub fn choose(
        headers: &HeaderMap,
        query: &Query,
        purpose: Purpose,
        custom: bool,
    ) -> Result<Self, ApiError> {
        let accepted = headers.get_all(ACCEPT).iter();
        let accepted: Vec<&str> = accepted.filter_map(|value| value.to_str().ok()).collect();
        let pretty = is_pretty(headers, query) && purpose != Purpose::Watch;
        let accepted = accepted.join(",");
        if accepted.trim().is_empty() {
            return Ok(Self {
                media: Media::Json,
                shape: Shape::Whole,
                pretty,
            });
        }
        let mut entries: Vec<Entry<'_>> = accepted.split(',').filter_map(Entry::read).collect();
        entries.sort_by(|a, b| b.quality.total_cmp(&a.quality));
        let found = entries.iter().find_map(|entry| entry.form(purpose, custom));
        let (media, shape) = found.ok_or_else(|| not_acceptable(custom))?;
        Ok(Self {
            media,
            shape,
            pretty: pretty && media == Media::Json,
        })
    }
}

/// The refusal of a form that there is not.
pub fn not_acceptable(custom: bool) -> ApiError {
    let mut all = vec![Media::Json.name(), Media::Yaml.name()];
    if !custom {
        all.push(Media::Protobuf.name());
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

/// One of the things that a client takes.
struct Entry<'a> {
    media: &'a str,
    quality: f64,
    shape: &'a str,
    group: &'a str,
    version: &'a str,
}

impl<'a> Entry<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().filter(|media| !media.is_empty())?;
        let mut entry = Self {
            media,
            quality: 1.0,
            shape: "",
            group: "",
            version: "",
        };
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            match key {
                "q" => entry.quality = value.parse().unwrap_or(0.0),
                "as" => entry.shape = value,
                "g" => entry.group = value,
                "v" => entry.version = value,
                _ => {}
            }
        }
        (entry.quality > 0.0).then_some(entry)
    }

    fn form(&self, purpose: Purpose, custom: bool) -> Option<(Media, Shape)> {
        let media = match self.media {
            "*/*" | "application/*" | "application/json" => Media::Json,
            "application/yaml" if purpose != Purpose::Watch => Media::Yaml,
            "application/vnd.kubernetes.protobuf" => Media::Protobuf,
            _ => return None,
        };
        let list = purpose == Purpose::List;
        let shape = match (self.shape, self.group, self.version) {
            ("", _, _) => Shape::Whole,
            ("Table", "meta.k8s.io", "v1") => Shape::Table("v1"),
            ("Table", "meta.k8s.io", "v1beta1") => Shape::Table("v1beta1"),
            ("PartialObjectMetadata", "meta.k8s.io", version) if !list => metadata(version)?,
            ("PartialObjectMetadataList", "meta.k8s.io", version) if list => metadata(version)?,
            _ => return None,
        };
        match (media, shape) {
            (Media::Protobuf, Shape::Table(_)) => None,
            (Media::Protobuf, Shape::Whole) if custom => None,
            form => Some(form),
        }
    }
}

fn metadata(version: &str) -> Option<Shape> {
    match version {
        "v1" => Some(Shape::Metadata("meta.k8s.io/v1")),
        "v1beta1" => Some(Shape::Metadata("meta.k8s.io/v1beta1")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn choose(accept: &str, purpose: Purpose, custom: bool) -> Result<(Media, Shape), u16> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
        Form::choose(&headers, &Query::default(), purpose, custom)
            .map(|form| (form.media, form.shape))
            .map_err(|error| error.code)
    }

    #[test]
    fn the_first_form_that_there_is_counts() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        let partial = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
        let whole = Ok((Media::Json, Shape::Whole));
        for (accept, purpose, custom, expected) in [
            ("*/*", Purpose::Object, false, whole),
            (
                table,
                Purpose::List,
                true,
                Ok((Media::Json, Shape::Table("v1"))),
            ),
            (
                partial,
                Purpose::List,
                true,
                Ok((Media::Protobuf, Shape::Metadata("meta.k8s.io/v1"))),
            ),
            (partial, Purpose::Object, false, whole),
            (
                "application/vnd.kubernetes.protobuf,application/json",
                Purpose::Object,
                true,
                whole,
            ),
            (
                "application/json;q=0.1,application/yaml",
                Purpose::Object,
                false,
                Ok((Media::Yaml, Shape::Whole)),
            ),
            ("application/yaml", Purpose::Watch, false, Err(406)),
            ("text/html", Purpose::Object, false, Err(406)),
            (
                "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
                Purpose::List,
                false,
                Err(406),
            ),
            (
                "application/json;stream=watch",
                Purpose::Watch,
                false,
                whole,
            ),
        ] {
            assert_eq!(choose(accept, purpose, custom), expected, "{accept}");
        }
    }

    #[test]
    fn people_get_indentation() {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static("curl/8.0"));
        let pretty = |query: &str| {
            let query = Query::parse(query);
            let form = Form::choose(&headers, &query, Purpose::Object, false);
            form.unwrap().pretty
        };
        assert!(pretty("") && !pretty("pretty=false"));
    }
}
