//! Reads the tables.
//!
//! `types.txt` holds one type after the other:
//!
//! ```text
//! type core/v1.ContainerPort [atomic]
//!  name 1 string omitempty
//!  protocol 4 string omitempty default="TCP" enum=TCP|UDP|SCTP
//! ```
//!
//! A field is its JSON name (`.` when inline), its protobuf number (`-` without), its shape (`string`, `*` for a
//! pointer, `[]` for a list, `map:` for a map, `items:` for a list that is a message, `@type`), and words: `omitempty`,
//! `omitzero`, `inline`, `required`, `list=atomic|set|map:KEY,KEY`, `map=atomic|granular`,
//! `patch=merge,retainKeys:KEY`, `default=JSON`, `enum=A|B` (spaces as `%20`), `go=` the name of its Go type where that
//! does not follow from the shape.

use std::collections::HashMap;

use super::types::{
    Field, Leaf, ListKind, Numbered, ObjectType, Omit, Patch, Schema, Shape, TypeId,
};

/// A line of a table that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct TableError {
    pub line: usize,
    pub problem: String,
}

impl TableError {
    pub(super) fn at(line: usize, problem: impl Into<String>) -> Self {
        Self {
            line: line + 1,
            problem: problem.into(),
        }
    }
}

pub(super) fn types(text: &str) -> Result<Schema, TableError> {
    let mut schema = Schema::default();
    for (line, _, words) in lines(text).filter(|(_, head, _)| *head) {
        if let ["type", name, ..] = *words {
            let id = TypeId(u32::try_from(schema.types.len()).unwrap_or(u32::MAX));
            if schema.by_name.insert(name.into(), id).is_some() {
                return Err(TableError::at(line, format!("{name} again")));
            }
            schema.types.push(ObjectType {
                name: name.into(),
                fields: Vec::new(),
                flat: Vec::new(),
                by_json: HashMap::new(),
                by_number: Vec::new(),
                atomic: words.get(2) == Some(&"atomic"),
            });
        } else {
            return Err(TableError::at(line, "a type begins with its name"));
        }
    }
    let mut types = schema.types.iter_mut();
    let mut of = None;
    for (line, head, words) in lines(text) {
        if head {
            of = types.next();
            continue;
        }
        let field = field(&words, &schema.by_name).map_err(|why| TableError::at(line, why))?;
        match &mut of {
            Some(of) => of.fields.push(field),
            None => return Err(TableError::at(line, "a field before the first type")),
        }
    }
    for at in 0..schema.types.len() {
        let Some(of) = schema.types.get(at) else {
            continue;
        };
        let mut flat = Vec::new();
        flatten(&schema, of, &mut flat);
        let names = flat.iter().enumerate();
        let by_json = names.map(|(at, field)| (field.json.clone(), at)).collect();
        let by_number = numbered(&schema, of);
        if let Some(of) = schema.types.get_mut(at) {
            of.by_number = by_number;
            of.flat = flat;
            of.by_json = by_json;
        }
    }
    Ok(schema)
}

/// The lines that say something: their number, whether they begin at the margin, and their words.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, bool, Vec<&str>)> {
    text.lines().enumerate().filter_map(|(at, line)| {
        let words: Vec<_> = line.split_whitespace().collect();
        let says = words.first().is_some_and(|word| !word.starts_with('#'));
        says.then(|| (at, !line.starts_with(' '), words))
    })
}

fn flatten(schema: &Schema, of: &ObjectType, into: &mut Vec<Field>) {
    for field in &of.fields {
        match &field.shape {
            Shape::Object(id) if field.inline => flatten(schema, schema.get(*id), into),
            _ => into.push(field.clone()),
        }
    }
}

/// The fields of one type by protobuf number.
fn numbered(schema: &Schema, of: &ObjectType) -> Vec<Numbered> {
    let mut flat = 0;
    let mut numbered = Vec::new();
    for (at, field) in of.fields.iter().enumerate() {
        numbered.extend(field.number.map(|number| Numbered {
            number,
            field: at,
            flat,
        }));
        flat += match field.shape {
            Shape::Object(id) if field.inline => {
                let mut inner = Vec::new();
                flatten(schema, schema.get(id), &mut inner);
                inner.len()
            }
            _ => 1,
        };
    }
    numbered.sort_by_key(|one| one.number);
    numbered
}

fn field(words: &[&str], names: &HashMap<Box<str>, TypeId>) -> Result<Field, String> {
    let [json, number, shape_word, rest @ ..] = words else {
        return Err("a field has a name, a number and a shape".into());
    };
    let number = match *number {
        "-" => None,
        digits => Some(digits.parse().map_err(|_| format!("no number: {digits}"))?),
    };
    let nullable = shape_word.starts_with('*');
    let mut field = Field {
        json: json.trim_matches('.').into(),
        number,
        shape: shape(shape_word, names)?,
        nullable,
        omit: Omit::Never,
        inline: false,
        list: ListKind::Atomic,
        list_stated: false,
        atomic: false,
        granular: false,
        patch: None,
        go: None,
        default: None,
        values: Vec::new(),
        required: false,
    };
    for word in rest {
        apply(&mut field, word)?;
    }
    Ok(field)
}

