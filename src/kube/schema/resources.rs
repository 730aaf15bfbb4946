//! Resources of API groups: names, verbs, subresources, storage keys and the ways in which they differ.
//!
//! `resources.txt` holds one group version after the other:
//!
//! ```text
//! group apps v1
//! resource deployments Deployment deployment namespaced all key=deployments short=deploy categories=all generation
//!  sub scale Scale get,patch,update type=autoscaling/v1
//! ```
//!
//! Words of a resource: `key=` its place under `/registry/` (none: it is not stored), `short=`, `categories=`,
//! `delete=object` (deletion answers with the object and not a `Status`), `put-creates` (an update creates what
//! is missing), `needs-version` (an update must name a resource version), `generation` (counted from creation),
//! `hash=` the group version that discovery's storage hash names, where it is another one.

use std::sync::{Arc, LazyLock};

use super::parse::{TableError, lines};
use super::types::{Schema, TypeId};
use crate::kube::custom;

static BUILT_IN: LazyLock<Resources> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
    Resources::parse(include_str!("resources.txt"), Schema::built_in())
        .expect("resources.txt is well-formed")
});

/// The resources of one release, in the order of discovery.
#[derive(Debug, Default)]
pub struct Resources {
    groups: Vec<GroupVersion>,
}

/// A version of an API group and what it serves.
#[derive(Debug, Clone)]
pub struct GroupVersion {
    /// `""` is core.
    pub group: Box<str>,
    pub version: Box<str>,
    pub resources: Vec<Arc<Resource>>,
}

impl GroupVersion {
    /// As `apiVersion` has it: `v1`, `apps/v1`.
    pub fn api_version(&self) -> String {
        match &*self.group {
            "" => self.version.to_string(),
            group => format!("{group}/{}", self.version),
        }
    }
}

/// What a collection of a group version holds and can do.
#[derive(Debug, Clone)]
pub struct Resource {
    pub group: Box<str>,
    pub version: Box<str>,
    pub plural: Box<str>,
    pub kind: Box<str>,
    pub singular: Box<str>,
    pub namespaced: bool,
    pub verbs: Verbs,
    pub short_names: Vec<Box<str>>,
    pub categories: Vec<Box<str>>,
    /// Where its objects are stored under `/registry/`, without slashes at the ends.
    pub key: Option<Box<str>>,
    pub delete_returns_object: bool,
    pub put_creates: bool,
    pub needs_version: bool,
    /// Whether `metadata.generation` is counted.
    pub generation: bool,
    /// The group and version that `storageVersionHash` names, if not the resource's own: kinds that two groups
    /// share, and those that the release stores in an older version.
    pub hashed_as: Option<(Box<str>, Box<str>)>,
    pub subresources: Vec<Subresource>,
    /// None for a custom resource.
    pub object: Option<TypeId>,
    /// What a definition says of it, if it is a custom resource.
    pub custom: Option<Arc<custom::Kind>>,
}

/// A part of an object with verbs of its own.
#[derive(Debug, Clone)]
pub struct Subresource {
    pub name: Box<str>,
    /// Of what is sent and answered; the resource's own group version unless it says otherwise.
    pub group: Box<str>,
    pub version: Box<str>,
    pub kind: Box<str>,
    pub verbs: Verbs,
}

/// What one may do with a resource, as discovery names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Verb {
    Create,
    Delete,
    DeleteCollection,
    Get,
    List,
    Patch,
    Update,
    Watch,
}

impl Verb {
    /// In the order of discovery.
    pub const ALL: [Self; 8] = [
        Self::Create,
        Self::Delete,
        Self::DeleteCollection,
        Self::Get,
        Self::List,
        Self::Patch,
        Self::Update,
        Self::Watch,
    ];

    /// As discovery and RBAC spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Get => "get",
            Self::List => "list",
            Self::Patch => "patch",
            Self::Update => "update",
            Self::Watch => "watch",
        }
    }
}

/// A set of verbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verbs(u8);

impl Verbs {
    /// What every stored resource can do, but for the few that say otherwise.
    pub const ALL: Self = Self(u8::MAX);

    pub fn of(verbs: &[Verb]) -> Self {
        Self(verbs.iter().fold(0, |set, verb| set | 1 << *verb as u8))
    }

    pub fn has(self, verb: Verb) -> bool {
        self.0 & (1 << verb as u8) != 0
    }

    /// In the order of discovery.
    pub fn iter(self) -> impl Iterator<Item = Verb> {
        Verb::ALL.into_iter().filter(move |verb| self.has(*verb))
    }

    /// Reads `all` or names separated by commas.
    fn parse(words: &str) -> Result<Self, String> {
        if words == "all" {
            return Ok(Self::ALL);
        }
        words.split(',').try_fold(Self::default(), |verbs, word| {
            let verb = Verb::ALL.into_iter().find(|verb| verb.as_str() == word);
            let verb = verb.ok_or(format!("no verb: {word}"))?;
            Ok(Self(verbs.0 | 1 << verb as u8))
        })
    }
}

impl Resources {
    /// The resources that [`super::RELEASE`] serves by default.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// Reads the format of `resources.txt`; types of the kinds are looked up in `schema`.
    ///
    /// # Errors
    /// The line that cannot be read.
    pub fn parse(text: &str, schema: &Schema) -> Result<Self, TableError> {
        let mut resources = Self::default();
        for (line, _, words) in lines(text) {
            let read = resources.line(&words, schema);
            read.map_err(|why| TableError::at(line, why))?;
        }
        Ok(resources)
    }

    /// In the order of discovery: groups by priority, their preferred version first.
    pub fn groups(&self) -> &[GroupVersion] {
        &self.groups
    }

