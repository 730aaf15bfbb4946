//! Media types: what a request accepts and what its body is.
//!
//! Two parties judge an `Accept` header in the release. The router knows exact types and `*/*` alone; then the
//! handler goes through the clauses by their quality and takes the first that it can serve. Both are kept, with their words.

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

/// A clause of an `Accept` header.
#[derive(Debug, Clone, PartialEq)]
struct Clause<'a> {
    kind: &'a str,
    sub: &'a str,
    quality: f64,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Clause<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.trim_matches(' ').split(';');
        let name = parts.next()?;
        let (kind, sub) = match name.split_once('/') {
            Some((kind, sub)) if !sub.is_empty() => (kind.trim_matches(' '), sub),
            _ => (
                "*",
                if name.trim_matches(' ') == "*" {
                    "*"
                } else {
                    return None;
                },
            ),
        };
        // A slash more, unless it ends the name.
        let sub = match sub.split_once('/') {
            None => sub,
            Some((sub, "")) => sub,
            Some(_) => return None,
        };
        let mut clause = Self {
            kind,
            sub: sub.trim_matches(' '),
            quality: 1.0,
            parameters: Vec::new(),
        };
        for part in parts {
            let Some((name, value)) = part.split_once('=') else {
                continue;
            };
            if value.is_empty() || value.trim_end_matches('=').contains('=') {
                continue;
            }
            match name.trim_matches(' ') {
                "q" => {
                    clause.quality = value
                        .parse()
                        .ok()
                        .filter(|q: &f64| !q.is_nan())
                        .unwrap_or(0.0)
                }
                name => clause
                    .parameters
                    .push((name, value.trim_matches([' ', '=']))),
            }
        }
        Some(clause)
    }

    /// Whether it goes before another. No order in the strict sense: where two disagree, both may.
    fn before(&self, other: &Self) -> bool {
        self.quality > other.quality
            || (self.kind != "*" && other.kind == "*")
            || (self.sub != "*" && other.sub == "*")
    }

    fn names(&self, format: &str) -> bool {
        let (kind, sub) = format.split_once('/').unwrap_or((format, ""));
        (self.kind == kind && (self.sub == sub || self.sub == "*"))
            || (self.kind == "*" && self.sub == "*")
    }
}

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

/// The type without its parameters, which must be well-formed.
pub fn media_type(header: &str) -> Option<String> {
    let (name, mut rest) = header.split_once(';').unwrap_or((header, ""));
    let name = name.trim().to_ascii_lowercase();
    let (kind, sub) = name.split_once('/')?;
    if !is_token(kind) || !is_token(sub) {
        return None;
    }
    let mut seen: Vec<(String, String)> = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        if rest.is_empty() {
            return Some(name);
        }
        let (key, after) = rest.split_once('=')?;
        let key = key.trim().to_ascii_lowercase();
        let (value, after) = parameter(after)?;
        let twice = seen
            .iter()
            .any(|(name, before)| *name == key && *before != value);
        if !is_token(&key) || twice || seen.len() >= MAX_CLAUSES {
            return None;
        }
        seen.push((key, value));
        rest = after.trim_start();
        if !rest.is_empty() && !rest.starts_with(';') {
            return None;
        }
    }
}

/// A token or a quoted string, and what follows.
fn parameter(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start();
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ' ', '\t']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return is_token(value).then(|| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(chars.next()?),
            one => value.push(one),
        }
    }
}

