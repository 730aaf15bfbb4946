//! Roles and bindings in the form in which they are looked up, kept until one of them changes.
//!
//! A decision costs a few look-ups by name of the user and of its groups. What is kept is made anew as a whole
//! for a resource that has changed, out of the parts of those objects that have not.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use foldhash::fast::RandomState;
use parking_lot::Mutex;
use serde_json::Value;

use crate::kube::objects::Objects;

use super::binding::Binding;
use super::gather::{Selector, gather};
use super::rule::Rule;

const GROUP: &str = "rbac.authorization.k8s.io";

type Map<K, V> = HashMap<K, V, RandomState>;

/// What is made of an object.
pub(super) trait Made: Sized {
    fn make(object: &Value) -> Self;

    /// Lets objects take from each other.
    fn link(_all: &mut [Arc<Self>]) {}
}

/// One resource.
pub(super) struct Kept<T> {
    plural: &'static str,
    current: ArcSwapOption<Part<T>>,
    making: Mutex<()>,
}

/// The objects of a resource at one moment.
pub(super) struct Part<T> {
    /// The revision of the last change, if the source tells it.
    changed: Option<u64>,
    sources: Vec<Arc<Value>>,
    made: Vec<Arc<T>>,
    by_name: Map<(Box<str>, Box<str>), usize>,
    by_subject: Map<(Box<str>, Box<str>), Vec<u32>>,
}

/// A role.
#[derive(Debug, Clone)]
pub(super) struct Role {
    pub(super) own: Vec<Rule>,
    pub(super) labels: Vec<(String, String)>,
    pub(super) gathers: Vec<Selector>,
    /// Its own and those of the roles that it gathers, if it gathers any.
    pub(super) gathered: Option<Vec<Rule>>,
}

impl Role {
    pub(super) fn rules(&self) -> &[Rule] {
        self.gathered.as_ref().unwrap_or(&self.own)
    }
}

impl Made for Role {
    fn make(object: &Value) -> Self {
        let labels = object
            .pointer("/metadata/labels")
            .and_then(Value::as_object);
        let labels = labels.into_iter().flatten();
        let labels = labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.into())));
        Self {
            own: Rule::read_all(object),
            labels: labels.collect(),
            gathers: Selector::of_role(object),
            gathered: None,
        }
    }

    fn link(all: &mut [Arc<Self>]) {
        gather(all);
    }
}

/// By which names a binding is found.
pub(super) trait Subjects {
    /// By [`super::binding::user_key`] and [`super::binding::group_key`].
    fn subjects(&self) -> Vec<String>;
}

