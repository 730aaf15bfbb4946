//! YAML bodies, resolved as go-yaml v2 and sigs.k8s.io/yaml do: YAML 1.1 words for booleans, maps by sorted keys,
//! only the first document.
//!
//! The parser bounds nesting; aliases are bounded here, by what they expand to.

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::go::quote;
use super::node::{MAX_DEPTH, Node};

/// How many nodes a document may have once its aliases stand for what they name.
const MAX_NODES: usize = 1_000_000;

/// A node before its keys are strings.
#[derive(Debug, Clone)]
enum Tree {
    Scalar(Scalar),
    List(Vec<Tree>),
    /// Each pair with the line of its value.
    Map(Vec<(Tree, Tree, usize)>),
}

#[derive(Debug, Clone, PartialEq)]
enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    String(String),
    Merge,
}

/// Reads the first document.
///
/// # Errors
/// `yaml: line 2: ...`.
pub(super) fn parse(body: &[u8]) -> Result<Node<'static>, String> {
    let tree = read(body)?;
    to_node(tree, &mut Vec::new())
}

/// The strict error for keys that a map has twice; none if there are none.
pub(super) fn duplicates(body: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(tree) = read(body) {
        // The tree has been converted before: it can be again.
        let _ = to_node(tree, &mut found);
    }
    if found.is_empty() {
        return found;
    }
    vec![format!("yaml: unmarshal errors:\n{}", found.join("\n"))]
}

fn read(body: &[u8]) -> Result<Tree, String> {
    let text = std::str::from_utf8(body).map_err(|_| "yaml: invalid leading UTF-8 octet")?;
    let mut options = Options::default();
    options.emit_comments = false;
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut reader = Reader {
        text,
        events: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        nodes: 0,
    };
    reader.document()
}

struct Reader<'a> {
    text: &'a str,
    events: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, (Tree, usize)>,
    nodes: usize,
}

/// What go-yaml says of an error. It counts lines from nought for its parser and from one for its scanner, and leaves the
/// first out.
fn told(text: &str, error: &ScanError) -> String {
    let info = error.info();
    let said = info.rsplit(", ").next().unwrap_or(&info);
    let line = error.marker().line();
    let ended = text.lines().count();
    let (line, said) = match said {
        _ if info.ends_with("found unknown anchor") => {
            let name = name_at(text, line, error.marker().col());
            (0, format!("unknown anchor '{name}' referenced"))
        }
        _ if said.starts_with("unclosed bracket") => {
            let open = text.trim_end().ends_with(['[', '{', ',', ':']);
            let closing = if said.contains('[') { ']' } else { '}' };
            let expected = if open {
                "node content".into()
            } else {
                format!("',' or '{closing}'")
            };
            (ended, format!("did not find expected {expected}"))
        }
        "unclosed quote" => (ended, "found unexpected end of stream".into()),
        _ if said.starts_with("unexpected character") => {
            (line, "found character that cannot start any token".into())
        }
        "did not find expected hexadecimal number" => {
            (line, "did not find expected hexdecimal number".into())
        }
        _ if said.starts_with("did not find expected") && !said.contains("digit") => {
            (line.saturating_sub(1), said.into())
        }
        _ => (line, said.into()),
    };
    let parser = said.starts_with("did not find expected")
        && !said.contains("digit")
        && !said.contains("number");
    match line {
        0 => format!("yaml: {said}"),
        1 if !parser => format!("yaml: {said}"),
        _ => format!("yaml: line {line}: {said}"),
    }
}

