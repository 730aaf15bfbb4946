//! How owners change when an object does: the heart of server-side apply.
//!
//! Follows structured-merge-diff's `Updater`. Every owner's set is kept in the version that it was written in; where another
//! version is compared, the object is converted to it first.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::compare::{Comparison, compare};
use super::managed::{Identity, Managed, Owned};
use super::path::Element;
use super::reset::Filter;
use super::set::Set;
use super::types::Type;
use super::{Versions, fieldset, merge, reconcile, remove, value};

/// Changes owners of objects of one kind, written in one version.
pub(super) struct Updater<'s> {
    pub(super) of: Type<'s>,
    pub(super) version: &'s str,
    pub(super) filter: &'s Filter,
    pub(super) versions: &'s dyn Versions,
}

/// Why something could not be applied.
pub(super) enum Refusal {
    /// Others own fields with other values.
    Conflicts(Vec<(Identity, Vec<Element>)>),
    Other(String),
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self::Other(why)
    }
}

/// An object in a version, with its type there.
type At<'v, 's> = (Cow<'v, Value>, Type<'s>);

impl<'s> Updater<'s> {
    /// An object in another version; none if there is no such version any more.
    fn at<'v>(&self, object: &'v Value, version: &str) -> Option<At<'v, 's>>
    where
        's: 'v,
    {
        if version == self.version {
            return Some((Cow::Borrowed(object), self.of));
        }
        let (object, of) = self.versions.convert(object, version)?;
        Some((Cow::Owned(object), of))
    }

    /// Gives what has changed to `manager` and takes it from the others.
    pub(super) fn update(
        &self,
        live: &Value,
        new: &Value,
        managed: Managed,
        manager: &Identity,
    ) -> Result<Managed, Refusal> {
        let managed = self.reconciled(live, managed);
        let (mut managed, comparison) = self.compared(live, new, managed, manager, true)?;
        let before = managed.get(manager).map(|owned| &owned.set);
        let set = before.cloned().unwrap_or_default();
        let set = set.difference(&comparison.removed);
        let set = set.union(&comparison.modified).union(&comparison.added);
        self.own(&mut managed, manager, self.filter.apply(&set));
        managed.retain(|_, owned| !owned.set.is_empty());
        Ok(managed)
    }

    /// The object with what is applied and without what `manager` has applied before and nobody else owns; none if that is
    /// the object as it is.
    pub(super) fn apply(
        &self,
        live: &Value,
        applied: &Value,
        managed: Managed,
        manager: &Identity,
        force: bool,
    ) -> Result<(Option<Value>, Managed), Refusal> {
        let mut managed = self.reconciled(live, managed);
        let merged = merge::merge(self.of, live, applied);
        let merged = merged
            .map_err(|why| format!("failed to merge config: {}", why.trim_start_matches(": ")))?;
        let set = self.filter.apply(&fieldset::of_value(self.of, applied));
        let last = managed.get(manager).cloned();
        self.own(&mut managed, manager, set);
        let new = match last.filter(|last| !last.set.is_empty()) {
            Some(last) => self.pruned(merged, &managed, &last),
            None => merged,
        };
        let (managed, _) = self.compared(live, &new, managed, manager, force)?;
        let changed = !value::equal(live, &new);
        Ok((changed.then_some(new), managed))
    }

    fn own(&self, managed: &mut Managed, manager: &Identity, set: Set) {
        let time = managed.get(manager).and_then(|owned| owned.time.clone());
        let version = self.version.to_owned();
        managed.insert(manager.clone(), Owned { set, version, time });
    }

    fn reconciled(&self, live: &Value, managed: Managed) -> Managed {
        let reconcile = |(identity, mut owned): (Identity, Owned)| {
            let (_, of) = self.at(live, &owned.version)?;
            owned.set = reconcile::reconcile(&owned.set, of);
            Some((identity, owned))
        };
        managed.into_iter().filter_map(reconcile).collect()
    }

    /// Takes what changes from its owners, or refuses.
    fn compared(
        &self,
        live: &Value,
        new: &Value,
        mut managed: Managed,
        manager: &Identity,
        force: bool,
    ) -> Result<(Managed, Comparison), Refusal> {
        let comparison = self.compare(self.of, live, new, true)?;
        let mut others: BTreeMap<String, Option<Comparison>> = BTreeMap::new();
        let mut conflicts = Vec::new();
        let mut gone = Vec::new();
        let mut left: Vec<(Identity, Set)> = Vec::new();
        for (identity, owned) in managed.iter().filter(|(identity, _)| *identity != manager) {
            let other;
            let comparison = if owned.version == self.version {
                &comparison
            } else {
                if !others.contains_key(&owned.version) {
                    let compared = self.compare_at(&owned.version, live, new)?;
                    others.insert(owned.version.clone(), compared);
                }
                other = others.get(&owned.version).and_then(Option::as_ref);
                match other {
                    Some(comparison) => comparison,
                    None => {
                        gone.push(identity.clone());
                        continue;
                    }
                }
            };
            let changed = comparison.modified.union(&comparison.added);
            let conflict = owned.set.intersection(&changed);
            let paths = conflict.paths().into_iter();
            conflicts.extend(paths.map(|path| (identity.clone(), path)));
            let rest = owned
                .set
                .difference(&conflict)
                .difference(&comparison.removed);
            left.push((identity.clone(), rest));
        }
        if !force && !conflicts.is_empty() {
            return Err(Refusal::Conflicts(conflicts));
        }
        for identity in gone {
            managed.remove(&identity);
        }
        for (identity, set) in left {
            if let Some(owned) = managed.get_mut(&identity) {
                owned.set = set;
            }
        }
        managed.retain(|_, owned| !owned.set.is_empty());
        Ok((managed, comparison))
    }

    fn compare(
        &self,
        of: Type,
        live: &Value,
        new: &Value,
        own: bool,
    ) -> Result<Comparison, String> {
        let comparison = compare(of, live, new);
        let comparison = comparison.map_err(|why| format!("failed to compare objects: {why}"))?;
        Ok(match self.filter {
            // What may be set is said for the resource's own version only.
            Filter::Only(_) if !own => comparison,
            filter => comparison.filtered(|set| filter.apply(set)),
        })
    }

    fn compare_at(
        &self,
        version: &str,
        live: &Value,
        new: &Value,
    ) -> Result<Option<Comparison>, String> {
        let (Some((live, of)), Some((new, _))) = (self.at(live, version), self.at(new, version))
        else {
            return Ok(None);
        };
        self.compare(of, &live, &new, false).map(Some)
    }

    /// Removes what the manager has applied before, except for what others own and what stands or falls with it.
    fn pruned(&self, merged: Value, managed: &Managed, last: &Owned) -> Value {
        let Some((at_last, of)) = self.at(&merged, &last.version) else {
            return merged;
        };
        let at_last = at_last.into_owned();
        let pruned = without(of, &at_last, &last.set.with_named_fields(Some(of)));
        let pruned = self.with_owned(&at_last, pruned, &last.version, managed);
        let pruned = with_dangling(of, &at_last, &pruned, &last.set);
        self.own_version(pruned, &last.version).unwrap_or(merged)
    }

    /// From a version to the own one.
    fn own_version(&self, object: Value, version: &str) -> Option<Value> {
        if version == self.version {
            return Some(object);
        }
        Some(self.versions.convert(&object, self.version)?.0)
    }

    fn between(&self, object: &Value, from: &str, to: &str) -> Option<(Value, Type<'s>)> {
        if to == self.version {
            let object = self.own_version(object.clone(), from)?;
            return Some((object, self.of));
        }
        self.versions.convert(object, to)
    }

    /// Brings back what some owner owns, the manager by what it now applies; `version` is that of both objects.
    fn with_owned(
        &self,
        merged: &Value,
        mut pruned: Value,
        version: &str,
        managed: &Managed,
    ) -> Value {
        let versions: BTreeSet<&str> = managed
            .values()
            .map(|owned| owned.version.as_str())
            .collect();
        let others = versions.iter().copied().filter(|other| *other != version);
        let own = versions.contains(version).then_some(version);
        let mut at = version;
        for other in own.into_iter().chain(others) {
            let owned = managed.values().filter(|owned| owned.version == other);
            let owned = owned.fold(Set::default(), |all, owned| all.union(&owned.set));
            let objects = (
                self.between(merged, version, other),
                self.between(&pruned, at, other),
            );
            let (Some((merged, of)), Some((there, _))) = objects else {
                continue;
            };
            let named = |set: Set| set.with_named_fields(Some(of));
            let of_merged = named(fieldset::of_value(of, &merged));
            let keep = named(fieldset::of_value(of, &there)).union(&named(owned));
            pruned = without(of, &merged, &of_merged.difference(&keep));
            at = other;
        }
        match self.between(&pruned, at, version) {
            Some((pruned, _)) if at != version => pruned,
            _ => pruned,
        }
    }
}

/// Brings back what is gone although the manager has not applied it.
fn with_dangling(of: Type, merged: &Value, pruned: &Value, last: &Set) -> Value {
    let named = |set: &Set| set.with_named_fields(Some(of));
    let of_pruned = named(&fieldset::of_value(of, pruned));
    let of_merged = named(&fieldset::of_value(of, merged));
    let gone = of_merged.difference(&of_pruned).intersection(&named(last));
    without(of, merged, &gone)
}

fn without(of: Type, object: &Value, set: &Set) -> Value {
    match remove::remove(of, object, set) {
        Value::Null => Map::new().into(),
        left => left,
    }
}