impl Subjects for Role {
    fn subjects(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Subjects for Binding {
    fn subjects(&self) -> Vec<String> {
        self.subject_keys()
    }
}

impl<T: Made + Subjects> Kept<T> {
    pub(super) fn new(plural: &'static str) -> Self {
        Self {
            plural,
            current: ArcSwapOption::empty(),
            making: Mutex::new(()),
        }
    }

    /// The resource as `objects` has it now.
    pub(super) fn get(&self, objects: &dyn Objects) -> Arc<Part<T>> {
        // Asked before the list: what changes in between is found the next time.
        let changed = objects.changed(GROUP, self.plural);
        if let Some(part) = self.current.load_full()
            && changed.is_some()
            && part.changed == changed
        {
            return part;
        }
        let _one_at_a_time = self.making.lock();
        let changed = objects.changed(GROUP, self.plural);
        let sources = objects.list(GROUP, self.plural, None);
        let last = self.current.load_full();
        if let Some(part) = &last
            && (changed.is_some() && part.changed == changed || part.is_of(&sources))
        {
            // Without revisions, the next look-up has to compare again.
            if part.changed == changed {
                return Arc::clone(part);
            }
        }
        let part = Arc::new(Part::make(changed, sources, last.as_deref()));
        self.current.store(Some(Arc::clone(&part)));
        part
    }
}

impl<T: Made + Subjects> Part<T> {
    fn make(changed: Option<u64>, sources: Vec<Arc<Value>>, last: Option<&Self>) -> Self {
        let mut part = Self {
            changed,
            made: Vec::with_capacity(sources.len()),
            by_name: Map::default(),
            by_subject: Map::default(),
            sources,
        };
        for (at, source) in part.sources.iter().enumerate() {
            let (namespace, name) = names(source);
            let key = (namespace, name);
            let kept = last.and_then(|last| last.made_of(&key, source));
            let made = kept.unwrap_or_else(|| Arc::new(T::make(source)));
            for subject in made.subjects() {
                let of = (key.0.clone(), subject.into_boxed_str());
                let places = part.by_subject.entry(of).or_default();
                // A binding that names a subject twice is found once.
                if places.last() != Some(&(at as u32)) {
                    places.push(at as u32);
                }
            }
            part.made.push(made);
            part.by_name.insert(key, at);
        }
        T::link(&mut part.made);
        part
    }

    fn made_of(&self, key: &(Box<str>, Box<str>), source: &Arc<Value>) -> Option<Arc<T>> {
        let at = *self.by_name.get(key)?;
        let same = self.sources.get(at).is_some_and(|old| is_same(old, source));
        same.then(|| self.made.get(at).cloned()).flatten()
    }

    fn is_of(&self, sources: &[Arc<Value>]) -> bool {
        let mut pairs = self.sources.iter().zip(sources);
        self.sources.len() == sources.len() && pairs.all(|(old, new)| is_same(old, new))
    }
}

impl<T> Part<T> {
    /// `namespace` is `""` at the cluster's scope.
    pub(super) fn named(&self, namespace: &str, name: &str) -> Option<&T> {
        let at = find(&self.by_name, namespace, name)?;
        self.made.get(*at).map(|made| &**made)
    }

    /// Adds the places of what names a subject.
    pub(super) fn places_of(&self, namespace: &str, subject: &str, places: &mut Vec<u32>) {
        if let Some(found) = find(&self.by_subject, namespace, subject) {
            places.extend(found);
        }
    }

    pub(super) fn at(&self, place: u32) -> Option<&T> {
        self.made.get(place as usize).map(|made| &**made)
    }
}

/// A pair of borrowed names that hashes and compares as the owned pair in the map.
#[derive(Hash, PartialEq, Eq)]
struct Pair<'a>(&'a str, &'a str);

fn find<'a, V>(map: &'a Map<(Box<str>, Box<str>), V>, first: &str, second: &str) -> Option<&'a V> {
    map.get(&Pair(first, second) as &dyn Names)
}

/// What makes a look-up possible without allocating.
trait Names {
    fn names(&self) -> (&str, &str);
}

impl Names for Pair<'_> {
    fn names(&self) -> (&str, &str) {
        (self.0, self.1)
    }
}

impl Names for (Box<str>, Box<str>) {
    fn names(&self) -> (&str, &str) {
        (&self.0, &self.1)
    }
}

impl Hash for dyn Names + '_ {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.names().hash(state);
    }
}

impl PartialEq for dyn Names + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.names() == other.names()
    }
}

impl Eq for dyn Names + '_ {}

impl<'a> std::borrow::Borrow<dyn Names + 'a> for (Box<str>, Box<str>) {
    fn borrow(&self) -> &(dyn Names + 'a) {
        self
    }
}

fn names(object: &Value) -> (Box<str>, Box<str>) {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
    (
        text("/metadata/namespace").unwrap_or_default().into(),
        text("/metadata/name").unwrap_or_default().into(),
    )
}

/// Whether two are the same object in the same version; an object without a version is compared as a whole.
fn is_same(old: &Arc<Value>, new: &Arc<Value>) -> bool {
    if Arc::ptr_eq(old, new) {
        return true;
    }
    let version = |object: &Value| {
        let text = |pointer| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        Some((text("/metadata/uid")?, text("/metadata/resourceVersion")?))
    };
    match (version(old), version(new)) {
        (Some(old), Some(new)) => old == new,
        _ => old == new,
    }
}