/// The name of the alias or anchor that a column of a line begins with.
fn name_at(text: &str, line: usize, column: usize) -> String {
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let name = line
        .chars()
        .skip(column)
        .skip_while(|one| matches!(one, '*' | '&'));
    name.take_while(|one| one.is_alphanumeric() || matches!(one, '-' | '_'))
        .collect()
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), String> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(told(self.text, &error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn document(&mut self) -> Result<Tree, String> {
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(..) => {}
                Event::StreamEnd | Event::DocumentEnd => return Ok(Tree::Scalar(Scalar::Null)),
                event => {
                    let tree = self.node(event, &span, MAX_DEPTH)?;
                    // What follows must be the end of the document, whatever comes behind that.
                    self.next()?;
                    return Ok(tree);
                }
            }
        }
    }

    fn count(&mut self, more: usize) -> Result<(), String> {
        self.nodes = self.nodes.saturating_add(more);
        if self.nodes > MAX_NODES {
            return Err("yaml: document contains excessive aliasing".into());
        }
        Ok(())
    }

    fn node(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Result<Tree, String> {
        self.count(1)?;
        let deeper = || depth.checked_sub(1).ok_or("yaml: exceeded max depth");
        let before = self.nodes;
        let (tree, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (Tree::Scalar(scalar(&text, style, tag.as_deref())?), anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                let depth = deeper()?;
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => items.push(self.node(event, &span, depth)?),
                    }
                }
                (Tree::List(items), anchor)
            }
            Event::MappingStart(_, anchor, _) => (self.map(deeper()?)?, anchor),
            Event::Alias(id) => {
                let Some((tree, size)) = self.anchors.get(&id) else {
                    let name = name_at(self.text, span.start.line(), span.start.col());
                    return Err(format!("yaml: anchor '{name}' value contains itself"));
                };
                let (tree, size) = (tree.clone(), *size);
                self.count(size)?;
                return Ok(tree);
            }
            _ => {
                return Err(format!(
                    "yaml: line {}: did not find expected node content",
                    span.start.line()
                ));
            }
        };
        if anchor > 0 {
            self.anchors
                .insert(anchor, (tree.clone(), self.nodes - before));
        }
        Ok(tree)
    }

    fn map(&mut self, depth: usize) -> Result<Tree, String> {
        let mut pairs = Vec::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Tree::Map(pairs)),
                (event, span) => self.node(event, &span, depth)?,
            };
            let (event, span) = self.next()?;
            let line = span.start.line();
            pairs.push((key, self.node(event, &span, depth)?, line));
        }
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Scalar, String> {
    let tag = tag.map(|tag| tag.core_suffix().unwrap_or(tag.suffix()));
    match tag {
        None if style == ScalarStyle::Plain => Ok(resolve(text)),
        None | Some("str") => Ok(Scalar::String(text.into())),
        Some("binary") => {
            let bytes = super::leaf::decode_base64(text.as_bytes())
                .map_err(|_| "yaml: !!binary value contains invalid base64 data")?;
            Ok(Scalar::String(String::from_utf8_lossy(&bytes).into_owned()))
        }
        Some(wanted) => {
            let resolved = resolve(text);
            let is = match &resolved {
                Scalar::Null => "null",
                Scalar::Bool(_) => "bool",
                Scalar::Int(_) | Scalar::Uint(_) => "int",
                Scalar::Float(_) => "float",
                Scalar::String(_) => "str",
                Scalar::Merge => "merge",
            };
            match (wanted, resolved) {
                ("float", Scalar::Int(value)) => Ok(Scalar::Float(value as f64)),
                ("bool" | "int" | "float" | "null", resolved) if is == wanted => Ok(resolved),
                ("bool" | "int" | "float" | "null", _) => Err(format!(
                    "yaml: cannot decode !!{is} `{text}` as a !!{wanted}"
                )),
                _ => Ok(Scalar::String(text.into())),
            }
        }
    }
}

/// What a plain scalar means.
fn resolve(text: &str) -> Scalar {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Scalar::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Scalar::Bool(false)
        }
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        "<<" => Scalar::Merge,
        _ if text.starts_with(|first: char| matches!(first, '0'..='9' | '+' | '-' | '.')) => {
            numeric(text)
        }
        _ => Scalar::String(text.into()),
    }
}

/// Whether plain text is taken for a string and nothing else, by the release's encoder.
pub(super) fn is_plain_string(text: &str) -> bool {
    matches!(resolve(text), Scalar::String(_) | Scalar::Merge)
        && !is_timestamp(text)
        && !is_sexagesimal(text)
}

