//! YAML as go-yaml v2 writes it: keys in natural order, lists at the indent of their key, long lines folded at 80.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::yaml;

/// Writes a tree as the server answers it to `application/yaml`.
pub fn encode_yaml(value: &Value) -> String {
    let mut writer = Writer {
        text: String::new(),
        column: 0,
    };
    match value {
        Value::Object(fields) if !fields.is_empty() => writer.map(fields, 0, true),
        Value::Array(items) if !items.is_empty() => writer.list(items, 0, true),
        other => writer.scalar(other, 0),
    }
    writer.text.push('\n');
    writer.text
}

/// Where the release's encoder breaks lines.
const WIDTH: usize = 80;
/// Longer keys are written behind a question mark.
const MAX_SIMPLE_KEY: usize = 128;
const INDENT: usize = 2;

struct Writer {
    text: String,
    column: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

impl Writer {
    fn put(&mut self, one: char) {
        self.text.push(one);
        self.column += 1;
    }

    fn write(&mut self, text: &str) {
        self.text.push_str(text);
        self.column += text.chars().count();
    }

    fn line(&mut self, indent: usize) {
        self.text.push('\n');
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.column = indent;
    }

    /// `inline`: the first entry goes on the line that has begun.
    fn map(&mut self, fields: &Map<String, Value>, indent: usize, inline: bool) {
        let mut entries: Vec<_> = fields.iter().collect();
        entries.sort_by(|(one, _), (other, _)| natural(one, other));
        for (at, (key, value)) in entries.into_iter().enumerate() {
            if at > 0 || !inline {
                self.line(indent);
            }
            let simple = key.len() <= MAX_SIMPLE_KEY && !key.chars().any(is_break);
            if simple {
                self.string(key, indent, true);
                self.put(':');
            } else {
                self.write("? ");
                self.string(key, indent + INDENT, false);
                self.line(indent);
                self.put(':');
            }
            match value {
                Value::Object(inner) if !inner.is_empty() => {
                    let inline = !simple;
                    if inline {
                        self.put(' ');
                    }
                    self.map(inner, indent + INDENT, inline);
                }
                Value::Array(items) if !items.is_empty() => {
                    if simple {
                        self.list(items, indent, false);
                    } else {
                        self.put(' ');
                        self.list(items, indent + INDENT, true);
                    }
                }
                other => {
                    self.put(' ');
                    self.scalar(other, indent + INDENT);
                }
            }
        }
    }

    fn list(&mut self, items: &[Value], indent: usize, inline: bool) {
        for (at, item) in items.iter().enumerate() {
            if at > 0 || !inline {
                self.line(indent);
            }
            self.write("- ");
            match item {
                Value::Object(fields) if !fields.is_empty() => {
                    self.map(fields, indent + INDENT, true)
                }
                Value::Array(items) if !items.is_empty() => self.list(items, indent + INDENT, true),
                other => self.scalar(other, indent + INDENT),
            }
        }
    }

    fn scalar(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Null => self.write("null"),
            Value::Bool(it) => self.write(if *it { "true" } else { "false" }),
            Value::Number(number) => self.write(&plain_number(number)),
            Value::String(text) => self.string(text, indent, false),
            Value::Array(_) => self.write("[]"),
            Value::Object(_) => self.write("{}"),
        }
    }

    fn string(&mut self, text: &str, indent: usize, key: bool) {
        match style(text, key) {
            Style::Plain => self.folded(text, indent, key, false),
            Style::Single => {
                self.put('\'');
                self.folded(text, indent, key, true);
                self.put('\'');
            }
            Style::Double => self.double(text, indent, key),
            Style::Literal => self.literal(text, indent),
        }
    }

    /// Plain text or the inside of single quotes: neither holds line breaks.
    fn folded(&mut self, text: &str, indent: usize, key: bool, quoted: bool) {
        let mut spaces = false;
        let mut rest = text.char_indices().peekable();
        while let Some((at, one)) = rest.next() {
            let next_space = matches!(rest.peek(), Some((_, ' ')));
            let inside = !quoted || (at > 0 && at + 1 < text.len());
            if one == ' ' && !key && !spaces && self.column > WIDTH && inside && !next_space {
                self.line(indent);
            } else {
                if one == '\'' && quoted {
                    self.put('\'');
                }
                self.put(one);
            }
            spaces = one == ' ';
        }
    }

    fn double(&mut self, text: &str, indent: usize, key: bool) {
        self.put('"');
        let mut spaces = false;
        let mut rest = text.char_indices().peekable();
        while let Some((at, one)) = rest.next() {
            if !is_printable(one) || is_break(one) || matches!(one, '"' | '\\') {
                let escaped = escape(one);
                self.write(&escaped);
                spaces = false;
            } else if one == ' ' {
                let inside = at > 0 && at + 1 < text.len();
                if !key && !spaces && self.column > WIDTH && inside {
                    self.line(indent);
                    if matches!(rest.peek(), Some((_, ' '))) {
                        self.put('\\');
                    }
                } else {
                    self.put(one);
                }
                spaces = true;
            } else {
                self.put(one);
                spaces = false;
            }
        }
        self.put('"');
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.put('|');
        if text.starts_with([' ', '\n', '\r']) {
            self.put('2');
        }
        let mut last = text.chars().rev();
        match (last.next().is_some_and(is_break), last.next()) {
            (false, _) => self.put('-'),
            (true, Some(before)) if !is_break(before) => {}
            (true, _) => self.put('+'),
        }
        // A line break stands before every line and not behind the last.
        let lines = text.strip_suffix('\n').unwrap_or(text);
        for line in lines.split('\n') {
            if line.is_empty() {
                self.text.push('\n');
                self.column = 0;
            } else {
                self.line(indent);
                self.write(line);
            }
        }
    }
}