    pub fn group_version(&self, group: &str, version: &str) -> Option<&GroupVersion> {
        let mut groups = self.groups.iter();
        groups.find(|one| &*one.group == group && &*one.version == version)
    }

    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        let of = &self.group_version(group, version)?.resources;
        of.iter().find(|resource| &*resource.plural == plural)
    }

    fn line(&mut self, words: &[&str], schema: &Schema) -> Result<(), String> {
        match *words {
            ["group", group, version] => {
                self.groups.push(GroupVersion {
                    group: if group == "core" { "" } else { group }.into(),
                    version: version.into(),
                    resources: Vec::new(),
                });
                Ok(())
            }
            [
                "resource",
                plural,
                kind,
                singular,
                scope,
                verbs,
                ref rest @ ..,
            ] => {
                let of = self
                    .groups
                    .last_mut()
                    .ok_or("a resource before its group")?;
                let mut resource = Resource {
                    group: of.group.clone(),
                    version: of.version.clone(),
                    plural: plural.into(),
                    kind: kind.into(),
                    singular: singular.into(),
                    namespaced: scope == "namespaced",
                    verbs: Verbs::parse(verbs)?,
                    short_names: Vec::new(),
                    categories: Vec::new(),
                    key: None,
                    delete_returns_object: false,
                    put_creates: false,
                    needs_version: false,
                    generation: false,
                    hashed_as: None,
                    subresources: Vec::new(),
                    object: schema.kind(&of.group, &of.version, kind),
                    custom: None,
                };
                if resource.object.is_none() {
                    return Err(format!("no type for {kind}"));
                }
                rest.iter().try_for_each(|word| resource.word(word))?;
                of.resources.push(Arc::new(resource));
                Ok(())
            }
            ["sub", name, kind, verbs, ref rest @ ..] => {
                let of = self
                    .groups
                    .last_mut()
                    .and_then(|of| of.resources.last_mut())
                    .and_then(Arc::get_mut);
                of.ok_or("a subresource before its resource")?
                    .subresource(name, kind, verbs, rest)
            }
            _ => Err("neither group nor resource nor subresource".into()),
        }
    }
}

impl Resource {
    pub fn subresource_named(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|sub| &*sub.name == name)
    }

    /// As `apiVersion` has it: `v1`, `apps/v1`.
    pub fn api_version(&self) -> String {
        match &*self.group {
            "" => self.version.to_string(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// As messages name it: `pods`, `deployments.apps`.
    pub fn qualified(&self) -> String {
        match &*self.group {
            "" => self.plural.to_string(),
            group => format!("{}.{group}", self.plural),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), String> {
        let list = |names: &str| names.split(',').map(Into::into).collect();
        match word.split_once('=').unwrap_or((word, "")) {
            ("key", place) => self.key = Some(place.into()),
            ("short", names) => self.short_names = list(names),
            ("categories", names) => self.categories = list(names),
            ("delete", "object") => self.delete_returns_object = true,
            ("put-creates", "") => self.put_creates = true,
            ("needs-version", "") => self.needs_version = true,
            ("generation", "") => self.generation = true,
            ("hash", of) => {
                let (group, version) = of.split_once('/').ok_or("hash=GROUP/VERSION")?;
                self.hashed_as = Some((group.into(), version.into()));
            }
            _ => return Err(format!("unknown word: {word}")),
        }
        Ok(())
    }

    fn subresource(
        &mut self,
        name: &str,
        kind: &str,
        verbs: &str,
        rest: &[&str],
    ) -> Result<(), String> {
        let (group, version) = match *rest {
            [] => (self.group.clone(), self.version.clone()),
            [word] => {
                let of = word
                    .strip_prefix("type=")
                    .ok_or(format!("unknown word: {word}"))?;
                let (group, version) = of.split_once('/').ok_or("type=GROUP/VERSION")?;
                (group.into(), version.into())
            }
            _ => return Err("too many words".into()),
        };
        self.subresources.push(Subresource {
            name: name.into(),
            group,
            version,
            kind: kind.into(),
            verbs: Verbs::parse(verbs)?,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_resources_can_be_read() {
        let resources = Resources::built_in();
        let pods = resources.find("", "v1", "pods").unwrap();
        assert_eq!(pods.api_version(), "v1");
        assert!(pods.verbs.has(Verb::Watch) && pods.delete_returns_object);
        let eviction = pods.subresource_named("eviction").unwrap();
        assert_eq!((&*eviction.group, &*eviction.kind), ("policy", "Eviction"));
        let nodes = resources.find("", "v1", "nodes").unwrap();
        assert_eq!(nodes.key.as_deref(), Some("minions"));
        let namespaces = resources.find("", "v1", "namespaces").unwrap();
        assert!(!namespaces.verbs.has(Verb::DeleteCollection));
        let hpa = resources
            .groups()
            .iter()
            .filter(|of| &*of.group == "autoscaling");
        assert_eq!(hpa.map(|of| &*of.version).collect::<Vec<_>>(), ["v2", "v1"]);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        let schema = Schema::built_in();
        for (text, said) in [
            (
                "resource a B b cluster all",
                "line 1: a resource before its group",
            ),
            (
                "group core v1\nresource a B b cluster all",
                "line 2: no type for B",
            ),
            (
                "group core v1\nresource pods Pod pod cluster fly",
                "line 2: no verb: fly",
            ),
            ("sub a B all", "line 1: a subresource before its resource"),
            ("once", "line 1: neither group nor resource nor subresource"),
        ] {
            let error = Resources::parse(text, schema).unwrap_err();
            assert_eq!(error.to_string(), said);
        }
    }
}
