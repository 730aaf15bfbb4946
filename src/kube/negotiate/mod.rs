//! Media types: what a request accepts and what its body is.
//!
//! Two parties judge an `Accept` header in the release. The router knows exact types and `*/*` alone; then the
//! handler goes through the clauses by their quality and takes the first that it can serve. Both are kept, with their words.

mod clause;
mod media;
#[cfg(test)]
mod tests;

use self::clause::Clause;
pub use self::media::media_type;
use super::object::Format;
use super::status::{ApiError, ApiResult};

/// How many clauses of an `Accept` header are looked at.
const MAX_CLAUSES: usize = 64;

/// What an endpoint can answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offers {
    /// Custom resources have no protobuf of their own, though their metadata has.
    pub protobuf: bool,
    /// Whether objects can be shown as tables.
    pub table: bool,
    /// Whether other forms of an object can be had at all; errors and discovery have none.
    pub transforms: bool,
}

impl Offers {
    /// A resource of the built-in tables.
    pub const BUILT_IN: Self = Self {
        protobuf: true,
        table: true,
        transforms: true,
    };
    pub const CUSTOM: Self = Self {
        protobuf: false,
        ..Self::BUILT_IN
    };
    /// What is no resource: errors, versions.
    pub const PLAIN: Self = Self {
        protobuf: true,
        table: false,
        transforms: false,
    };
}

/// Another form in which objects are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Table,
    /// `PartialObjectMetadata`; a list cannot have it.
    Metadata,
    /// `PartialObjectMetadataList`; only a list can have it. Events of a watch take it as [`Self::Metadata`].
    MetadataList,
}

/// A version of `meta.k8s.io`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaVersion {
    V1,
    V1Beta1,
}

impl MetaVersion {
    pub fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "meta.k8s.io/v1",
            Self::V1Beta1 => "meta.k8s.io/v1beta1",
        }
    }
}

/// How an answer is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub format: Format,
    pub form: Option<(Form, MetaVersion)>,
    /// `pretty=1` in the media type; the caller knows the query and the user agent.
    pub pretty: bool,
    /// `profile`, by which discovery distinguishes.
    pub profile: Option<String>,
}

impl Accepted {
    /// What is sent to those who have no wishes.
    pub const JSON: Self = Self {
        format: Format::Json,
        form: None,
        pretty: false,
        profile: None,
    };
}

/// What kind of answer is sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// An object: get, and every write.
    Object,
    /// A collection.
    List,
    /// A stream of events.
    Watch,
}

const MEDIA: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
const STREAMS: &str =
    "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";

/// Chooses how to answer.
///
/// # Errors
/// 406, in the words of the party that refuses.
pub fn accept(header: Option<&str>, answer: Answer, offers: Offers) -> ApiResult<Accepted> {
    let header = header.unwrap_or("");
    route(header, answer)?;
    let accepted = choose(header, offers).ok_or_else(|| refused(MEDIA))?;
    if answer == Answer::Watch && accepted.format == Format::Yaml {
        return Err(refused(STREAMS));
    }
    Ok(accepted)
}

/// How an error is to be written; none for indented JSON without a line break at its end, which is what those get
/// who accept nothing that there is.
pub fn accept_error(header: Option<&str>) -> Option<Accepted> {
    choose(header.unwrap_or(""), Offers::PLAIN)
}

/// 406 for a form that what was asked for cannot have. `list`: it is one; `go` is its type in the release's code:
/// `core.PodList`.
///
/// # Errors
/// The form does not fit.
pub fn check_form(form: Option<(Form, MetaVersion)>, list: bool, go: &str) -> ApiResult<()> {
    let message = match form {
        Some((Form::Metadata, _)) if list => {
            format!(
                "you requested PartialObjectMetadata, but the requested object is a list (*{go})"
            )
        }
        Some((Form::MetadataList, _)) if !list => {
            format!(
                "you requested PartialObjectMetadataList, but the requested object is not a list (*{go})"
            )
        }
        _ => return Ok(()),
    };
    Err(ApiError::new(406, "NotAcceptable", message))
}

fn refused(accepted: &str) -> ApiError {
    let message = format!("only the following media types are accepted: {accepted}");
    ApiError::new(406, "NotAcceptable", message)
}