/// `2001-12-14`, `2001-12-14T21:59:43.10-05:00`, `2001-12-14 21:59:43`, with short fields too.
fn is_timestamp(text: &str) -> bool {
    fn take(text: &str, most: i64) -> Option<(i64, &str)> {
        let digits = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
        let (value, rest) = text.split_at_checked(digits)?;
        Some((value.parse().ok().filter(|value| *value <= most)?, rest))
    }
    fn clock(text: &str) -> Option<&str> {
        let (_, rest) = take(text, 23)?;
        let (_, rest) = take(rest.strip_prefix(':')?, 59)?;
        let (_, rest) = take(rest.strip_prefix(':')?, 59)?;
        let Some(fraction) = rest.strip_prefix(['.', ',']) else {
            return Some(rest);
        };
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        fraction.get(digits..).filter(|_| digits > 0)
    }
    fn whole(text: &str) -> Option<bool> {
        let (year, rest) = text.split_at_checked(4)?;
        let year: i64 = year
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| year.parse().ok())??;
        let (month, rest) = take(rest.strip_prefix('-')?, 12)?;
        let (day, rest) = take(rest.strip_prefix('-')?, 31)?;
        if month == 0 || day == 0 || day > super::time::days_in(month, year) {
            return None;
        }
        if rest.is_empty() {
            return Some(true);
        }
        if let Some(rest) = rest.strip_prefix(' ') {
            return Some(clock(rest.trim_start_matches(' '))?.is_empty());
        }
        let zone = clock(rest.strip_prefix(['T', 't'])?)?;
        let Some(zone) = zone.strip_prefix(['+', '-']) else {
            return Some(zone == "Z");
        };
        let (hours, minutes) = zone.split_once(':')?;
        Some(
            hours.len() == 2
                && take(hours, 24)?.1.is_empty()
                && minutes.len() == 2
                && take(minutes, 60)?.1.is_empty(),
        )
    }
    whole(text) == Some(true)
}

/// `1:30`, a number to base 60 for older parsers: `[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?`.
fn is_sexagesimal(text: &str) -> bool {
    let mut parts = text.strip_prefix(['-', '+']).unwrap_or(text).split(':');
    let first = parts.next().unwrap_or_default();
    if !first.starts_with(|one: char| one.is_ascii_digit())
        || !first
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'_')
    {
        return false;
    }
    let parts: Vec<_> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return false;
    };
    let (last, decimals) = last.split_once('.').unwrap_or((last, ""));
    let sixty = |part: &str| match part.as_bytes() {
        [digit] => digit.is_ascii_digit(),
        [ten, digit] => matches!(ten, b'0'..=b'5') && digit.is_ascii_digit(),
        _ => false,
    };
    middle.iter().all(|part| sixty(part))
        && sixty(last)
        && decimals
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'_')
}

fn numeric(text: &str) -> Scalar {
    let plain = text.replace('_', "");
    if !text.starts_with('.')
        && let Some(integer) = integer(&plain)
    {
        return integer;
    }
    let float = if text.starts_with('.') { text } else { &plain };
    if is_float(float)
        && let Ok(value) = float.parse::<f64>()
        && value.is_finite()
    {
        return Scalar::Float(value);
    }
    Scalar::String(text.into())
}

/// Decimal, `0x`, `0o`, `0b`, and octal by a leading zero.
fn integer(text: &str) -> Option<Scalar> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (digits, radix) = match unsigned.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => (unsigned.get(2..)?, 16),
        Some("0o") => (unsigned.get(2..)?, 8),
        Some("0b") => (unsigned.get(2..)?, 2),
        _ if unsigned.len() > 1 && unsigned.starts_with('0') => (unsigned.get(1..)?, 8),
        _ => (unsigned, 10),
    };
    if !digits.starts_with(|first: char| first.is_digit(radix)) {
        return None;
    }
    let value = u64::from_str_radix(digits, radix).ok()?;
    if text.starts_with('-') {
        return i64::try_from(-i128::from(value)).ok().map(Scalar::Int);
    }
    match i64::try_from(value) {
        Ok(value) => Some(Scalar::Int(value)),
        // Only without a sign.
        Err(_) => (!text.starts_with('+')).then_some(Scalar::Uint(value)),
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let whole = digits(unsigned);
    let rest = unsigned.get(whole..).unwrap_or_default();
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => (digits(rest), rest.get(digits(rest)..).unwrap_or_default()),
        None => (0, rest),
    };
    if whole + fraction == 0 {
        return false;
    }
    match rest.strip_prefix(['e', 'E']) {
        None => rest.is_empty(),
        Some(rest) => {
            let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
            !rest.is_empty() && digits(rest) == rest.len()
        }
    }
}

/// Makes keys strings, in their order, and lets merge keys bring in what they name. `twice` gathers the keys that a
/// map has already.
fn to_node(tree: Tree, twice: &mut Vec<String>) -> Result<Node<'static>, String> {
    Ok(match tree {
        Tree::Scalar(scalar) => leaf(scalar)?,
        Tree::List(items) => {
            let items = items.into_iter().map(|item| to_node(item, twice));
            Node::List(items.collect::<Result<_, _>>()?)
        }
        Tree::Map(pairs) => {
            let mut fields: Vec<(String, Node<'static>)> = Vec::with_capacity(pairs.len());
            merged(pairs, &mut fields, twice)?;
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
            let fields = fields
                .into_iter()
                .map(|(key, node)| (Cow::Owned(key), node));
            Node::Object(fields.collect())
        }
    })
}