fn is_token(text: &str) -> bool {
    let special = |byte: u8| b"()<>@,;:\\\"/[]?=".contains(&byte);
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !special(byte))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(header: &str, answer: Answer) -> String {
        match accept(Some(header), answer, Offers::BUILT_IN) {
            Err(error) => error.message,
            Ok(accepted) => match accepted.form {
                None => format!("{:?}", accepted.format),
                Some((form, version)) => format!("{:?} {form:?} {version:?}", accepted.format),
            },
        }
    }

    #[test]
    fn the_best_clause_that_can_be_served_wins() {
        const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
        for (header, wanted) in [
            ("", "Json"),
            ("*/*", "Json"),
            ("application/yaml", "Yaml"),
            ("application/json;q=0.5,application/yaml", "Yaml"),
            ("application/json,application/yaml", "Json"),
            (
                "application/yaml;q=0.1,application/vnd.kubernetes.protobuf;q=0.2",
                "Protobuf",
            ),
            ("application/xml,*/*;q=0.1", "Json"),
            ("application/json;q=0", "Json"),
            ("application/json;q=abc,application/yaml", "Yaml"),
            ("application/cbor,application/json", "Json"),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                "Json",
            ),
            (
                "application/json ; as=Table; v=v1; g=meta.k8s.io",
                "Json Table V1",
            ),
            (
                "application/yaml;as=Table;v=v1beta1;g=meta.k8s.io",
                "Yaml Table V1Beta1",
            ),
            ("application/json;sv=v1", "Json"),
        ] {
            assert_eq!(chosen(header, Answer::List), wanted, "{header}");
        }
        let table = ";as=Table;v=v1;g=meta.k8s.io";
        let both = format!("{PROTOBUF}{table},application/json{table}");
        assert_eq!(chosen(&both, Answer::List), "Json Table V1");
        let metadata = format!("{PROTOBUF};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io");
        let custom = accept(Some(&metadata), Answer::List, Offers::CUSTOM).unwrap();
        assert_eq!(custom.format, Format::Protobuf);
        let custom = accept(
            Some(&format!("{PROTOBUF},application/json")),
            Answer::List,
            Offers::CUSTOM,
        );
        assert_eq!(custom.unwrap().format, Format::Json);
    }

    #[test]
    fn what_cannot_be_served_is_refused_by_the_router_or_the_handler() {
        let router = format!("406: Not Acceptable\n\nAvailable representations: {MEDIA}");
        for header in [
            "*",
            "application/*",
            "text/html",
            "APPLICATION/JSON",
            "application/json/x",
            ",,",
            ";",
        ] {
            assert_eq!(chosen(header, Answer::Object), router, "{header}");
            assert_eq!(
                chosen(header, Answer::Watch),
                format!("{router}, {STREAMS}"),
                "{header}"
            );
        }
        let handler = format!("only the following media types are accepted: {MEDIA}");
        for header in [
            "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io",
            "application/json;as=Table;v=v2;g=meta.k8s.io",
            "application/json;as=Foo;v=v1;g=meta.k8s.io",
            "application/json;as=Table;v=v1;g=x",
            "application/json;stream=foo",
            "application/yaml;stream=watch",
            "application/json;sv=v2",
        ] {
            assert_eq!(chosen(header, Answer::List), handler, "{header}");
        }
        let streams = format!("only the following media types are accepted: {STREAMS}");
        assert_eq!(chosen("application/yaml", Answer::Watch), streams);
        assert!(accept_error(Some("application/json;as=Table;v=v1;g=meta.k8s.io")).is_none());
        assert_eq!(
            accept_error(Some("application/yaml")).unwrap().format,
            Format::Yaml
        );
    }

    #[test]
    fn bodies_are_known_by_their_type() {
        for (header, format) in [
            ("application/json", Format::Json),
            ("application/json; charset=utf-8", Format::Json),
            ("APPLICATION/JSON", Format::Json),
            ("application/json;", Format::Json),
            ("application/json;a=b;a=b", Format::Json),
            ("application/json; a=\"b\"", Format::Json),
            ("application/yaml", Format::Yaml),
            ("application/vnd.kubernetes.protobuf", Format::Protobuf),
        ] {
            assert_eq!(body_format(Some(header)).unwrap(), format, "{header}");
        }
        assert_eq!(body_format(None).unwrap(), Format::Json);
        for header in [
            "text/plain",
            "json",
            "application/",
            "application/json; a",
            "*/*",
            "application/json, application/yaml",
            "application/json;a=b;a=c",
        ] {
            assert_eq!(body_format(Some(header)).unwrap_err().code, 415, "{header}");
        }
    }
}