/// The router: exact names, whatever their parameters.
fn route(header: &str, answer: Answer) -> ApiResult<()> {
    if header.is_empty() {
        return Ok(());
    }
    let names = header.split(',').take(MAX_CLAUSES).map(|clause| {
        let name = clause.split(';').next().unwrap_or_default();
        name.trim_matches(' ')
    });
    let mut names = names.filter(|name| *name == "*/*" || format_of(name).is_some());
    if names.next().is_some() {
        return Ok(());
    }
    let streams = match answer {
        Answer::Object => String::new(),
        Answer::List | Answer::Watch => format!(", {STREAMS}"),
    };
    let message = format!("406: Not Acceptable\n\nAvailable representations: {MEDIA}{streams}");
    Err(ApiError::new(406, "NotAcceptable", message)
        .with_details(super::status::Details::default()))
}

fn format_of(media: &str) -> Option<Format> {
    FORMATS
        .iter()
        .find(|(name, _)| *name == media)
        .map(|(_, format)| *format)
}

const FORMATS: [(&str, Format); 3] = [
    ("application/json", Format::Json),
    ("application/yaml", Format::Yaml),
    ("application/vnd.kubernetes.protobuf", Format::Protobuf),
];

fn choose(header: &str, offers: Offers) -> Option<Accepted> {
    if header.is_empty() {
        return Some(Accepted::JSON);
    }
    let mut clauses: Vec<_> = header
        .split(',')
        .take(MAX_CLAUSES)
        .filter_map(Clause::parse)
        .collect();
    // By insertion, as Go's sort does with as few: the order that decides is no order.
    for end in 1..clauses.len() {
        let mut at = end;
        while at > 0 && matches!(clauses.get(at - 1..=at), Some([one, other]) if other.before(one))
        {
            clauses.swap(at - 1, at);
            at -= 1;
        }
    }
    clauses.iter().find_map(|clause| {
        let mut formats = FORMATS.iter().filter(|(name, _)| clause.names(name));
        formats.find_map(|(_, format)| take(clause, *format, offers))
    })
}

/// The clause in a format, if the endpoint can do what its parameters want.
fn take(clause: &Clause<'_>, format: Format, offers: Offers) -> Option<Accepted> {
    let mut accepted = Accepted {
        format,
        ..Accepted::JSON
    };
    let mut form: Option<[&str; 3]> = None;
    for (name, value) in &clause.parameters {
        let [kind, group, version] = form.get_or_insert_default();
        match *name {
            "as" => *kind = value,
            "g" => *group = value,
            "v" => *version = value,
            "stream" if format == Format::Yaml || *value != "watch" => return None,
            "sv" if !offers.transforms || *value != "v1" => return None,
            "pretty" => accepted.pretty = *value == "1",
            "profile" => accepted.profile = Some((*value).to_owned()),
            _ => {}
        }
    }
    let Some([kind, group, version]) = form.filter(|form| *form != [""; 3]) else {
        return (offers.protobuf || format != Format::Protobuf).then_some(accepted);
    };
    let version = match version {
        "v1" => MetaVersion::V1,
        "v1beta1" => MetaVersion::V1Beta1,
        _ => return None,
    };
    let form = match kind {
        "Table" if offers.table && format != Format::Protobuf => Form::Table,
        "PartialObjectMetadata" => Form::Metadata,
        "PartialObjectMetadataList" => Form::MetadataList,
        _ => return None,
    };
    accepted.form = Some((form, version));
    (offers.transforms && group == "meta.k8s.io").then_some(accepted)
}

/// The format of a body by its `Content-Type`; JSON without one.
///
/// # Errors
/// 415.
pub fn body_format(header: Option<&str>) -> ApiResult<Format> {
    let format = match header.unwrap_or("") {
        "" => Some(Format::Json),
        header => media_type(header).as_deref().and_then(format_of),
    };
    format.ok_or_else(|| {
        let message =
            "the body of the request was in an unknown format - accepted media types include";
        ApiError::unsupported_media_type(format!("{message}: {MEDIA}"))
    })
}

/// The `Content-Type` of an answer.
pub fn content_type(format: Format, answer: Answer) -> &'static str {
    match (format, answer) {
        (Format::Json, _) => "application/json",
        (Format::Yaml, _) => "application/yaml",
        (Format::Protobuf, Answer::Watch) => "application/vnd.kubernetes.protobuf;stream=watch",
        (Format::Protobuf, _) => "application/vnd.kubernetes.protobuf",
    }
}
