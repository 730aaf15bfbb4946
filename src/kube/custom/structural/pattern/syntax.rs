//! An expression of Go, parsed and written for the `regex` crate.

use std::fmt::Write as _;

use super::class;

/// How deep groups may lie in one another.
const DEPTH: usize = 1000;
/// The highest count of a repetition.
const REPEATS: u32 = 1000;

/// Writes an expression of Go anew.
///
/// # Errors
/// What is wrong with it, as Go says it.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    let mut parser = Parser {
        whole: pattern,
        rest: pattern,
        out: String::with_capacity(pattern.len() + 8),
        groups: vec![Group::default()],
        end: 0,
        repeated: None,
    };
    while !parser.rest.is_empty() {
        parser.step()?;
    }
    if parser.groups.len() > 1 {
        return Err(error("missing closing )", pattern));
    }
    Ok(parser.out)
}

pub(super) fn error(what: &str, at: &str) -> String {
    format!("error parsing regexp: {what}: `{at}`")
}

/// What lies in a text before the part of it that is left.
pub(super) fn before<'a>(text: &'a str, rest: &str) -> &'a str {
    let length = text.len().saturating_sub(rest.len());
    text.get(..length).unwrap_or(text)
}

/// A group that is being read.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    /// How often the last thing in it is repeated at most, with what lies in it; None if there is nothing to repeat.
    last: Option<u32>,
    /// The most of all things in it.
    most: u32,
}

struct Parser<'a> {
    whole: &'a str,
    rest: &'a str,
    out: String,
    /// For the whole, and each group that is open.
    groups: Vec<Group>,
    /// Where the last thing ends in what is written: flags may follow it, and be followed by how often it comes.
    end: usize,
    /// From where on the last repetition was written, if it was the last thing.
    repeated: Option<&'a str>,
}

impl<'a> Parser<'a> {
    fn step(&mut self) -> Result<(), String> {
        let (here, repeated) = (self.rest, self.repeated.take());
        let mut chars = here.chars();
        let Some(first) = chars.next() else {
            return Ok(());
        };
        let behind = chars.as_str();
        self.rest = behind;
        match first {
            '(' if behind.starts_with('?') => return self.perl(here),
            '(' => return self.open("(?:"),
            '|' => {
                self.out.push('|');
                if let Some(group) = self.groups.last_mut() {
                    group.last = None;
                }
            }
            ')' => {
                let inside = self.groups.pop().unwrap_or_default();
                if self.groups.is_empty() {
                    return Err(error("unexpected )", self.whole));
                }
                self.out.push(')');
                self.operand(inside.most.max(1));
            }
            '^' | '$' | '.' => {
                self.out.push(first);
                self.operand(1);
            }
            '[' => {
                self.rest = class::bracketed(here, &mut self.out)?;
                self.operand(1);
            }
            '*' | '+' | '?' => return self.repeat(here, repeated, 1),
            '{' => {
                let Some((counts, behind)) = counts(here) else {
                    self.literal('{');
                    return Ok(());
                };
                self.rest = behind;
                let (least, most) = counts;
                let wrong =
                    least > REPEATS || most.is_some_and(|most| most > REPEATS || most < least);
                if wrong {
                    return Err(error("invalid repeat count", before(here, behind)));
                }
                return self.repeat(here, repeated, most.unwrap_or(least));
            }
            '\\' => return self.escape(here),
            other => self.literal(other),
        }
        Ok(())
    }

    fn operand(&mut self, times: u32) {
        self.end = self.out.len();
        if let Some(group) = self.groups.last_mut() {
            group.last = Some(times);
            group.most = group.most.max(times);
        }
    }

    fn literal(&mut self, one: char) {
        write_literal(one, &mut self.out);
        self.operand(1);
    }

    fn open(&mut self, group: &str) -> Result<(), String> {
        if self.groups.len() > DEPTH {
            return Err(error("expression nests too deeply", self.whole));
        }
        self.out.push_str(group);
        self.groups.push(Group::default());
        Ok(())
    }

    /// Repeats what is there up to so many times; without a bound that counts as once.
    fn repeat(&mut self, here: &'a str, last: Option<&'a str>, times: u32) -> Result<(), String> {
        let as_written = before(here, self.rest);
        let lazy = self.rest.strip_prefix('?');
        self.rest = lazy.unwrap_or(self.rest);
        if let Some(last) = last {
            let twice = before(last, self.rest);
            return Err(error("invalid nested repetition operator", twice));
        }
        let at = before(here, self.rest);
        let Some(inside) = self.groups.last().and_then(|group| group.last) else {
            return Err(error("missing argument to repetition operator", at));
        };
        let times = if times == 0 { 1 } else { times * inside };
        if times > REPEATS {
            return Err(error("invalid repeat count", at));
        }
        // With flags between them a question mark may come to follow another repetition, and is not to make it lazy.
        let as_written = if as_written == "?" {
            "{0,1}"
        } else {
            as_written
        };
        let lazily = if lazy.is_some() { "?" } else { "" };
        let written = format!("{as_written}{lazily}");
        let end = self.end + written.len();
        self.out.insert_str(self.end, &written);
        self.operand(times);
        self.end = end;
        self.repeated = Some(here);
        Ok(())
    }

