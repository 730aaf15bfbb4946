//! YAML bodies, resolved as go-yaml v2 and sigs.k8s.io/yaml do: YAML 1.1 words for booleans, maps by sorted keys,
//! only the first document.
//!
//! The parser bounds nesting; aliases are bounded here, by what they expand to.

mod keys;
mod order;
mod resolve;
mod style;
mod told;
mod write;

use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StrInput};

use self::resolve::scalar;
use self::told::{name_at, told};
use super::node::{MAX_DEPTH, Node};

pub use self::write::encode_yaml;

/// What a document may weigh once its aliases stand for what they name: nodes, and every 32 bytes of text.
const MAX_WEIGHT: usize = 2_000_000;

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
pub(in crate::kube::object) fn parse(body: &[u8]) -> Result<Node<'static>, String> {
    let tree = read(body)?;
    keys::to_node(tree, &mut Vec::new())
}

/// The strict error for keys that a map has twice; none if there are none.
pub(in crate::kube::object) fn duplicates(body: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(tree) = read(body) {
        // The tree has been converted before: it can be again.
        let _ = keys::to_node(tree, &mut found);
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
        weight: 0,
    };
    reader.document()
}

struct Reader<'a> {
    text: &'a str,
    events: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, (Tree, usize)>,
    weight: usize,
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
        self.weight = self.weight.saturating_add(more);
        if self.weight > MAX_WEIGHT {
            return Err("yaml: document contains excessive aliasing".into());
        }
        Ok(())
    }

    fn node(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Result<Tree, String> {
        self.count(1)?;
        let deeper = || depth.checked_sub(1).ok_or("yaml: exceeded max depth");
        let before = self.weight;
        let (tree, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.count(text.len() / 32)?;
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
            let weight = self.weight - before;
            self.count(weight)?;
            self.anchors.insert(anchor, (tree.clone(), weight));
        }
        Ok(tree)
    }

    fn map(&mut self, depth: usize) -> Result<Tree, String> {
        let mut pairs = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Tree::Map(pairs));
            }
            let beside = span.start.line();
            let key = self.node(event, &span, depth)?;
            let (event, span) = self.next()?;
            // What is marked or begins with an indicator begins there, and not where its content does.
            let line = match &event {
                Event::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded, ..) => beside,
                event if event.anchor_id().is_some() => beside,
                _ => span.start.line(),
            };
            pairs.push((key, self.node(event, &span, depth)?, line));
        }
    }
}
