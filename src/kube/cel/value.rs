//! Values of expressions. What comes from JSON stays there and is looked at; what expressions make is shared.

use std::net::IpAddr;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map as JsonMap, Value as Json};

use super::fault::Fault;
use super::lib::{Cidr, Format, Quantity, Semver, Url};
use super::print;
use super::shape::{ListOrder, Shape, ShapeKind, untyped};
use super::time::Time;
use super::types::Type;

/// A value; `'a` is the life of the JSON that it looks at.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Text<'a>),
    Bytes(Arc<[u8]>),
    /// Nanoseconds.
    Duration(i64),
    Timestamp(Time),
    List(List<'a>),
    Map(Map<'a>),
    Type(Type),
    Optional(Option<Arc<Value<'a>>>),
    Quantity(Arc<Quantity>),
    Url(Arc<Url>),
    Ip(IpAddr),
    Cidr(Cidr),
    Semver(Arc<Semver>),
    Format(&'static Format),
    /// Of no type; only compared.
    Opaque(&'a Json),
}

#[derive(Debug, Clone)]
pub enum Text<'a> {
    Borrowed(&'a str),
    Shared(Arc<str>),
}

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

/// A list.
#[derive(Debug, Clone)]
pub struct List<'a> {
    items: Items<'a>,
    pub(super) order: Order<'a>,
}

#[derive(Debug, Clone)]
enum Items<'a> {
    Json(&'a [Json], &'a Shape),
    Untyped(&'a [Json]),
    Made(Arc<Vec<Value<'a>>>),
}

/// [`ListOrder`], and whether the list is one of a schema, whose comparisons are stricter.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order<'a> {
    Made,
    Of(&'a ListOrder),
}

impl<'a> List<'a> {
    pub(super) fn json(items: &'a [Json], shape: &'a Shape, order: &'a ListOrder) -> Self {
        Self {
            items: Items::Json(items, shape),
            order: Order::Of(order),
        }
    }

    pub(super) fn untyped(items: &'a [Json]) -> Self {
        Self {
            items: Items::Untyped(items),
            order: Order::Made,
        }
    }

    pub(super) fn made(items: Vec<Value<'a>>) -> Self {
        Self {
            items: Items::Made(Arc::new(items)),
            order: Order::Made,
        }
    }

    pub(super) fn ordered(items: Vec<Value<'a>>, order: Order<'a>) -> Self {
        Self {
            order,
            ..Self::made(items)
        }
    }

    pub(super) fn len(&self) -> usize {
        match &self.items {
            Items::Json(items, _) | Items::Untyped(items) => items.len(),
            Items::Made(items) => items.len(),
        }
    }

    pub(super) fn get(&self, at: usize) -> Option<Result<Value<'a>, Fault>> {
        match &self.items {
            Items::Json(items, shape) => items.get(at).map(|item| shape.value(item)),
            Items::Untyped(items) => items.get(at).map(|item| Ok(untyped(item))),
            Items::Made(items) => items.get(at).cloned().map(Ok),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Result<Value<'a>, Fault>> + use<'a, '_> {
        (0..self.len()).filter_map(|at| self.get(at))
    }

    /// # Errors
    /// If an item is not of the list's type.
    pub(super) fn values(&self) -> Result<Vec<Value<'a>>, Fault> {
        self.iter().collect()
    }

    /// Adds an item in place if nobody else has the list.
    pub(super) fn push(&mut self, item: Value<'a>) {
        match &mut self.items {
            Items::Made(items) => Arc::make_mut(items).push(item),
            _ => {
                let mut items = self.values().unwrap_or_default();
                items.push(item);
                self.items = Items::Made(Arc::new(items));
            }
        }
    }
}

/// A map, or a structure.
#[derive(Debug, Clone)]
pub enum Map<'a> {
    /// `shape` is of a map or an object.
    Json {
        fields: &'a JsonMap<String, Json>,
        shape: &'a Shape,
    },
    Untyped(&'a JsonMap<String, Json>),
    Made(Arc<IndexMap<Key, (Value<'a>, Value<'a>)>>),
}

/// A key as maps tell keys apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    Bool(bool),
    /// Numbers without fraction, of any type.
    Number(i128),
    String(Arc<str>),
    /// Bits of a double with a fraction.
    Double(u64),
}

impl Key {
    pub(super) fn of(value: &Value<'_>) -> Option<Self> {
        Some(match value {
            Value::Bool(yes) => Self::Bool(*yes),
            Value::Int(int) => Self::Number((*int).into()),
            Value::Uint(uint) => Self::Number((*uint).into()),
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
            Value::Double(double) if double.fract() == 0.0 && double.abs() < 1e19 => {
                Self::Number(*double as i128)
            }
            Value::Double(double) => Self::Double(double.to_bits()),
            Value::String(text) => Self::String(match text {
                Text::Shared(text) => text.clone(),
                Text::Borrowed(text) => (*text).into(),
            }),
            _ => return None,
        })
    }
}

impl<'a> Map<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Json { fields, .. } | Self::Untyped(fields) => fields.len(),
            Self::Made(entries) => entries.len(),
        }
    }

    /// The JSON name and the shape of a field that an expression names.
    fn field(
        shape: &'a Shape,
        fields: &'a JsonMap<String, Json>,
        name: &str,
    ) -> Option<(&'a Json, &'a Shape)> {
        match &shape.kind {
            ShapeKind::Map(values) => fields.get(name).map(|json| (json, &**values)),
            ShapeKind::Object(object) => {
                // A name without escapes is the JSON one.
                let plain = object
                    .fields
                    .get_key_value(name)
                    .filter(|_| !name.contains("__"));
                let (json_name, field) = plain.or_else(|| {
                    let mut all = object.fields.iter();
                    all.find(|(_, field)| field.escaped.as_deref() == Some(name))
                })?;
                let json = fields.get(&**json_name).filter(|json| !json.is_null())?;
                Some((json, &*field.shape))
            }
            _ => None,
        }
    }

    /// # Errors
    /// If the key cannot be one of this map, or the value is not of its type.
    pub(super) fn find(&self, key: &Value<'_>) -> Result<Option<Value<'a>>, Fault> {
        match self {
            Self::Json { fields, shape } => {
                let Value::String(name) = key else {
                    return Err(Fault::overload());
                };
                match Self::field(shape, fields, name) {
                    Some((json, shape)) => shape.value(json).map(Some),
                    None => Ok(None),
                }
            }
            Self::Untyped(fields) => Ok(match key {
                Value::String(name) => fields.get(&**name).map(untyped),
                _ => None,
            }),
            Self::Made(entries) => {
                let key = Key::of(key);
                let found = key.and_then(|key| entries.get(&key));
                Ok(found.map(|(_, value)| value.clone()))
            }
        }
    }

    /// Keys as expressions see them; fields without a type have none.
    pub(super) fn keys(&self) -> Vec<Value<'a>> {
        match self {
            Self::Json { fields, shape } => match &shape.kind {
                ShapeKind::Object(object) => fields
                    .keys()
                    .filter_map(|name| {
                        let (name, field) = object.fields.get_key_value(name.as_str())?;
                        let shown = field.escaped.as_deref().unwrap_or(name);
                        Some(Value::String(Text::Borrowed(shown)))
                    })
                    .collect(),
                _ => names(fields),
            },
            Self::Untyped(fields) => names(fields),
            Self::Made(entries) => entries.values().map(|(key, _)| key.clone()).collect(),
        }
    }

    /// Adds an entry in place if nobody else has the map; false if the key is there.
    pub(super) fn insert(&mut self, key: &Value<'a>, value: Value<'a>) -> Result<bool, Fault> {
        let name = Key::of(key).ok_or_else(|| Fault::new("unsupported key type"))?;
        if let Self::Made(entries) = self {
            if entries.contains_key(&name) {
                return Ok(false);
            }
            Arc::make_mut(entries).insert(name, (key.clone(), value));
            return Ok(true);
        }
        let mut entries = IndexMap::new();
        for key in self.keys() {
            if let (Some(name), Some(value)) = (Key::of(&key), self.find(&key)?) {
                entries.insert(name, (key, value));
            }
        }
        let mut made = Self::Made(Arc::new(entries));
        let inserted = made.insert(key, value)?;
        *self = made;
        Ok(inserted)
    }
}