    /// `(?` and what it begins: flags, or a group with a name, which says nothing here.
    fn perl(&mut self, here: &'a str) -> Result<(), String> {
        let name = here
            .strip_prefix("(?P<")
            .or_else(|| here.strip_prefix("(?<"));
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            let Some((name, behind)) = name.split_once('>') else {
                return Err(error("invalid named capture", here));
            };
            let valid = |one: char| one == '_' || one.is_ascii_alphanumeric();
            if name.is_empty() || !name.chars().all(valid) {
                return Err(error("invalid named capture", before(here, behind)));
            }
            self.rest = behind;
            return self.open("(?:");
        }
        let mut rest = here.get(2..).unwrap_or_default().chars();
        let (mut minus, mut any) = (false, false);
        loop {
            let next = rest.next();
            let behind = rest.as_str();
            match next {
                Some('i' | 'm' | 's' | 'U') => any = true,
                Some('-') if !minus => (minus, any) = (true, false),
                Some(end @ (':' | ')')) if !minus || any => {
                    self.rest = behind;
                    let group = before(here, behind);
                    if end == ':' {
                        return self.open(group);
                    }
                    // No flag at all: nothing is said.
                    if group.len() > 3 {
                        self.out.push_str(group);
                    }
                    return Ok(());
                }
                _ => {
                    let at = before(here, behind);
                    return Err(error("invalid or unsupported Perl syntax", at));
                }
            }
        }
    }

    fn escape(&mut self, here: &'a str) -> Result<(), String> {
        let behind = here.get(2..).unwrap_or_default();
        let empty_width = match here.as_bytes().get(1) {
            Some(b'A') => r"\A",
            Some(b'b') => r"(?-u:\b)",
            Some(b'B') => r"(?-u:\B)",
            Some(b'z') => r"\z",
            Some(b'Q') => {
                let (quoted, rest) = behind.split_once(r"\E").unwrap_or((behind, ""));
                self.rest = rest;
                quoted.chars().for_each(|one| self.literal(one));
                return Ok(());
            }
            _ => "",
        };
        if !empty_width.is_empty() {
            self.out.push_str(empty_width);
            self.rest = behind;
        } else if let Some(rest) = class::unicode(here, &mut self.out)? {
            self.rest = rest;
        } else if let Some((inside, rest)) = class::perl(here) {
            self.rest = rest;
            self.out.push_str(inside);
        } else {
            let (one, rest) = character(here)?;
            self.rest = rest;
            self.literal(one);
            return Ok(());
        }
        self.operand(1);
        Ok(())
    }
}

pub(super) fn write_literal(one: char, out: &mut String) {
    if one.is_ascii_alphanumeric() || !one.is_ascii() {
        out.push(one);
    } else {
        // Writing to a string does not fail.
        let _ = write!(out, "\\x{:02X}", u32::from(one));
    }
}

/// `{2}`, `{2,}`, `{2,3}`; None for what stands for itself.
fn counts(text: &str) -> Option<((u32, Option<u32>), &str)> {
    let (least, rest) = count(text.strip_prefix('{')?)?;
    let (most, rest) = match rest.strip_prefix(',') {
        None => (Some(least), rest),
        Some(rest) if rest.starts_with('}') => (None, rest),
        Some(rest) => {
            let (most, rest) = count(rest)?;
            (Some(most), rest)
        }
    };
    Some(((least, most), rest.strip_prefix('}')?))
}

fn count(text: &str) -> Option<(u32, &str)> {
    let end = text
        .find(|one: char| !one.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some((digits.parse().unwrap_or(u32::MAX), rest))
}

/// The character that an escape stands for, and what is left behind it.
pub(super) fn character(here: &str) -> Result<(char, &str), String> {
    let mut rest = here.chars();
    rest.next();
    let Some(first) = rest.next() else {
        return Err(error("trailing backslash at end of expression", ""));
    };
    let refused = |rest: &str| error("invalid escape sequence", before(here, rest));
    let behind = rest.as_str();
    let one = match first {
        '1'..='7' if !behind.starts_with(|next| matches!(next, '0'..='7')) => {
            return Err(refused(behind));
        }
        '0'..='7' => return Ok(octal(first, behind)),
        'x' => return hexadecimal(here, behind),
        'a' => '\u{7}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        other if other.is_ascii() && !other.is_ascii_alphanumeric() => other,
        _ => return Err(refused(behind)),
    };
    Ok((one, behind))
}

/// Up to three digits.
fn octal(first: char, behind: &str) -> (char, &str) {
    let mut number = first.to_digit(8).unwrap_or_default();
    let mut rest = behind;
    for _ in 0..2 {
        let mut chars = rest.chars();
        let Some(digit) = chars.next().and_then(|next| next.to_digit(8)) else {
            break;
        };
        number = number * 8 + digit;
        rest = chars.as_str();
    }
    (char::from_u32(number).unwrap_or_default(), rest)
}

/// `\x41` or `\x{10FFFF}`.
fn hexadecimal<'a>(here: &'a str, behind: &'a str) -> Result<(char, &'a str), String> {
    let refused = |rest: &str| error("invalid escape sequence", before(here, rest));
    let mut rest = behind.chars();
    let Some(braced) = behind.strip_prefix('{') else {
        let mut number = 0;
        for _ in 0..2 {
            let digit = rest.next().and_then(|next| next.to_digit(16));
            number = number * 16 + digit.ok_or_else(|| refused(rest.as_str()))?;
        }
        return Ok((char::from_u32(number).unwrap_or_default(), rest.as_str()));
    };
    let mut rest = braced.chars();
    let (mut number, mut digits) = (0, 0);
    loop {
        match rest.next() {
            Some('}') if digits > 0 => {
                let one = char::from_u32(number).unwrap_or('\u{fffd}');
                return Ok((one, rest.as_str()));
            }
            next => {
                let digit = next.and_then(|next| next.to_digit(16));
                number = number * 16 + digit.ok_or_else(|| refused(rest.as_str()))?;
                digits += 1;
                if number > 0x0010_ffff {
                    return Err(refused(rest.as_str()));
                }
            }
        }
    }
}