fn merged(
    pairs: Vec<(Tree, Tree, usize)>,
    fields: &mut Vec<(String, Node<'static>)>,
    twice: &mut Vec<String>,
) -> Result<(), String> {
    let mut places: HashMap<String, usize> = fields
        .iter()
        .enumerate()
        .map(|(at, (key, _))| (key.clone(), at))
        .collect();
    for (key, value, line) in pairs {
        let key = match key {
            Tree::Scalar(Scalar::Merge) => {
                merge(value, fields, twice)?;
                places = fields
                    .iter()
                    .enumerate()
                    .map(|(at, (key, _))| (key.clone(), at))
                    .collect();
                continue;
            }
            Tree::Scalar(scalar) => scalar,
            _ => return Err("yaml: invalid map key: map[interface {}]interface {}{}".into()),
        };
        let shown = shown(&key);
        let key = name(key)?;
        let node = to_node(value, twice)?;
        match places.get(&key) {
            Some(at) => {
                twice.push(format!("  line {line}: key {shown} already set in map"));
                if let Some((_, before)) = fields.get_mut(*at) {
                    *before = node;
                }
            }
            None => {
                places.insert(key.clone(), fields.len());
                fields.push((key, node));
            }
        }
    }
    Ok(())
}

fn merge(
    value: Tree,
    fields: &mut Vec<(String, Node<'static>)>,
    twice: &mut Vec<String>,
) -> Result<(), String> {
    const WANT: &str = "yaml: map merge requires map or sequence of maps as the value";
    match value {
        Tree::Map(pairs) => merged(pairs, fields, twice),
        // Earlier maps win.
        Tree::List(maps) => maps.into_iter().rev().try_for_each(|map| match map {
            Tree::Map(pairs) => merged(pairs, fields, twice),
            _ => Err(WANT.into()),
        }),
        Tree::Scalar(_) => Err(WANT.into()),
    }
}

fn leaf(scalar: Scalar) -> Result<Node<'static>, String> {
    Ok(match scalar {
        Scalar::Null => Node::Null,
        Scalar::Bool(it) => Node::Bool(it),
        Scalar::Int(value) => Node::Number(value.to_string().into()),
        Scalar::Uint(value) => Node::Number(value.to_string().into()),
        Scalar::Float(value) => Node::Number(json_float(value)?.into()),
        Scalar::String(text) => Node::String(text.into()),
        Scalar::Merge => Node::String("<<".into()),
    })
}

fn json_float(value: f64) -> Result<String, String> {
    match value {
        f64::INFINITY => Err("json: unsupported value: +Inf".into()),
        f64::NEG_INFINITY => Err("json: unsupported value: -Inf".into()),
        value if value.is_nan() => Err("json: unsupported value: NaN".into()),
        value => Ok(super::go::float(value)),
    }
}

fn name(key: Scalar) -> Result<String, String> {
    Ok(match key {
        Scalar::String(text) => text,
        Scalar::Int(value) => value.to_string(),
        Scalar::Bool(it) => it.to_string(),
        Scalar::Float(value) if value.is_nan() => ".nan".into(),
        Scalar::Float(f64::INFINITY) => ".inf".into(),
        Scalar::Float(f64::NEG_INFINITY) => "-.inf".into(),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "keys have the precision of 32 bits"
        )]
        Scalar::Float(value) => format!("{}", value as f32),
        Scalar::Uint(value) => {
            return Err(format!(
                "unsupported map key of type: uint64, key: 0x{value:x}, value: "
            ));
        }
        Scalar::Null => {
            return Err("unsupported map key of type: %!s(<nil>), key: <nil>, value: ".into());
        }
        Scalar::Merge => "<<".into(),
    })
}

/// A key as `%#v` prints it.
fn shown(key: &Scalar) -> String {
    match key {
        Scalar::String(text) => quote(text),
        Scalar::Int(value) => value.to_string(),
        Scalar::Uint(value) => format!("0x{value:x}"),
        Scalar::Bool(it) => it.to_string(),
        Scalar::Float(value) => value.to_string(),
        Scalar::Null => "interface {}(nil)".into(),
        Scalar::Merge => quote("<<"),
    }
}