/// A number as YAML has it: floats in Go's shortest form.
fn plain_number(number: &serde_json::Number) -> String {
    if number.is_i64() || number.is_u64() {
        return number.to_string();
    }
    let value = number.as_f64().unwrap_or(0.0);
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..21).contains(&exponent) {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// How the emitter writes a string, given what plain text would be taken for.
fn style(text: &str, key: bool) -> Style {
    let seen = Analysis::of(text);
    if text.contains('\n') {
        return if seen.block && !key {
            Style::Literal
        } else {
            Style::Double
        };
    }
    if !yaml::is_plain_string(text) {
        return Style::Double;
    }
    match (seen.plain, seen.single) {
        (true, _) => Style::Plain,
        (false, true) => Style::Single,
        (false, false) => Style::Double,
    }
}

/// Which styles a text can have.
struct Analysis {
    plain: bool,
    single: bool,
    block: bool,
}

impl Analysis {
    fn of(text: &str) -> Self {
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let (mut breaks, mut special) = (false, false);
        let (mut break_space, mut space_break) = (false, false);
        let mut before: Option<char> = None;
        let mut rest = text.chars().peekable();
        while let Some(one) = rest.next() {
            let blank_follows = rest.peek().is_none_or(|next| matches!(next, ' ' | '\t'));
            let blank_before =
                before.is_none_or(|before| matches!(before, ' ' | '\t') || is_break(before));
            indicators |= match one {
                ':' => blank_follows,
                '#' => blank_before,
                '-' | '?' if before.is_none() => blank_follows,
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
                | '@' | '`' => before.is_none(),
                _ => false,
            };
            special |= !is_printable(one);
            break_space |= one == ' ' && before.is_some_and(is_break);
            space_break |= is_break(one) && before == Some(' ');
            breaks |= is_break(one);
            before = Some(one);
        }
        let edge = |one: Option<char>| one.is_some_and(|one| one == ' ' || is_break(one));
        let edges = edge(text.chars().next()) || edge(before);
        let spoilt = space_break || special;
        Self {
            plain: !(indicators || breaks || edges || break_space || spoilt),
            single: !(break_space || spoilt),
            block: !text.is_empty() && before != Some(' ') && !spoilt,
        }
    }
}

fn is_break(one: char) -> bool {
    matches!(one, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What go-yaml leaves as it is: nothing beyond U+FFFF, no tab.
fn is_printable(one: char) -> bool {
    matches!(one, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

fn escape(one: char) -> String {
    let short = match one {
        '\0' => "\\0",
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\t' => "\\t",
        '\n' => "\\n",
        '\u{b}' => "\\v",
        '\u{c}' => "\\f",
        '\r' => "\\r",
        '\u{1b}' => "\\e",
        '"' => "\\\"",
        '\\' => "\\\\",
        '\u{85}' => "\\N",
        '\u{2028}' => "\\L",
        '\u{2029}' => "\\P",
        _ => "",
    };
    match u32::from(one) {
        _ if !short.is_empty() => short.into(),
        code @ 0..=0xff => format!("\\x{code:02X}"),
        code @ 0x100..=0xffff => format!("\\u{code:04X}"),
        code => format!("\\U{code:08X}"),
    }
}

/// Numbers in keys count as numbers, letters come behind everything else.
fn natural(one: &str, other: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let Some(at) = a.iter().zip(&b).position(|(a, b)| a != b) else {
        return a.len().cmp(&b.len());
    };
    let (Some(&x), Some(&y)) = (a.get(at), b.get(at)) else {
        return Ordering::Equal;
    };
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => return x.cmp(&y),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let before = a.get(..at).unwrap_or_default().iter().rev();
    let led = (x == '0' || y == '0')
        && before
            .take_while(|one| one.is_ascii_digit())
            .any(|one| *one != '0');
    let (an, ai) = run(&a, at, led);
    let (bn, bi) = run(&b, at, led);
    an.cmp(&bn).then(ai.cmp(&bi)).then(x.cmp(&y))
}

/// The number that begins at a place, and where it ends.
fn run(text: &[char], from: usize, led: bool) -> (i64, usize) {
    let digits = text.get(from..).unwrap_or_default().iter();
    let digits: Vec<_> = digits.map_while(|one| one.to_digit(10)).collect();
    let number = digits.iter().fold(i64::from(led), |number, digit| {
        number.wrapping_mul(10).wrapping_add(i64::from(*digit))
    });
    (number, from + digits.len())
}
