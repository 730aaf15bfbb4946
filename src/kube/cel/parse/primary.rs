//! Values: literals, names, calls by name, lists, maps and messages.

use super::super::ast::{Entry, Field, Item, Kind, Literal};
use super::super::token::Token;
use super::super::unescape::unescape;
use super::{Parser, RESERVED, Rule, Stop, Tall};

impl Parser {
    pub(super) fn primary(&mut self) -> Result<Tall, Stop> {
        self.enter(Rule::Primary)?;
        let tall = self.primary_of()?;
        self.leave(Rule::Primary, 1);
        Ok(tall)
    }

    fn primary_of(&mut self) -> Result<Tall, Stop> {
        let at = self.place();
        let token = self.peek().clone();
        match token {
            Token::Sign("(") => {
                self.at += 1;
                let inner = self.expr()?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Sign("[") => self.list(),
            Token::Sign("{") => self.map(),
            Token::Sign("-") => {
                self.at += 1;
                self.literal(at, "-")
            }
            Token::Sign(".") | Token::Ident(_) => self.name(),
            _ => self.literal(at, ""),
        }
    }

    /// A name, a call by name, or a message.
    fn name(&mut self) -> Result<Tall, Stop> {
        let leading = self.sign(".").is_some();
        let at = self.place();
        let Token::Ident(id) = self.peek().clone() else {
            return Err(self.unexpected("IDENTIFIER"));
        };
        if let Some(found) = self.message(leading)? {
            return Ok(found);
        }
        self.at += 1;
        if RESERVED.contains(&id.as_str()) {
            self.issue(at, format!("reserved identifier: {id}"));
            if self.sign("(").is_some() {
                self.args()?;
            }
            let expr = self.node(at, Kind::Broken);
            return Ok(Tall { expr, height: 0 });
        }
        let name = if leading { format!(".{id}") } else { id };
        if let Some(open) = self.sign("(") {
            let (args, height) = self.args()?;
            let expr = self.call(open, name, None, args)?;
            return Ok(Tall { expr, height });
        }
        let expr = self.node(at, Kind::Ident(name));
        Ok(Tall { expr, height: 0 })
    }

    /// `a.b.C{field: value}`, if that is what follows.
    fn message(&mut self, leading: bool) -> Result<Option<Tall>, Stop> {
        let start = self.at;
        let mut name = String::from(if leading { "." } else { "" });
        while let Token::Ident(part) = self.peek().clone() {
            name.push_str(&part);
            self.at += 1;
            if self.sign(".").is_none() {
                break;
            }
            name.push('.');
        }
        let Some(at) = self.sign("{").filter(|_| !name.ends_with('.')) else {
            self.at = start;
            return Ok(None);
        };
        let mut fields = Vec::new();
        let mut height = 0;
        while self.sign("}").is_none() {
            let optional = self.sign("?").is_some();
            let Token::Ident(field) = self.peek().clone() else {
                return Err(self.unexpected("{'}', IDENTIFIER}"));
            };
            self.at += 1;
            let colon = self.expect(":")?;
            let value = self.expr()?;
            height = height.max(value.height);
            fields.push(Field {
                id: self.nodes.next(colon),
                name: field,
                value: value.expr,
                optional,
            });
            self.separated("}")?;
        }
        let expr = self.node(at, Kind::Struct { name, fields });
        Ok(Some(Tall { expr, height }))
    }

    /// A comma, or the closing sign without being taken.
    fn separated(&mut self, closing: &str) -> Result<(), Stop> {
        let closes = matches!(self.peek(), Token::Sign(sign) if *sign == closing);
        if closes || self.sign(",").is_some() {
            return Ok(());
        }
        Err(self.unexpected(&format!("{{'{closing}', ','}}")))
    }

    fn list(&mut self) -> Result<Tall, Stop> {
        let at = self.expect("[")?;
        self.indexing = false;
        let mut items = Vec::new();
        let mut height = 0;
        while self.sign("]").is_none() {
            let optional = self.sign("?").is_some();
            let value = self.expr()?;
            height = height.max(value.height);
            items.push(Item {
                value: value.expr,
                optional,
            });
            self.separated("]")?;
        }
        let expr = self.node(at, Kind::List(items));
        Ok(Tall { expr, height })
    }

    fn map(&mut self) -> Result<Tall, Stop> {
        let at = self.expect("{")?;
        let mut entries = Vec::new();
        let mut height = 0;
        while self.sign("}").is_none() {
            let optional = self.sign("?").is_some();
            let key = self.expr()?;
            self.expect(":")?;
            let value = self.expr()?;
            height = height.max(key.height).max(value.height);
            entries.push(Entry {
                key: key.expr,
                value: value.expr,
                optional,
            });
            self.separated("}")?;
        }
        let expr = self.node(at, Kind::Map(entries));
        Ok(Tall { expr, height })
    }

    fn literal(&mut self, at: usize, sign: &str) -> Result<Tall, Stop> {
        let literal = match self.peek().clone() {
            Token::Int(text) => self.number(sign, &text),
            Token::Uint(text) if sign.is_empty() => {
                let digits = text.trim_end_matches('u');
                let parsed = match digits.strip_prefix("0x") {
                    Some(hex) => u64::from_str_radix(hex, 16),
                    None => digits.parse(),
                };
                parsed
                    .map(Literal::Uint)
                    .map_err(|_| "invalid uint literal".to_owned())
            }
            Token::Double(text) => {
                let parsed: Option<f64> = format!("{sign}{text}").parse().ok();
                let finite = parsed.filter(|value| value.is_finite());
                finite
                    .map(Literal::Double)
                    .ok_or_else(|| "invalid double literal".to_owned())
            }
            Token::String(text) if sign.is_empty() => unescape(&text, false)
                .map(|bytes| Literal::String(String::from_utf8_lossy(&bytes).into_owned()))
                .map_err(str::to_owned),
            Token::Bytes(text) if sign.is_empty() => {
                unescape(text.get(1..).unwrap_or_default(), true)
                    .map(Literal::Bytes)
                    .map_err(str::to_owned)
            }
            Token::Word("true") if sign.is_empty() => Ok(Literal::Bool(true)),
            Token::Word("false") if sign.is_empty() => Ok(Literal::Bool(false)),
            Token::Word("null") if sign.is_empty() => Ok(Literal::Null),
            _ => return self.no_primary(),
        };
        self.at += 1;
        let kind = match literal {
            Ok(literal) => Kind::Literal(literal),
            Err(message) => {
                self.issue(at, message);
                Kind::Broken
            }
        };
        let expr = self.node(at, kind);
        Ok(Tall { expr, height: 0 })
    }

    /// Something that begins no value: it is left out if what follows does.
    fn no_primary(&mut self) -> Result<Tall, Stop> {
        let optional = match self
            .at
            .checked_sub(1)
            .and_then(|before| self.tokens.get(before))
        {
            Some(before) if before.token == Token::Sign("[") && self.indexing => " '?',",
            _ => "",
        };
        let wanted = format!(
            "{{'[', '{{', '(', '.', '-', '!',{optional} 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, \
             BYTES, IDENTIFIER}}"
        );
        let goes_on = match self.after() {
            Token::Word(word) => *word != "in",
            Token::Sign(sign) => matches!(*sign, "[" | "{" | "(" | "." | "-" | "!"),
            Token::End => false,
            _ => true,
        };
        if !goes_on || *self.peek() == Token::End {
            return Err(self.unexpected(&wanted));
        }
        self.told("extraneous", &wanted);
        self.at += 1;
        self.primary_of()
    }

    fn number(&self, sign: &str, text: &str) -> Result<Literal, String> {
        let parsed = match text.strip_prefix("0x") {
            Some(hex) => i64::from_str_radix(&format!("{sign}{hex}"), 16),
            None => format!("{sign}{text}").parse(),
        };
        parsed
            .map(Literal::Int)
            .map_err(|_| "invalid int literal".to_owned())
    }
}
