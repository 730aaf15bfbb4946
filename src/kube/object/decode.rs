//! Bodies of requests: which type they say they are, and what they decode to.
//!
//! Kind and version default to those of the request; the errors are the release's, word for word, since clients show
//! them and tests compare them.

use serde_json::{Map, Value};

use super::conform::{Conformed, conform_node, untyped};
use super::node::Node;
use super::{Format, protobuf, text, yaml};
use crate::kube::schema::{Resources, Schema, TypeId};
use crate::kube::status::{ApiError, ApiResult};

/// A group, a version and a kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gvk {
    pub group: String,
    pub version: String,
    pub kind: String,
}

impl Gvk {
    pub fn new(group: &str, version: &str, kind: &str) -> Self {
        Self {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
        }
    }

    /// `v1`, `apps/v1`.
    pub fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// Splits an `apiVersion`.
    ///
    /// # Errors
    /// It has more than one slash.
    pub fn parse(api_version: &str, kind: &str) -> Result<Self, String> {
        if matches!(api_version, "" | "/") {
            return Ok(Self::new("", "", kind));
        }
        match api_version.split('/').collect::<Vec<_>>().as_slice() {
            [version] => Ok(Self::new("", version, kind)),
            [group, version] => Ok(Self::new(group, version, kind)),
            _ => Err(format!("unexpected GroupVersion string: {api_version}")),
        }
    }

    fn or(mut self, other: &Self) -> Self {
        if self.kind.is_empty() {
            self.kind.clone_from(&other.kind);
        }
        if self.version.is_empty() && self.group.is_empty() {
            self.group.clone_from(&other.group);
        }
        if self.version.is_empty() && self.group == other.group {
            self.version.clone_from(&other.version);
        }
        self
    }

    /// The type of a kind that some table has, be it served or `meta/v1`'s own.
    fn registered(&self) -> Option<TypeId> {
        let schema = Schema::built_in();
        let served = Resources::built_in().group_version(&self.group, &self.version);
        let id = schema.kind(&self.group, &self.version, &self.kind);
        // The options of requests and the like are registered with every group version.
        let meta = || schema.find(&format!("meta/v1.{}", self.kind));
        served
            .and_then(|_| id.or_else(meta))
            .filter(|id| is_kind(schema, *id))
    }
}

/// Kinds have a kind.
fn is_kind(schema: &Schema, id: TypeId) -> bool {
    let first = schema.get(id).flat.first();
    first.is_some_and(|field| &*field.json == "kind" && field.number.is_none())
}

/// `fieldValidation` of a request: what becomes of unknown and duplicate fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldValidation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

/// What a body should hold.
#[derive(Debug, Clone)]
pub struct Expected {
    pub gvk: Gvk,
    /// None for a custom resource.
    pub id: Option<TypeId>,
}

impl Expected {
    /// A kind of the built-in tables, or a custom one.
    pub fn new(group: &str, version: &str, kind: &str) -> Self {
        let gvk = Gvk::new(group, version, kind);
        let id = gvk.registered();
        Self { gvk, id }
    }
}

/// An object as a body had it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// In Go form, with the kind and version that were expected.
    pub value: Value,
    /// What to warn of.
    pub warnings: Vec<String>,
}

/// Reads the body of a request.
///
/// # Errors
/// 400 in the release's words: bad text, another kind, values of wrong types, and unknown and duplicate fields where the
/// request wants that.
pub fn decode(
    body: &[u8],
    format: Format,
    expected: &Expected,
    validation: FieldValidation,
) -> ApiResult<Decoded> {
    let unrecognized = |error: String| unrecognized(expected, body, &error);
    let node = match format {
        Format::Json => text::parse(body).map_err(|error| {
            unrecognized(format!(
                "couldn't get version/kind; json parse error: {error}"
            ))
        })?,
        Format::Yaml => yaml::parse(body).map_err(unrecognized)?,
        Format::Protobuf => return decode_protobuf(body, expected),
    };
    decode_node(&node, body, format, expected, validation)
}

/// Reads a body as the tree that it is, whatever it says, and what is in it twice: a patch is no object of a kind.
///
/// # Errors
/// Why it is no document.
pub fn tree(body: &[u8], format: Format) -> Result<(Value, Vec<String>), String> {
    let node = match format {
        Format::Json => text::parse(body)?,
        Format::Yaml => yaml::parse(body)?,
        Format::Protobuf => return Err("no patch is written in protobuf".into()),
    };
    let read = untyped(&node);
    Ok((read.value, read.strict))
}

fn unrecognized(expected: &Expected, body: &[u8], error: &str) -> ApiError {
    let kind = &expected.gvk.kind;
    let body = summary(body);
    ApiError::bad_request(format!(
        "the object provided is unrecognized (must be of type {kind}): {error} ({body})"
    ))
}

/// There is nothing strict about protobuf: unknown fields are for later versions.
fn decode_protobuf(body: &[u8], expected: &Expected) -> ApiResult<Decoded> {
    let unknown = protobuf::open(body).map_err(|error| unrecognized(expected, body, &error))?;
    let gvk = protobuf::kind_of(&unknown, expected)
        .map_err(|error| unrecognized(expected, body, &error))?;
    let unfit = |error: String| cannot_be_handled(&gvk, expected, &error);
    let id = if gvk == expected.gvk {
        expected.id
    } else {
        gvk.registered()
    };
    let Some(id) = id else {
        return Err(unfit(not_registered(&gvk)));
    };
    let mut value = protobuf::decode_message(Schema::built_in(), id, unknown.raw)
        .map_err(|error| unfit(error.to_string()))?;
    same_kind(&gvk, expected)?;
    identify(&mut value, &gvk);
    Ok(Decoded {
        value,
        warnings: Vec::new(),
    })
}

