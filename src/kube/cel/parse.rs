//! From text to tree.
//!
//! The nesting of a text is bounded as cel-go bounds it, so that whoever walks a tree may do so by recursion.

use super::ast::{Expr, Id, Kind, Literal, op};
use super::macros::{self, Expanded};
use super::source::{Issue, Source};
use super::token::{Placed, Token, tokens};

/// How deep one kind of clause may be within itself, and how high a tree may become.
const MAX_DEPTH: usize = 250;
/// Characters of a text.
const MAX_CHARS: usize = 100_000;
/// Nodes of a tree. Macros copy their parts, which a long chain of them would make exponential.
const MAX_NODES: usize = 100_000;

/// Names that the grammar keeps for itself.
const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "package",
    "namespace",
    "null",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// A parsed text.
#[derive(Debug, Clone)]
pub(super) struct Parsed {
    pub(super) root: Expr,
    pub(super) nodes: Nodes,
}

/// Where each node is in the text.
#[derive(Debug, Clone, Default)]
pub(super) struct Nodes {
    offsets: Vec<usize>,
}

impl Nodes {
    pub(super) fn next(&mut self, offset: usize) -> Id {
        let id = Id::try_from(self.offsets.len()).unwrap_or(Id::MAX);
        self.offsets.push(offset);
        id
    }

    pub(super) fn offset(&self, id: Id) -> usize {
        self.offsets.get(id as usize).copied().unwrap_or(0)
    }

    pub(super) fn len(&self) -> usize {
        self.offsets.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.offsets.len() > MAX_NODES
    }
}

/// A clause of the grammar that may be within itself.
#[derive(Clone, Copy)]
enum Rule {
    Expr,
    Or,
    And,
    Relation,
    Calc,
    Unary,
    Member,
    Primary,
}

mod primary;

struct Parser {
    tokens: Vec<Placed>,
    at: usize,
    nodes: Nodes,
    issues: Vec<Issue>,
    depths: [usize; 8],
    /// Whether the last `[` begins an index.
    indexing: bool,
}

/// Parsing goes no further; what is wrong has been noted.
struct Stop;

/// A node and how high the tree below it is before macros are expanded.
struct Tall {
    expr: Expr,
    height: usize,
}

/// # Errors
/// What is wrong, in cel-go's words as far as they do not come from its parser generator's recovery.
pub(super) fn parse(source: &Source) -> Result<Parsed, Vec<Issue>> {
    let length = source.chars.len();
    if length > MAX_CHARS {
        return Err(vec![Issue {
            offset: None,
            message: format!(
                "expression code point size exceeds limit: size: {length}, limit {MAX_CHARS}"
            ),
        }]);
    }
    let (tokens, issues) = tokens(source);
    let mut parser = Parser {
        tokens,
        at: 0,
        nodes: Nodes::default(),
        issues,
        depths: [0; 8],
        indexing: false,
    };
    let root = parser.whole();
    match root {
        Ok(root) if parser.issues.is_empty() => Ok(Parsed {
            root: root.expr,
            nodes: parser.nodes,
        }),
        _ => Err(parser.issues),
    }
}

impl Parser {
    fn whole(&mut self) -> Result<Tall, Stop> {
        let root = self.expr()?;
        if !matches!(self.peek(), Token::End) {
            let how = if *self.after() == Token::End {
                "extraneous"
            } else {
                "mismatched"
            };
            self.told(how, "<EOF>");
            return Err(Stop);
        }
        if root.height > MAX_DEPTH {
            return Err(self.internal("max recursion depth exceeded"));
        }
        Ok(root)
    }

    fn peek(&self) -> &Token {
        self.tokens
            .get(self.at)
            .map_or(&Token::End, |placed| &placed.token)
    }

    fn place(&self) -> usize {
        self.tokens
            .get(self.at)
            .or(self.tokens.last())
            .map_or(0, |placed| placed.at)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        if token != Token::End {
            self.at += 1;
        }
        token
    }

