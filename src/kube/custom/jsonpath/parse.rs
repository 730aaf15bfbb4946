//! Reading paths.

use super::{Node, Slice};

type Steps = Vec<Node>;

/// Reads a text in which actions stand in braces.
pub(super) fn template(text: &str) -> Result<Steps, String> {
    let mut parser = Parser { text, at: 0 };
    let mut nodes = Vec::new();
    while let Some(before) = parser.until_brace() {
        if !before.is_empty() {
            nodes.push(Node::Text(before.to_owned()));
        }
        nodes.push(Node::Steps(parser.action()?));
    }
    let rest = parser.rest();
    if !rest.is_empty() {
        nodes.push(Node::Text(rest.to_owned()));
    }
    Ok(nodes)
}

/// Reads what stands inside of brackets as an action of its own.
fn action(text: &str) -> Result<Steps, String> {
    match template(&format!("{{{text}}}"))?.into_iter().next() {
        Some(Node::Steps(steps)) => Ok(steps),
        _ => Ok(Vec::new()),
    }
}

struct Parser<'t> {
    text: &'t str,
    /// In bytes, always between characters.
    at: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn since(&self, start: usize) -> &'t str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn take(&mut self, prefix: &str) -> bool {
        let is = self.rest().starts_with(prefix);
        if is {
            self.at += prefix.len();
        }
        is
    }

    /// The text before the next brace, which is passed; none if there is no brace.
    fn until_brace(&mut self) -> Option<&'t str> {
        let (before, _) = self.rest().split_once('{')?;
        self.at += before.len() + 1;
        Some(before)
    }

    /// The steps up to the closing brace.
    fn action(&mut self) -> Result<Steps, String> {
        let mut steps = Vec::new();
        loop {
            if self.take("}") {
                return Ok(steps);
            }
            if self.take("[?(") {
                steps.push(self.filter()?);
                continue;
            }
            if self.take("..") {
                if matches!(steps.last(), Some(Node::Recursive)) {
                    return Err("invalid multiple recursive descent".into());
                }
                steps.push(Node::Recursive);
                if self.peek().is_some_and(is_word) {
                    steps.push(self.field());
                }
                continue;
            }
            let start = self.at;
            match self.next() {
                None | Some('\r' | '\n') => return Err("unclosed action".into()),
                Some(' ' | '@' | '$') => {}
                Some('[') => self.array(start, &mut steps)?,
                Some(quote @ ('"' | '\'')) => steps.push(self.quoted(start, quote)?),
                Some('.') => steps.push(self.field()),
                Some(sign) if matches!(sign, '+' | '-') || is_digit(sign) => {
                    steps.push(self.number(start)?);
                }
                Some(letter) if is_word(letter) => steps.push(self.word(start)),
                Some(other) => {
                    let code = u32::from(other);
                    return Err(format!(
                        "unrecognized character in action: U+{code:04X} '{other}'"
                    ));
                }
            }
        }
    }

    /// A name up to what ends it; a backslash takes away the next character's meaning.
    fn field(&mut self) -> Node {
        let start = self.at;
        while let Some(next) = self.peek() {
            if next == '\\' {
                self.next();
                self.next();
            } else if ends_word(next) {
                break;
            } else {
                self.next();
            }
        }
        match self.since(start) {
            "*" => Node::Wildcard,
            name => Node::Field(name.replace('\\', "")),
        }
    }

    fn word(&mut self, start: usize) -> Node {
        while self.peek().is_some_and(|next| !ends_word(next)) {
            self.next();
        }
        match self.since(start) {
            "true" => Node::Bool(true),
            "false" => Node::Bool(false),
            other => Node::Word(other.to_owned()),
        }
    }

    fn number(&mut self, start: usize) -> Result<Node, String> {
        while self
            .peek()
            .is_some_and(|next| next == '.' || is_digit(next))
        {
            self.next();
        }
        let text = self.since(start);
        if let Ok(whole) = text.parse() {
            return Ok(Node::Int(whole));
        }
        let float = text.parse().map(Node::Float);
        float.map_err(|_| format!("cannot parse number {text}"))
    }

    fn quoted(&mut self, start: usize, quote: char) -> Result<Node, String> {
        let mut before = quote;
        loop {
            match self.next() {
                None | Some('\n') => return Err("unterminated quoted string".into()),
                Some(end) if end == quote && before != '\\' => break,
                Some(other) => before = other,
            }
        }
        let text = self.since(start);
        let inner = text.get(1..text.len() - 1).unwrap_or_default();
        let inner = unquote(inner, quote);
        let inner = inner.ok_or(format!("unquote string {text} error invalid syntax"))?;
        Ok(Node::Text(inner))
    }

    fn array(&mut self, start: usize, steps: &mut Steps) -> Result<(), String> {
        loop {
            match self.next() {
                None | Some('\n') => return Err("unterminated array".into()),
                Some(']') => break,
                Some(_) => {}
            }
        }
        let text = self.since(start);
        let text = text.get(1..text.len() - 1).unwrap_or_default();
        let text = if text == "*" { ":" } else { text };
        if text.contains(',') {
            let parts = text.split(',');
            let union = parts.map(|part| action(&format!("[{}]", part.trim_matches(' '))));
            steps.push(Node::Union(union.collect::<Result<_, _>>()?));
            return Ok(());
        }
        let key = text
            .strip_prefix('\'')
            .and_then(|key| key.strip_suffix('\''));
        if let Some(key) = key.filter(|key| !key.contains('\'')) {
            steps.extend(action(&format!(".{key}"))?);
            return Ok(());
        }
        steps.push(Node::Slice(slice(text)?));
        Ok(())
    }

    fn filter(&mut self) -> Result<Node, String> {
        let start = self.at;
        let (mut quote, mut closed) = (None, false);
        let mut before = '(';
        loop {
            let next = self.next();
            match next {
                None | Some('\n') => return Err("unterminated filter".into()),
                Some(mark @ ('"' | '\'')) => match quote {
                    None => quote = Some(mark),
                    Some(open) if open == mark && before != '\\' => closed = true,
                    Some(_) => {}
                },
                Some(')') if quote.is_some() == closed => break,
                Some(_) => {}
            }
            before = next.unwrap_or_default();
        }
        let text = self.since(start);
        let text = text.strip_suffix(')').unwrap_or(text);
        if self.next() != Some(']') {
            return Err("unclosed array expect ]".into());
        }
        let compared = text.find(['!', '<', '>', '=']).filter(|at| *at > 0);
        let Some(compared) = compared else {
            let left = action(text)?;
            return Ok(Node::Filter {
                left,
                compare: None,
            });
        };
        let (left, rest) = text.split_at(compared);
        let right = rest.trim_start_matches(['!', '<', '>', '=']);
        let operator = rest.strip_suffix(right).unwrap_or_default();
        if right.is_empty() {
            let left = action(text)?;
            return Ok(Node::Filter {
                left,
                compare: None,
            });
        }
        Ok(Node::Filter {
            left: action(left)?,
            compare: Some((operator.to_owned(), action(right)?)),
        })
    }
}