fn names<'a>(fields: &'a JsonMap<String, Json>) -> Vec<Value<'a>> {
    let keys = fields.keys();
    keys.map(|name| Value::String(Text::Borrowed(name)))
        .collect()
}

impl<'a> Value<'a> {
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::String(Text::Shared(text.into()))
    }

    pub(super) fn list(items: Vec<Self>) -> Self {
        Self::List(List::made(items))
    }

    pub fn some(value: Self) -> Self {
        Self::Optional(Some(Arc::new(value)))
    }

    pub const NONE: Self = Self::Optional(None);

    /// Untyped JSON.
    pub fn json(json: &'a Json) -> Self {
        untyped(json)
    }

    /// The type, without parameters.
    pub(super) fn type_of(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Uint(_) => Type::Uint,
            Self::Double(_) => Type::Double,
            Self::String(_) => Type::String,
            Self::Bytes(_) => Type::Bytes,
            Self::Duration(_) => Type::Duration,
            Self::Timestamp(_) => Type::Timestamp,
            Self::List(_) => Type::list(Type::Dyn),
            Self::Map(_) => Type::map(Type::Dyn, Type::Dyn),
            Self::Type(_) => Type::any_type(),
            Self::Optional(_) => Type::optional(Type::Dyn),
            Self::Quantity(_) => Type::object("kubernetes.Quantity"),
            Self::Url(_) => Type::object("kubernetes.URL"),
            Self::Semver(_) => Type::object("kubernetes.Semver"),
            Self::Format(_) => Type::object("kubernetes.NamedFormat"),
            Self::Ip(_) => Type::opaque("net.IP"),
            Self::Cidr(_) => Type::opaque("net.CIDR"),
            Self::Opaque(_) => Type::object("unknown"),
        }
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Type(_) => "type",
            Self::Optional(_) => "optional_type",
            Self::Quantity(_) => "kubernetes.Quantity",
            Self::Url(_) => "kubernetes.URL",
            Self::Semver(_) => "kubernetes.Semver",
            Self::Format(_) => "kubernetes.NamedFormat",
            Self::Ip(_) => "net.IP",
            Self::Cidr(_) => "net.CIDR",
            Self::Opaque(_) => "unknown",
        }
    }

    /// What the release's own program calls the type: some errors do.
    pub(super) fn go_type(&self) -> &'static str {
        match self {
            Self::Null => "types.Null",
            Self::Bool(_) => "types.Bool",
            Self::Int(_) => "types.Int",
            Self::Uint(_) => "types.Uint",
            Self::Double(_) => "types.Double",
            Self::String(_) => "types.String",
            Self::Bytes(_) => "types.Bytes",
            Self::Duration(_) => "types.Duration",
            Self::Timestamp(_) => "types.Timestamp",
            Self::List(_) => "*types.baseList",
            Self::Map(_) => "*types.baseMap",
            Self::Type(_) => "*types.Type",
            Self::Optional(_) => "*types.Optional",
            Self::Quantity(_) => "cel.Quantity",
            Self::Url(_) => "cel.URL",
            Self::Semver(_) => "cel.Semver",
            Self::Format(_) => "cel.Format",
            Self::Ip(_) => "cel.IP",
            Self::Cidr(_) => "cel.CIDR",
            Self::Opaque(_) => "*common.unknownPreserved",
        }
    }

    /// Whether values of its type answer to an operator at all.
    pub(super) fn knows(&self, operator: &str) -> bool {
        // These take any function, and refuse it themselves.
        if matches!(
            self,
            Self::String(_) | Self::Duration(_) | Self::Timestamp(_)
        ) {
            return true;
        }
        let number = matches!(self, Self::Int(_) | Self::Uint(_) | Self::Double(_));
        match operator {
            "_+_" => number || matches!(self, Self::Bytes(_) | Self::List(_)),
            "_-_" | "_*_" | "_/_" => number,
            "_%_" => matches!(self, Self::Int(_) | Self::Uint(_)),
            "_<_" | "_<=_" | "_>_" | "_>=_" => {
                number || matches!(self, Self::Bool(_) | Self::Bytes(_))
            }
            "-_" => matches!(self, Self::Bool(_) | Self::Int(_) | Self::Double(_)),
            _ => true,
        }
    }

    /// What the cost of a call on it counts: characters, bytes, items, entries; 1 for everything else.
    pub(super) fn size(&self) -> u64 {
        let size = match self {
            Self::String(text) => text.chars().count(),
            Self::Bytes(bytes) => bytes.len(),
            Self::List(list) => list.len(),
            Self::Map(map) => map.len(),
            Self::Ip(IpAddr::V4(_)) => 4,
            Self::Ip(IpAddr::V6(_)) => 16,
            Self::Cidr(cidr) => usize::from(cidr.bits).div_ceil(8),
            _ => 1,
        };
        size as u64
    }

    /// As messages print it: strings without quotes.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::String(text) => text.to_string(),
            other => print::literal(other),
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(yes) => Some(*yes),
            _ => None,
        }
    }
}