    /// Takes a sign if it is the next token, and says where it was.
    fn sign(&mut self, sign: &str) -> Option<usize> {
        let at = self.place();
        let is = matches!(self.peek(), Token::Sign(found) if *found == sign);
        is.then(|| {
            self.at += 1;
            at
        })
    }

    fn expect(&mut self, sign: &str) -> Result<usize, Stop> {
        if let Some(at) = self.sign(sign) {
            return Ok(at);
        }
        let wanted = format!("'{sign}'");
        if matches!(self.after(), Token::Sign(next) if *next == sign) {
            self.told("extraneous", &wanted);
        } else if *self.peek() == Token::End && sign == ")" {
            self.issue(self.place(), "Syntax error: missing ')' at '<EOF>'".into());
        } else {
            self.told("mismatched", &wanted);
        }
        Err(Stop)
    }

    fn issue(&mut self, offset: usize, message: String) {
        self.issues.push(Issue {
            offset: Some(offset),
            message,
        });
    }

    fn internal(&mut self, message: &str) -> Stop {
        self.issues.push(Issue {
            offset: None,
            message: format!("Internal error: {message}"),
        });
        Stop
    }

    fn unexpected(&mut self, wanted: &str) -> Stop {
        self.told("mismatched", wanted);
        Stop
    }

    fn told(&mut self, how: &str, wanted: &str) {
        let text = self.peek().text();
        self.issue(
            self.place(),
            format!("Syntax error: {how} input '{text}' expecting {wanted}"),
        );
    }

    fn after(&self) -> &Token {
        let next = self.tokens.get(self.at + 1);
        next.map_or(&Token::End, |placed| &placed.token)
    }

    fn enter(&mut self, rule: Rule) -> Result<(), Stop> {
        let over = match self.depths.get_mut(rule as usize) {
            Some(depth) => {
                *depth += 1;
                *depth > MAX_DEPTH
            }
            None => true,
        };
        if over {
            let message = format!("expression recursion limit exceeded: {MAX_DEPTH}");
            return Err(self.internal(&message));
        }
        Ok(())
    }

    fn leave(&mut self, rule: Rule, times: usize) {
        if let Some(depth) = self.depths.get_mut(rule as usize) {
            *depth = depth.saturating_sub(times);
        }
    }

    fn node(&mut self, offset: usize, kind: Kind) -> Expr {
        Expr {
            id: self.nodes.next(offset),
            kind,
        }
    }

    /// A call, or what the macro of that name makes of it. `offset` is where the call is.
    fn call(
        &mut self,
        offset: usize,
        function: String,
        target: Option<Expr>,
        args: Vec<Expr>,
    ) -> Result<Expr, Stop> {
        match macros::expand(&mut self.nodes, offset, &function, target, args) {
            Expanded::Node(expr) => {
                if self.nodes.is_full() {
                    return Err(self.internal("expression too large"));
                }
                Ok(expr)
            }
            Expanded::Wrong(at, message) => {
                self.issue(at, message);
                Ok(self.node(offset, Kind::Broken))
            }
            Expanded::Call(target, args) => Ok(self.node(
                offset,
                Kind::Call {
                    function,
                    target: target.map(Box::new),
                    args,
                },
            )),
        }
    }

    fn expr(&mut self) -> Result<Tall, Stop> {
        self.enter(Rule::Expr)?;
        let condition = self.logic(Rule::Or)?;
        let Some(at) = self.sign("?") else {
            self.leave(Rule::Expr, 1);
            return Ok(condition);
        };
        let yes = self.logic(Rule::Or)?;
        self.expect(":")?;
        let no = self.expr()?;
        self.leave(Rule::Expr, 1);
        let height = 1 + condition.height.max(yes.height).max(no.height);
        let args = vec![condition.expr, yes.expr, no.expr];
        let expr = self.call(at, op::CHOICE.into(), None, args)?;
        Ok(Tall { expr, height })
    }