fn not_registered(gvk: &Gvk) -> String {
    let Gvk { kind, .. } = gvk;
    let version = gvk.api_version();
    format!(
        "no kind \"{kind}\" is registered for version \"{version}\" in scheme \"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30\""
    )
}

/// Whether a kind converts into the one expected at all.
fn convertible(gvk: &Gvk, expected: &Expected) -> ApiResult<()> {
    let (from, to) = (internal(gvk), internal(&expected.gvk));
    if from == to {
        return Ok(());
    }
    let from = go_name(gvk);
    let error = format!("converting ({from}) to ({to}): unknown conversion");
    Err(cannot_be_handled(gvk, expected, &error))
}

/// Whether a kind is the one expected, in its version.
fn same_kind(gvk: &Gvk, expected: &Expected) -> ApiResult<()> {
    convertible(gvk, expected)?;
    if *gvk == expected.gvk {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "the API version in the data ({}) does not match the expected API version ({})",
        gvk.api_version(),
        expected.gvk.api_version()
    )))
}

/// Decodes a tree that is a body already, such as a patched object.
///
/// # Errors
/// As [`decode`].
pub fn decode_value(
    value: &Value,
    expected: &Expected,
    validation: FieldValidation,
) -> ApiResult<Decoded> {
    let node = Node::of(value).ok_or_else(|| ApiError::bad_request("json: exceeded max depth"))?;
    decode_node(&node, b"", Format::Json, expected, validation)
}

fn decode_node(
    node: &Node<'_>,
    body: &[u8],
    format: Format,
    expected: &Expected,
    validation: FieldValidation,
) -> ApiResult<Decoded> {
    let said = said(node).map_err(|error| unrecognized(expected, body, &error))?;
    let gvk = said.or(&expected.gvk);
    let unfit = |error: String| cannot_be_handled(&gvk, expected, &error);
    if gvk.version.is_empty() {
        let body = String::from_utf8_lossy(body);
        return Err(unfit(format!("Object 'apiVersion' is missing in '{body}'")));
    }
    let same = gvk == expected.gvk;
    let id = if same { expected.id } else { gvk.registered() };
    let Conformed {
        mut value,
        mut strict,
    } = match id {
        Some(id) => conform_node(Schema::built_in(), id, node).map_err(unfit)?,
        None if same => untyped(node),
        None => return Err(unfit(not_registered(&gvk))),
    };
    if format == Format::Yaml && validation != FieldValidation::Ignore {
        strict.splice(0..0, yaml::duplicates(body));
    }
    convertible(&gvk, expected)?;
    if validation == FieldValidation::Strict && !strict.is_empty() {
        let errors = strict.join(", ");
        return Err(unfit(format!("strict decoding error: {errors}")));
    }
    same_kind(&gvk, expected)?;
    identify(&mut value, &gvk);
    let warnings = match validation {
        FieldValidation::Ignore => Vec::new(),
        _ => strict,
    };
    Ok(Decoded { value, warnings })
}

/// Puts kind and version in front.
fn identify(value: &mut Value, gvk: &Gvk) {
    let Value::Object(fields) = value else {
        return;
    };
    let (kind, version) = (gvk.kind.as_str(), gvk.api_version());
    let named = |name: &str, wanted: &str| fields.get(name).and_then(Value::as_str) == Some(wanted);
    if named("kind", kind) && named("apiVersion", &version) {
        return;
    }
    let mut named = Map::with_capacity(fields.len() + 2);
    named.insert("kind".into(), kind.into());
    named.insert("apiVersion".into(), version.into());
    for (key, value) in std::mem::take(fields) {
        named.entry(key).or_insert(value);
    }
    *fields = named;
}

/// `Pod in version "v1" cannot be handled as a ConfigMap: ...`.
fn cannot_be_handled(gvk: &Gvk, expected: &Expected, error: &str) -> ApiError {
    ApiError::bad_request(format!(
        "{} in version \"{}\" cannot be handled as a {}: {error}",
        gvk.kind, gvk.version, expected.gvk.kind
    ))
}

/// The kind and version that a document states.
fn said(node: &Node<'_>) -> Result<Gvk, String> {
    const PARSE: &str = "couldn't get version/kind; json parse error: json: cannot unmarshal";
    let text = |name: &str| match node.get(name) {
        Some(Node::String(text)) => Ok(text.to_string()),
        None | Some(Node::Null) => Ok(String::new()),
        Some(other) => Err(format!(
            "{PARSE} {} into Go struct field .{name} of type string",
            other.said()
        )),
    };
    if !matches!(node, Node::Object(_) | Node::Null) {
        return Err(format!(
            "{PARSE} {} into Go value of type struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}",
            node.said()
        ));
    }
    Gvk::parse(&text("apiVersion")?, &text("kind")?)
}

/// What a message shows of a body: its beginning, in hexadecimal unless it looks like JSON.
pub fn summary(body: &[u8]) -> String {
    const MOST: usize = 30;
    let (shown, more) = match body.split_at_checked(MOST) {
        Some((shown, rest)) if !rest.is_empty() => (shown, " ..."),
        _ => (body, ""),
    };
    match body.first() {
        None => "<empty>".into(),
        Some(b'{') => String::from_utf8_lossy(shown).into_owned() + more,
        Some(_) => {
            shown
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
                + more
        }
    }
}

/// The type that the release converts a kind to before it handles it.
fn internal(gvk: &Gvk) -> String {
    let package = match gvk.group.as_str() {
        "" | "events.k8s.io" => "core",
        group => group.split('.').next().unwrap_or(group),
    };
    format!("{package}.{}", gvk.kind)
}

fn go_name(gvk: &Gvk) -> String {
    format!("{}.{}", gvk.version, gvk.kind)
}
