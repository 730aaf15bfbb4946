//! A configuration file (`--config-file`) to named values.
//!
//! It is etcd's: YAML or JSON whose keys are the names of flags, durations in nanoseconds, lists where flags
//! have commas, and the flags of TLS in two sections of their own. Unlike etcd, which passes over keys that it
//! does not know, a key that stands for nothing is refused: a misspelled limit must not be no limit.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::error::{ConfigError, Origin};
use super::flag::Kind;
use super::member::{MemberConfig, Note};
use super::parse::Given;
use super::{build, table};

/// A duration in the file, and text in a flag.
const IN_NANOSECONDS: &str = "backend-batch-interval";

/// Sections, with the flag that each of their keys stands for.
const SECTIONS: [(&str, &[(&str, &str)]); 2] = [
    (
        "client-transport-security",
        &[
            ("cert-file", "cert-file"),
            ("key-file", "key-file"),
            ("client-cert-file", "client-cert-file"),
            ("client-key-file", "client-key-file"),
            ("client-cert-auth", "client-cert-auth"),
            ("trusted-ca-file", "trusted-ca-file"),
            ("auto-tls", "auto-tls"),
            ("crl-file", "client-crl-file"),
            ("allowed-hostname", "client-cert-allowed-hostname"),
        ],
    ),
    (
        "peer-transport-security",
        &[
            ("cert-file", "peer-cert-file"),
            ("key-file", "peer-key-file"),
            ("client-cert-file", "peer-client-cert-file"),
            ("client-key-file", "peer-client-key-file"),
            ("client-cert-auth", "peer-client-cert-auth"),
            ("trusted-ca-file", "peer-trusted-ca-file"),
            ("auto-tls", "peer-auto-tls"),
            ("crl-file", "peer-crl-file"),
            ("allowed-cn", "peer-cert-allowed-cn"),
            ("allowed-hostname", "peer-cert-allowed-hostname"),
            (
                "skip-client-san-verification",
                "peer-skip-client-san-verification",
            ),
        ],
    ),
];

/// A file that has the configuration, still to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// Where it is.
    pub path: PathBuf,
    /// Flags and variables that are set, and count for nothing because of it.
    pub(super) ignored: Vec<String>,
    pub(super) stop_with_stdin: bool,
}

impl ConfigFile {
    /// The configuration that `text`, the file's content, describes.
    ///
    /// # Errors
    /// For text that is neither YAML nor JSON, a key that is not known, and as for a command line.
    pub fn parse(&self, text: &str) -> Result<MemberConfig, ConfigError> {
        let mut given = Given::default();
        given.stop_with_stdin = self.stop_with_stdin;
        for (key, node) in read(text)?.unwrap_or_default() {
            match SECTIONS.iter().find(|(section, _)| *section == key) {
                Some((section, keys)) => given.set_section(section, keys, node)?,
                None => given.set_key(&key, &key, node)?,
            }
        }
        given.judge_all()?;
        let path = self.path.display().to_string();
        given.notes.push(Note::ConfigFile {
            path,
            ignored: self.ignored.clone(),
        });
        build::member(&given)
    }
}

fn read(text: &str) -> Result<Option<BTreeMap<String, Node>>, ConfigError> {
    serde_saphyr::from_str(text).map_err(|error| ConfigError::BadFile(error.to_string()))
}

/// A value of the file.
#[derive(Debug)]
enum Node {
    Nothing,
    Text(String),
    /// A boolean or a number, as a flag has it. How the file has it is not known: `007` is 7.
    Plain(String),
    List(Vec<Node>),
    Section(Vec<(String, Node)>),
}

impl Given {
    fn set_section(
        &mut self,
        section: &str,
        keys: &[(&str, &'static str)],
        node: Node,
    ) -> Result<(), ConfigError> {
        let entries = match node {
            Node::Section(entries) => entries,
            Node::Nothing => return Ok(()),
            _ => return Err(ConfigError::BadKey(section.to_owned(), "must be a section")),
        };
        for (key, node) in entries {
            let path = format!("{section}.{key}");
            let known = keys.iter().find(|(name, _)| *name == key);
            let (_, flag) = known.ok_or_else(|| ConfigError::UnknownKey(path.clone()))?;
            self.set_key(&path, flag, node)?;
        }
        Ok(())
    }

    /// Sets the flag of a key; `path` is how the file has it.
    fn set_key(&mut self, path: &str, name: &str, node: Node) -> Result<(), ConfigError> {
        let flag = table::find(name)
            .filter(|flag| flag.name != super::parse::CONFIG_FILE)
            .ok_or_else(|| ConfigError::UnknownKey(path.to_owned()))?;
        let text = match node {
            Node::Nothing => return Ok(()),
            Node::Text(text) => text,
            Node::Plain(_) if flag.kind == Kind::Text && flag.name != IN_NANOSECONDS => {
                return Err(ConfigError::BadKey(
                    path.to_owned(),
                    "must be text, in quotes",
                ));
            }
            Node::Plain(text) => text,
            Node::List(nodes) => joined(path, nodes)?,
            Node::Section(_) => {
                return Err(ConfigError::BadKey(
                    path.to_owned(),
                    "must not be a section",
                ));
            }
        };
        // etcd has durations as numbers of nanoseconds; with a unit they mean what they mean in a flag.
        let nanoseconds = flag.kind == Kind::Duration && text.bytes().all(|b| b.is_ascii_digit());
        let text = if nanoseconds {
            format!("{text}ns")
        } else {
            text
        };
        if self.is_set(flag.name) {
            return Err(ConfigError::BadKey(path.to_owned(), "is set twice"));
        }
        self.set(flag, text, Origin::Key(path.to_owned()))
    }
}

fn joined(path: &str, nodes: Vec<Node>) -> Result<String, ConfigError> {
    let texts: Result<Vec<_>, _> = nodes
        .into_iter()
        .map(|node| match node {
            Node::Text(text) | Node::Plain(text) => Ok(text),
            _ => Err(ConfigError::BadKey(
                path.to_owned(),
                "must be a list of values",
            )),
        })
        .collect();
    Ok(texts?.join(","))
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, a list or a section")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = items.next_element()? {
            nodes.push(node);
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut section: Vec<(String, Node)> = Vec::new();
        while let Some((key, node)) = entries.next_entry::<String, Node>()? {
            if section.iter().any(|(known, _)| *known == key) {
                return Err(A::Error::custom(format!("{key} is there twice")));
            }
            section.push((key, node));
        }
        Ok(Node::Section(section))
    }
}

#[cfg(test)]
#[path = "file_test.rs"]
mod tests;