    /// Chains of `||`, and of `&&` below them, as balanced trees.
    fn logic(&mut self, rule: Rule) -> Result<Tall, Stop> {
        let (sign, function) = match rule {
            Rule::Or => ("||", op::OR),
            _ => ("&&", op::AND),
        };
        self.enter(rule)?;
        let first = self.logic_term(rule)?;
        let mut height = first.height;
        let mut terms = vec![first.expr];
        let mut places = Vec::new();
        while let Some(at) = self.sign(sign) {
            places.push(at);
            let term = self.logic_term(rule)?;
            height = height.max(term.height);
            terms.push(term.expr);
        }
        self.leave(rule, 1);
        let expr = self.balanced(function, &places, terms);
        Ok(Tall { expr, height })
    }

    fn logic_term(&mut self, rule: Rule) -> Result<Tall, Stop> {
        match rule {
            Rule::Or => self.logic(Rule::And),
            _ => self.relation(),
        }
    }

    fn balanced(&mut self, function: &str, places: &[usize], mut terms: Vec<Expr>) -> Expr {
        // The middle is that of the signs: the left half has one term more than it has signs.
        let middle = places.len() / 2;
        let Some((at, (left, right))) = places.get(middle).copied().zip(
            places
                .split_at_checked(middle)
                .map(|(left, right)| (left, right.get(1..).unwrap_or_default())),
        ) else {
            return terms.pop().unwrap_or_else(|| self.node(0, Kind::Broken));
        };
        let rest = terms.split_off((middle + 1).min(terms.len()));
        let left = self.balanced(function, left, terms);
        let right = self.balanced(function, right, rest);
        let kind = Kind::Call {
            function: function.into(),
            target: None,
            args: vec![left, right],
        };
        self.node(at, kind)
    }

    fn relation(&mut self) -> Result<Tall, Stop> {
        const SIGNS: [(&str, &str); 6] = [
            ("<", "_<_"),
            ("<=", "_<=_"),
            (">", "_>_"),
            (">=", "_>=_"),
            ("==", op::EQUALS),
            ("!=", op::NOT_EQUALS),
        ];
        self.enter(Rule::Relation)?;
        let mut left = self.calc(0)?;
        let mut count = 1;
        loop {
            let at = self.place();
            let function = match self.peek() {
                Token::Word("in") => Some(op::IN),
                Token::Sign(sign) => SIGNS
                    .iter()
                    .find(|(text, _)| text == sign)
                    .map(|(_, function)| *function),
                _ => None,
            };
            let Some(function) = function else {
                self.leave(Rule::Relation, count);
                return Ok(left);
            };
            self.at += 1;
            self.enter(Rule::Relation)?;
            count += 1;
            let right = self.calc(0)?;
            left = self.binary(at, function, left, right)?;
        }
    }

    /// Sums, and products at level 1.
    fn calc(&mut self, level: usize) -> Result<Tall, Stop> {
        const LEVELS: [&[(&str, &str)]; 2] = [
            &[("+", op::ADD), ("-", "_-_")],
            &[("*", "_*_"), ("/", "_/_"), ("%", "_%_")],
        ];
        let Some(signs) = LEVELS.get(level) else {
            return self.unary();
        };
        self.enter(Rule::Calc)?;
        let mut left = self.calc(level + 1)?;
        let mut count = 1;
        loop {
            let at = self.place();
            let function = match self.peek() {
                Token::Sign(sign) => signs.iter().find(|(text, _)| text == sign),
                _ => None,
            };
            let Some((_, function)) = function else {
                self.leave(Rule::Calc, count);
                return Ok(left);
            };
            self.at += 1;
            self.enter(Rule::Calc)?;
            count += 1;
            let right = self.calc(level + 1)?;
            left = self.binary(at, function, left, right)?;
        }
    }

    fn binary(&mut self, at: usize, function: &str, left: Tall, right: Tall) -> Result<Tall, Stop> {
        let height = 1 + left.height.max(right.height);
        let expr = self.call(at, function.into(), None, vec![left.expr, right.expr])?;
        Ok(Tall { expr, height })
    }