/// Reads `from:to:step`, of which each may be missing.
fn slice(text: &str) -> Result<Slice, String> {
    let invalid = || format!("invalid array index {text}");
    let parts: Vec<&str> = text.split(':').collect();
    let well_formed = parts.len() <= 3
        && parts.iter().all(|part| {
            let digits = part.strip_prefix('-').unwrap_or(part);
            digits.bytes().all(|byte| byte.is_ascii_digit())
        });
    if !well_formed {
        return Err(invalid());
    }
    let number = |at: usize| -> Result<Option<i64>, String> {
        match parts.get(at) {
            None | Some(&"") => Ok(None),
            Some(part) => {
                let number = part.parse().map(Some);
                number.map_err(|_| format!("array index {part} is not a number"))
            }
        }
    };
    let (from, step) = (number(0)?, number(2)?);
    let one = parts.len() == 1;
    let to = match one {
        true => Some(from.unwrap_or(0).saturating_add(1)),
        false => number(1)?,
    };
    Ok(Slice {
        from,
        to,
        one,
        step,
    })
}

/// Takes Go's escapes out of a quoted text.
fn unquote(text: &str, quote: char) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(one) = chars.next() {
        if one == quote {
            return None;
        }
        if one != '\\' {
            plain.push(one);
            continue;
        }
        let code = |digits: usize, chars: &mut std::str::Chars<'_>| {
            let hex = chars.as_str().get(..digits)?;
            *chars = chars.as_str().get(digits..)?.chars();
            char::from_u32(u32::from_str_radix(hex, 16).ok()?)
        };
        plain.push(match chars.next()? {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '\\' => '\\',
            'x' => code(2, &mut chars)?,
            'u' => code(4, &mut chars)?,
            'U' => code(8, &mut chars)?,
            mark if mark == quote => mark,
            _ => return None,
        });
    }
    Some(plain)
}

fn is_digit(one: char) -> bool {
    one.is_ascii_digit()
}

fn is_word(one: char) -> bool {
    one == '_' || one.is_alphanumeric()
}

fn ends_word(one: char) -> bool {
    matches!(
        one,
        ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}'
    )
}
