//! Tokens of the language. Grammar: <https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax>.

use super::source::{Issue, Source};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Ident(String),
    /// A name in back-quotes, which may have `.`, `-`, `/` and blanks.
    Escaped(String),
    Int(String),
    Uint(String),
    Double(String),
    /// With its quotes and prefix.
    String(String),
    Bytes(String),
    /// `true`, `false`, `null` and `in`.
    Word(&'static str),
    Sign(&'static str),
    End,
}

/// A token and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) at: usize,
}

impl Token {
    /// As syntax errors print it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Ident(text)
            | Self::Int(text)
            | Self::Uint(text)
            | Self::Double(text)
            | Self::String(text)
            | Self::Bytes(text) => text.clone(),
            Self::Escaped(text) => format!("`{text}`"),
            Self::Word(text) | Self::Sign(text) => (*text).to_owned(),
            Self::End => "<EOF>".into(),
        }
    }
}

/// Longest first.
const SIGNS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "[", "]", "{", "}", "(", ")", ".", ",", "-", "!",
    "?", ":", "+", "*", "/", "%",
];

struct Lexer<'a> {
    chars: &'a [char],
    at: usize,
    issues: Vec<Issue>,
}

/// Cuts a text into tokens; the last is [`Token::End`].
pub(super) fn tokens(source: &Source) -> (Vec<Placed>, Vec<Issue>) {
    let mut lexer = Lexer {
        chars: &source.chars,
        at: 0,
        issues: Vec::new(),
    };
    let mut found = Vec::new();
    loop {
        lexer.blanks();
        let at = lexer.at;
        if at >= lexer.chars.len() {
            found.push(Placed {
                token: Token::End,
                at,
            });
            return (found, lexer.issues);
        }
        match lexer.token() {
            Some(token) => found.push(Placed { token, at }),
            None => lexer.unknown(at),
        }
    }
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn starts(&self, text: &str) -> bool {
        text.chars()
            .enumerate()
            .all(|(ahead, c)| self.peek(ahead) == Some(c))
    }

    fn take(&mut self, count: usize) -> String {
        let end = (self.at + count).min(self.chars.len());
        let text = self.chars.get(self.at..end).unwrap_or_default();
        self.at = end;
        text.iter().collect()
    }

    fn blanks(&mut self) {
        while let Some(next) = self.peek(0) {
            if matches!(next, '\t' | ' ' | '\r' | '\n' | '\u{c}') {
                self.at += 1;
            } else if self.starts("//") {
                while self.peek(0).is_some_and(|c| c != '\n') {
                    self.at += 1;
                }
            } else {
                break;
            }
        }
    }

    fn unknown(&mut self, at: usize) {
        // A quote that nothing closes takes the rest of the line with it.
        let quoted = self.peek(0).is_some_and(|c| matches!(c, '"' | '\''));
        let rest = self.chars.get(at..).unwrap_or_default();
        let length = if quoted {
            let mut length = 1;
            loop {
                match rest.get(length) {
                    None | Some('\n' | '\r') => break,
                    Some('\\') => match self.escape(length) {
                        Some(more) => length += more,
                        None => {
                            // Up to the character that makes it no escape.
                            let digits = match rest.get(length + 1) {
                                Some('x' | 'X' | 'u' | 'U') => {
                                    self.run(length + 2, |c| c.is_ascii_hexdigit()) + 1
                                }
                                Some('0'..='3') => {
                                    self.run(length + 2, |c| c.is_digit(8)).min(1) + 1
                                }
                                _ => 0,
                            };
                            length = (length + 2 + digits).min(rest.len());
                            break;
                        }
                    },
                    Some(_) => length += 1,
                }
            }
            length
        } else {
            1
        };
        let text: String = rest.iter().take(length).collect();
        self.at = at + length.max(1);
        let text = text
            .replace('\n', "\\n")
            .replace('\r', "\\r")
            .replace('\t', "\\t");
        self.issues.push(Issue {
            offset: Some(at),
            message: format!("Syntax error: token recognition error at: '{text}'"),
        });
    }

    fn token(&mut self) -> Option<Token> {
        let first = self.peek(0)?;
        if let Some(found) = self.quoted() {
            return Some(found);
        }
        if first.is_ascii_digit()
            || first == '.' && self.peek(1).is_some_and(|c| c.is_ascii_digit())
        {
            return Some(self.number());
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let length = self.run(0, |c| c.is_ascii_alphanumeric() || c == '_');
            let text = self.take(length);
            let word = ["true", "false", "null", "in"]
                .into_iter()
                .find(|word| *word == text);
            return Some(word.map_or(Token::Ident(text), Token::Word));
        }
        if first == '`' {
            let inside =
                |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | ' ');
            let length = self.run(1, inside);
            if length > 0 && self.peek(length + 1) == Some('`') {
                let text = self.take(length + 2);
                return Some(Token::Escaped(text.trim_matches('`').to_owned()));
            }
            return None;
        }
        let sign = SIGNS.into_iter().find(|sign| self.starts(sign))?;
        self.at += sign.len();
        Some(Token::Sign(sign))
    }

    /// How many characters from `from` on are of a kind.
    fn run(&self, from: usize, of: impl Fn(char) -> bool) -> usize {
        let rest = self.chars.get(self.at + from..).unwrap_or_default();
        rest.iter().take_while(|c| of(**c)).count()
    }

    fn number(&mut self) -> Token {
        let digit = |c: char| c.is_ascii_digit();
        if self.starts("0x") {
            let digits = self.run(2, |c| c.is_ascii_hexdigit());
            if digits > 0 {
                let text = self.take(2 + digits);
                return self.unsigned(text);
            }
        }
        let mut length = self.run(0, digit);
        let mut double = false;
        if self.peek(length) == Some('.') {
            let decimals = self.run(length + 1, digit);
            if decimals > 0 {
                length += 1 + decimals;
                double = true;
            }
        }
        if matches!(self.peek(length), Some('e' | 'E')) {
            let sign = usize::from(matches!(self.peek(length + 1), Some('+' | '-')));
            let digits = self.run(length + 1 + sign, digit);
            if digits > 0 {
                length += 1 + sign + digits;
                double = true;
            }
        }
        let text = self.take(length);
        if double {
            return Token::Double(text);
        }
        self.unsigned(text)
    }

    fn unsigned(&mut self, text: String) -> Token {
        if matches!(self.peek(0), Some('u' | 'U')) {
            self.at += 1;
            return Token::Uint(format!("{text}u"));
        }
        Token::Int(text)
    }

    /// A string or bytes literal, if there is a whole one.
    fn quoted(&mut self) -> Option<Token> {
        let mut prefix = 0;
        let bytes = matches!(self.peek(0), Some('b' | 'B'));
        prefix += usize::from(bytes);
        let raw = matches!(self.peek(prefix), Some('r' | 'R'));
        prefix += usize::from(raw);
        let quote = self.peek(prefix).filter(|c| matches!(c, '"' | '\''))?;
        let triple = self.peek(prefix + 1) == Some(quote) && self.peek(prefix + 2) == Some(quote);
        let length = triple
            .then(|| self.closing(prefix + 3, quote, 3, raw))
            .flatten()
            .or_else(|| self.closing(prefix + 1, quote, 1, raw))?;
        let text = self.take(length);
        Some(if bytes {
            Token::Bytes(text)
        } else {
            Token::String(text)
        })
    }

    /// The length of the literal whose inside begins at `from` and that `count` quotes end.
    fn closing(&self, from: usize, quote: char, count: usize, raw: bool) -> Option<usize> {
        let mut ahead = from;
        loop {
            let next = self.peek(ahead)?;
            if (0..count).all(|more| self.peek(ahead + more) == Some(quote)) {
                return Some(ahead + count);
            }
            if count == 1 && matches!(next, '\n' | '\r') {
                return None;
            }
            ahead += if next == '\\' && !raw {
                self.escape(ahead)?
            } else {
                1
            };
        }
    }

    /// The length of an escape sequence, if it is one.
    fn escape(&self, ahead: usize) -> Option<usize> {
        let hex = |count: usize| {
            (0..count).all(|more| {
                self.peek(ahead + 2 + more)
                    .is_some_and(|c| c.is_ascii_hexdigit())
            })
        };
        let octal = |more: usize| self.peek(ahead + more).is_some_and(|c| c.is_digit(8));
        match self.peek(ahead + 1)? {
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '"' | '\'' | '\\' | '?' | '`' => Some(2),
            'x' | 'X' if hex(2) => Some(4),
            'u' if hex(4) => Some(6),
            'U' if hex(8) => Some(10),
            '0'..='3' if octal(2) && octal(3) => Some(4),
            _ => None,
        }
    }
}