    fn unary(&mut self) -> Result<Tall, Stop> {
        self.enter(Rule::Unary)?;
        let at = self.place();
        for (sign, function) in [("!", op::NOT), ("-", op::NEGATE)] {
            let mut count = 0;
            let start = self.at;
            while self.sign(sign).is_some() {
                count += 1;
            }
            if count == 0 {
                continue;
            }
            // One minus before a number is the number's own.
            let number = matches!(self.peek(), Token::Int(_) | Token::Double(_));
            if sign == "-" && count == 1 && number {
                self.at = start;
                break;
            }
            let inner = self.member()?;
            self.leave(Rule::Unary, 1);
            if count % 2 == 0 {
                return Ok(inner);
            }
            let expr = self.call(at, function.into(), None, vec![inner.expr])?;
            return Ok(Tall {
                expr,
                height: inner.height,
            });
        }
        let inner = self.member();
        self.leave(Rule::Unary, 1);
        inner
    }

    fn member(&mut self) -> Result<Tall, Stop> {
        self.enter(Rule::Member)?;
        let mut tall = self.primary()?;
        let mut count = 1;
        loop {
            tall = if let Some(at) = self.sign(".") {
                self.enter(Rule::Member)?;
                self.selected(at, tall)?
            } else if let Some(at) = self.sign("[") {
                self.enter(Rule::Member)?;
                let optional = self.sign("?").is_some();
                self.indexing = !optional;
                let index = self.expr()?;
                self.expect("]")?;
                let function = if optional { op::OPT_INDEX } else { op::INDEX };
                self.binary(at, function, tall, index)?
            } else {
                self.leave(Rule::Member, count);
                return Ok(tall);
            };
            count += 1;
        }
    }

    /// What follows the point at `at`.
    fn selected(&mut self, at: usize, operand: Tall) -> Result<Tall, Stop> {
        let optional = self.sign("?").is_some();
        let place = self.place();
        let field = match self.next() {
            Token::Ident(name) => name,
            Token::Escaped(_) => {
                self.issue(place, "unsupported syntax: '`'".into());
                String::new()
            }
            _ => {
                let found = self.tokens.iter().find(|placed| placed.at == place);
                let text = match found.map(|placed| &placed.token) {
                    None | Some(Token::End) => String::new(),
                    Some(token) => token.text(),
                };
                let dot = if optional { ".?" } else { "." };
                let message = if matches!(text.as_str(), "true" | "false" | "null") && !optional {
                    format!("Syntax error: mismatched input '{text}' expecting IDENTIFIER")
                } else {
                    format!("Syntax error: no viable alternative at input '{dot}{text}'")
                };
                self.issue(place, message);
                return Err(Stop);
            }
        };
        let height = operand.height + 1;
        if optional {
            let name = self.node(place, Kind::Literal(Literal::String(field)));
            let kind = Kind::Call {
                function: op::OPT_SELECT.into(),
                target: None,
                args: vec![operand.expr, name],
            };
            let expr = self.node(at, kind);
            return Ok(Tall { expr, height });
        }
        if let Some(open) = self.sign("(") {
            let (args, tallest) = self.args()?;
            let height = height.max(tallest + 1);
            let expr = self.call(open, field, Some(operand.expr), args)?;
            return Ok(Tall { expr, height });
        }
        let kind = Kind::Select {
            operand: Box::new(operand.expr),
            field,
            test: false,
        };
        let expr = self.node(at, kind);
        Ok(Tall { expr, height })
    }

    /// Arguments up to the closing parenthesis, and the height of the highest.
    fn args(&mut self) -> Result<(Vec<Expr>, usize), Stop> {
        let mut args = Vec::new();
        let mut height = 0;
        if self.sign(")").is_some() {
            return Ok((args, height));
        }
        loop {
            let arg = self.expr()?;
            height = height.max(arg.height);
            args.push(arg.expr);
            if self.sign(")").is_some() {
                return Ok((args, height));
            }
            if self.sign(",").is_none() {
                return Err(self.unexpected("')'"));
            }
        }
    }
}
