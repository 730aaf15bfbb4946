//! The text form of label selectors: `a=b, c in (d,e), !f, g>1`.
//!
//! The grammar is that of apimachinery's `labels.Parse`, with its words for what is wrong and its oddities: `in` and `notin`
//! may be keys, a value may be left out, an empty place in a list is the empty value. Work and memory are linear in the
//! length of the text, which the size of a request's head bounds.

use std::collections::BTreeSet;

use super::labels::{Operator, Requirement};
use super::names;
use crate::kube::field::{FieldError, quoted};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    End,
    Close,
    Comma,
    Not,
    Operator(Operator),
    Identifier,
    Open,
}

/// # Errors
/// The text of the 400 answer.
pub(super) fn requirements(text: &str) -> Result<Vec<Requirement>, String> {
    let mut parser = Parser::new(text);
    let mut requirements = Vec::new();
    loop {
        let (token, found) = parser.peek(Context::Value);
        match token {
            Token::Identifier | Token::Not => {
                let read = parser.requirement();
                let read = read.map_err(|why| format!("unable to parse requirement: {why}"))?;
                requirements.push(read);
            }
            Token::End => return Ok(requirements),
            _ => {
                return Err(format!(
                    "found '{found}', expected: !, identifier, or 'end of string'"
                ));
            }
        }
        match parser.next(Context::Value) {
            (Token::End, _) => return Ok(requirements),
            (Token::Comma, _) => match parser.peek(Context::Value) {
                (Token::Identifier | Token::Not, _) => {}
                (_, found) => {
                    return Err(format!("found '{found}', expected: identifier after ','"));
                }
            },
            (_, found) => {
                return Err(format!("found '{found}', expected: ',' or 'end of string'"));
            }
        }
    }
}

/// Whether `in` and `notin` are words of the grammar or names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Context {
    Operator,
    Value,
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    ahead: Option<(Token, &'t str)>,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            lexer: Lexer { rest: text },
            ahead: None,
        }
    }

    fn peek(&mut self, context: Context) -> (Token, &'t str) {
        let next = match self.ahead {
            Some(next) => next,
            None => self.lexer.token(),
        };
        self.ahead = Some(next);
        match next {
            (Token::Operator(Operator::In | Operator::NotIn), word)
                if context == Context::Value =>
            {
                (Token::Identifier, word)
            }
            other => other,
        }
    }

    fn next(&mut self, context: Context) -> (Token, &'t str) {
        let next = self.peek(context);
        self.ahead = None;
        next
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let (mut token, mut key) = self.next(Context::Value);
        let negated = token == Token::Not;
        if negated {
            (token, key) = self.next(Context::Value);
        }
        if token != Token::Identifier {
            return Err(format!("found '{key}', expected: identifier"));
        }
        let problems = names::key_problems(key);
        if !problems.is_empty() {
            let error = FieldError::invalid("<nil>", quoted(key), problems.join("; "));
            return Err(error.to_string());
        }
        if negated {
            return Requirement::new(key, Operator::DoesNotExist, Vec::new());
        }
        if let (Token::End | Token::Comma, _) = self.peek(Context::Value) {
            return Requirement::new(key, Operator::Exists, Vec::new());
        }
        let operator = match self.next(Context::Operator) {
            (Token::Operator(operator), _) => operator,
            (_, found) => {
                return Err(format!(
                    "found '{found}', expected: in, notin, =, ==, !=, gt, lt"
                ));
            }
        };
        let values = match operator {
            Operator::In | Operator::NotIn => self.values()?.into_iter().collect(),
            _ => vec![self.value()?],
        };
        let values = values.into_iter().map(str::to_owned).collect();
        Requirement::new(key, operator, values)
    }

    fn value(&mut self) -> Result<&'t str, String> {
        if let (Token::End | Token::Comma, _) = self.peek(Context::Value) {
            return Ok("");
        }
        match self.next(Context::Value) {
            (Token::Identifier, value) => Ok(value),
            (_, found) => Err(format!("found '{found}', expected: identifier")),
        }
    }

    fn values(&mut self) -> Result<BTreeSet<&'t str>, String> {
        let (token, found) = self.next(Context::Value);
        if token != Token::Open {
            return Err(format!("found '{found}' expected: '('"));
        }
        match self.peek(Context::Value) {
            (Token::Identifier | Token::Comma, _) => {
                let values = self.listed()?;
                // `listed` stops before the parenthesis.
                self.next(Context::Value);
                Ok(values)
            }
            (Token::Close, _) => {
                self.next(Context::Value);
                Ok(BTreeSet::from([""]))
            }
            (_, found) => Err(format!("found '{found}', expected: ',', ')' or identifier")),
        }
    }

    fn listed(&mut self) -> Result<BTreeSet<&'t str>, String> {
        let mut values = BTreeSet::new();
        loop {
            match self.next(Context::Value) {
                (Token::Identifier, value) => {
                    values.insert(value);
                    match self.peek(Context::Value) {
                        (Token::Comma, _) => {}
                        (Token::Close, _) => return Ok(values),
                        (_, found) => {
                            return Err(format!("found '{found}', expected: ',' or ')'"));
                        }
                    }
                }
                (Token::Comma, _) => {
                    if values.is_empty() {
                        values.insert("");
                    }
                    match self.peek(Context::Value) {
                        (Token::Close, _) => {
                            values.insert("");
                            return Ok(values);
                        }
                        (Token::Comma, _) => {
                            values.insert("");
                        }
                        _ => {}
                    }
                }
                (_, found) => return Err(format!("found '{found}', expected: ',', or identifier")),
            }
        }
    }
}

struct Lexer<'t> {
    rest: &'t str,
}

/// The longest come first.
const SYMBOLS: [(&str, Token); 9] = [
    ("==", Token::Operator(Operator::DoubleEquals)),
    ("!=", Token::Operator(Operator::NotEquals)),
    ("=", Token::Operator(Operator::Equals)),
    ("!", Token::Not),
    (">", Token::Operator(Operator::GreaterThan)),
    ("<", Token::Operator(Operator::LessThan)),
    (",", Token::Comma),
    ("(", Token::Open),
    (")", Token::Close),
];

impl<'t> Lexer<'t> {
    fn token(&mut self) -> (Token, &'t str) {
        let blank = |one: char| matches!(one, ' ' | '\t' | '\r' | '\n');
        self.rest = self.rest.trim_start_matches(blank);
        for (symbol, token) in SYMBOLS {
            if self.rest.starts_with(symbol) {
                let symbol = self.take(symbol.len());
                self.skip_nul();
                return (token, symbol);
            }
        }
        let special = |one: char| matches!(one, '=' | '!' | '(' | ')' | ',' | '>' | '<');
        // A NUL ends a word, and the text where a word should begin, as in Go's scanner.
        let ends = |one: char| blank(one) || special(one) || one == '\0';
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let word = self.take(end);
        if !word.is_empty() {
            self.skip_nul();
        }
        match word {
            "" => (Token::End, ""),
            "in" => (Token::Operator(Operator::In), "in"),
            "notin" => (Token::Operator(Operator::NotIn), "notin"),
            word => (Token::Identifier, word),
        }
    }

    fn skip_nul(&mut self) {
        self.rest = self.rest.strip_prefix('\0').unwrap_or(self.rest);
    }

    fn take(&mut self, length: usize) -> &'t str {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }
}