fn apply(field: &mut Field, word: &str) -> Result<(), String> {
    let (key, value) = word.split_once('=').unwrap_or((word, ""));
    field.list_stated |= key == "list";
    match (key, value) {
        // Both at once: whatever either leaves out is left out.
        ("omitempty", "") if field.omit == Omit::Never => field.omit = Omit::Empty,
        ("omitempty", "") => {}
        ("omitzero", "") => field.omit = Omit::Zero,
        ("inline", "") => field.inline = true,
        ("required", "") => field.required = true,
        ("list", "atomic") => field.list = ListKind::Atomic,
        ("list", "set") => field.list = ListKind::Set,
        ("list", map) => {
            let keys = map
                .strip_prefix("map:")
                .ok_or(format!("no list type: {map}"))?;
            field.list = ListKind::Map(keys.split(',').map(Into::into).collect());
        }
        ("go", name) => field.go = Some(name.into()),
        ("map", kind) => {
            field.atomic = kind == "atomic";
            field.granular = kind == "granular";
        }
        ("patch", strategy) => field.patch = Some(patch(strategy)),
        ("default", json) => {
            let value = serde_json::from_str(json).map_err(|error| error.to_string())?;
            field.default = Some(value);
        }
        ("enum", values) => {
            let values = values.split('|').map(|one| one.replace("%20", " ").into());
            field.values = values.collect();
        }
        _ => return Err(format!("unknown word: {word}")),
    }
    Ok(())
}

fn patch(strategy: &str) -> Patch {
    let (words, key) = match strategy.split_once(':') {
        Some((words, key)) => (words, Some(key.into())),
        None => (strategy, None),
    };
    let has = |wanted| words.split(',').any(|word| word == wanted);
    Patch {
        merge: has("merge"),
        replace: has("replace"),
        retain_keys: has("retainKeys"),
        key,
    }
}

fn shape(word: &str, names: &HashMap<Box<str>, TypeId>) -> Result<Shape, String> {
    let word = word.trim_start_matches('*');
    for (prefix, wrap) in [
        ("[]", Shape::List as fn(Box<Shape>) -> Shape),
        ("map:", Shape::Map),
        ("items:", Shape::Items),
    ] {
        if let Some(inner) = word.strip_prefix(prefix) {
            return Ok(wrap(Box::new(shape(inner, names)?)));
        }
    }
    if let Some(name) = word.strip_prefix('@') {
        let id = names.get(name).ok_or(format!("no type {name}"))?;
        return Ok(Shape::Object(*id));
    }
    Ok(Shape::Leaf(match word {
        "bool" => Leaf::Bool,
        "int32" => Leaf::Int32,
        "int64" => Leaf::Int64,
        "double" => Leaf::Double,
        "string" => Leaf::String,
        "bytes" => Leaf::Bytes,
        "quantity" => Leaf::Quantity,
        "intorstring" => Leaf::IntOrString,
        "time" => Leaf::Time,
        "microtime" => Leaf::MicroTime,
        "duration" => Leaf::Duration,
        "raw" => Leaf::Raw,
        "fieldsv1" => Leaf::FieldsV1,
        "json" => Leaf::Json,
        "schemaorbool" => Leaf::SchemaOrBool,
        "schemaorarray" => Leaf::SchemaOrArray,
        "schemaorstrings" => Leaf::SchemaOrStrings,
        other => return Err(format!("no shape: {other}")),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_types_can_be_read() {
        let schema = Schema::built_in();
        let pod = schema.get(schema.kind("", "v1", "Pod").unwrap());
        assert_eq!(pod.short_name(), "Pod");
        let Shape::Object(spec) = pod.field("spec").unwrap().shape else {
            panic!("a struct");
        };
        let containers = schema.get(spec).field("containers").unwrap();
        assert_eq!(containers.list, ListKind::Map(vec!["name".into()]));
        assert_eq!(containers.number, Some(2));
        assert!(containers.required);
    }

    #[test]
    fn inline_structs_stand_among_the_others_in_json_and_apart_in_protobuf() {
        let schema = Schema::built_in();
        let volume = schema.get(schema.find("core/v1.Volume").unwrap());
        assert_eq!(volume.fields.len(), 2);
        assert!(volume.field("emptyDir").is_some());
        assert!(volume.field("name").is_some());
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_line() {
        for (text, said) in [
            (" a 1 string", "line 1: a field before the first type"),
            ("type a\n b 1 @c", "line 2: no type c"),
            ("type a\n b x string", "line 2: no number: x"),
            ("type a\n b 1 strong", "line 2: no shape: strong"),
            ("type a\n b 1 string wild", "line 2: unknown word: wild"),
            ("type a\ntype a", "line 2: a again"),
        ] {
            assert_eq!(Schema::parse(text).unwrap_err().to_string(), said);
        }
    }
}
