//! The chain that every write goes through: owners are read, changed and written.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::managed::{self, Identity, Managed};
use super::reset::Filter;
use super::update::{Refusal, Updater};
use super::{Set, Type, Versions, answer, is_reset, last_applied, validate};
use crate::kube::custom;
use crate::kube::schema::{Resource, Schema, TypeId};
use crate::kube::status::{ApiError, ApiResult};

/// Update managers that are kept apart.
const MAX_UPDATE_MANAGERS: usize = 10;
/// The manager of the oldest changes, when there are too many to tell apart.
const ANCIENT: &str = "ancient-changes";
/// The manager of what was there before anything was tracked.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Keeps the owners of the fields of a resource's objects. Made once for a resource and subresource.
pub struct FieldManager {
    of: Of,
    version: String,
    /// `group/version, Kind=KIND` and `/version, Kind=KIND`.
    kind: String,
    subresource: String,
    filter: Filter,
    versions: Box<dyn Versions>,
}

/// Where the type of the objects comes from.
enum Of {
    Table(Type<'static>),
    Definition(Arc<custom::Kind>),
}

/// A write that is not an apply patch.
#[derive(Debug)]
pub struct Update<'a> {
    /// Before the write; none if the object is created.
    pub live: Option<&'a Value>,
    /// Who writes: `fieldManager` or the user agent's first word; `""` is `unknown`.
    pub manager: &'a str,
    /// RFC 3339 in UTC, whole seconds.
    pub now: &'a str,
    /// Whether the body as it was sent asked for owners to be forgotten: [`is_reset`]. Go form loses an empty list.
    pub reset: bool,
}

/// An apply patch.
#[derive(Debug)]
pub struct Apply<'a> {
    /// None if there is no object yet.
    pub live: Option<&'a Value>,
    /// As it was sent, not conformed: what it does not set is not applied.
    pub patch: &'a Value,
    pub manager: &'a str,
    /// Takes fields from other owners.
    pub force: bool,
    /// RFC 3339 in UTC, whole seconds.
    pub now: &'a str,
}

impl FieldManager {
    /// `subresource` is `""` for the resource itself. Objects are of the subresource's kind: a `Scale` for `scale`.
    pub fn new(resource: &Resource, subresource: &str, versions: Box<dyn Versions>) -> Self {
        let schema = Schema::built_in();
        let table = |id: Option<TypeId>| {
            Of::Table(id.map_or_else(Type::deduced, |id| Type::of(schema, id)))
        };
        let (version, kind, of) = match resource.subresource_named(subresource) {
            Some(sub) if sub.kind != resource.kind => {
                let version = match &*sub.group {
                    "" => sub.version.to_string(),
                    group => format!("{group}/{}", sub.version),
                };
                (
                    version,
                    &sub.kind,
                    table(schema.kind(&sub.group, &sub.version, &sub.kind)),
                )
            }
            _ => {
                let own = || table(resource.object);
                let custom = resource.custom.as_ref();
                let of = custom.map_or_else(own, |kind| Of::Definition(Arc::clone(kind)));
                (resource.api_version(), &resource.kind, of)
            }
        };
        Self {
            of,
            kind: answer::kind(&version, kind),
            version,
            subresource: subresource.to_owned(),
            filter: Filter::of(resource, subresource),
            versions,
        }
    }

    fn of(&self) -> Type<'_> {
        match &self.of {
            Of::Table(of) => *of,
            Of::Definition(kind) => Type::custom(&kind.definition, &kind.version),
        }
    }

    fn updater(&self) -> Updater<'_> {
        Updater {
            of: self.of(),
            version: &self.version,
            filter: &self.filter,
            versions: &*self.versions,
        }
    }

    fn identity(&self, manager: &str, applies: bool) -> Identity {
        let manager = if manager.is_empty() {
            "unknown"
        } else {
            manager
        };
        Identity::new(manager, applies, &self.version, &self.subresource)
    }

    /// The object with its owners after a write. Never refused: owners that cannot be read are forgotten.
    pub fn update(&self, mut new: Value, update: &Update) -> Value {
        let managed = self.owners(&new, update);
        managed::put(&mut new, &Managed::new());
        let exists = update.live.is_some_and(|live| {
            let uid = live
                .get("metadata")
                .and_then(|metadata| metadata.get("uid"));
            uid.and_then(Value::as_str)
                .is_some_and(|uid| !uid.is_empty())
        });
        // Objects that have never been tracked are not from here on.
        if managed.is_empty() && exists {
            return new;
        }
        let empty = self.of().empty();
        let live = update.live.unwrap_or(&empty);
        let manager = self.identity(update.manager, false);
        if let Ok(managed) = self.tracked(live, &new, managed, &manager, update.now) {
            managed::put(&mut new, &self.capped(managed));
        }
        new
    }

    /// The owners that an update starts from: the client's if it has sent readable ones, the object's otherwise.
    fn owners(&self, new: &Value, update: &Update) -> Managed {
        let live = || {
            let live = update.live.and_then(managed::of);
            managed::read(live).unwrap_or_default()
        };
        if !self.subresource.is_empty() {
            return live();
        }
        if update.reset || is_reset(new) {
            return Managed::new();
        }
        match managed::read(managed::of(new)) {
            Ok(managed) if !managed.is_empty() => managed,
            _ => live(),
        }
    }

    /// Gives a manager what changes, on top of what it has.
    fn tracked(
        &self,
        live: &Value,
        new: &Value,
        managed: Managed,
        manager: &Identity,
        now: &str,
    ) -> Result<Managed, Refusal> {
        // Under a name of its own, so that the manager loses what it had and is no more to have.
        let current = Identity::new("current-operation", false, &self.version, "");
        let mut managed = self.updater().update(live, new, managed, &current)?;
        let Some(mut changed) = managed.remove(&current) else {
            return Ok(managed);
        };
        changed.set = changed.set.difference(&never_owned());
        if changed.set.is_empty() {
            return Ok(managed);
        }
        if let Some(before) = managed.get(manager) {
            changed.set = changed.set.union(&before.set);
        }
        changed.time = Some(now.to_owned());
        managed.insert(manager.clone(), changed);
        Ok(managed)
    }

    /// Puts the oldest update managers of a version together until few enough are left.
    fn capped(&self, mut managed: Managed) -> Managed {
        let updaters = managed.iter().filter(|(identity, _)| !identity.applies);
        let mut updaters: Vec<_> = updaters
            .map(|(identity, owned)| (owned.time.clone().unwrap_or_default(), identity.clone()))
            .collect();
        updaters.sort();
        let mut left = updaters.len();
        let mut first_of: BTreeMap<String, Identity> = BTreeMap::new();
        for (_, identity) in updaters {
            if left <= MAX_UPDATE_MANAGERS {
                break;
            }
            let Some(version) = managed.get(&identity).map(|owned| owned.version.clone()) else {
                continue;
            };
            let bucket = Identity::new(ANCIENT, false, &version, "");
            let Some(first) = first_of.get(&version) else {
                first_of.insert(version, identity);
                continue;
            };
            if !managed.contains_key(&bucket)
                && let Some(oldest) = managed.remove(first)
            {
                managed.insert(bucket.clone(), oldest);
            }
            if let Some(mut owned) = managed.remove(&identity) {
                if let Some(ancient) = managed.get(&bucket) {
                    owned.set = owned.set.union(&ancient.set);
                }
                managed.insert(bucket, owned);
                left -= 1;
            }
        }
        managed
    }

    /// The object with a patch applied and its owners; equal to `live` if the patch changes nothing.
    ///
    /// # Errors
    /// 400 for another kind or version, 409 for fields that others own, 500 for what does not fit the type.
    pub fn apply(&self, apply: &Apply) -> ApiResult<Value> {
        answer::check_kind(apply.patch, &self.kind)?;
        let empty = self.of().empty();
        let live = apply.live.unwrap_or(&empty);
        let managed = managed::read(managed::of(live)).map_err(|why| {
            ApiError::unclassified(format!("failed to decode managed fields: {why}"))
        })?;
        let (object, managed) = self.applied(live, managed, apply)?;
        let mut object = object;
        if apply.manager == last_applied::MANAGER {
            last_applied::renew(&mut object, apply.patch);
        }
        managed::put(&mut object, &managed);
        Ok(object)
    }

    fn applied(
        &self,
        live: &Value,
        managed: Managed,
        apply: &Apply,
    ) -> ApiResult<(Value, Managed)> {
        let refused = match self.try_apply(live, managed.clone(), apply, apply.force)? {
            Ok(applied) => return Ok(applied),
            Err(conflicts) => conflicts,
        };
        // kubectl may take over what kubectl apply has set before it applied on the server.
        if apply.manager == last_applied::MANAGER
            && let Some(allowed) = last_applied::owned(live, self.of(), &self.version)
        {
            let mut others = refused;
            others.retain(|(_, path)| !allowed.has(path));
            if !others.is_empty() {
                return Err(answer::conflicts(&others));
            }
            let forced = self.try_apply(live, managed, apply, true)?;
            return forced.map_err(|conflicts| answer::conflicts(&conflicts));
        }
        Err(answer::conflicts(&refused))
    }

    fn try_apply(
        &self,
        live: &Value,
        mut managed: Managed,
        apply: &Apply,
        force: bool,
    ) -> ApiResult<Result<(Value, Managed), Vec<answer::Conflict>>> {
        if managed.is_empty() {
            let before = self.identity(BEFORE_FIRST_APPLY, false);
            let empty = self.of().empty();
            let tracked = self.tracked(&empty, live, managed, &before, apply.now);
            managed = match tracked {
                Ok(managed) => self.capped(managed),
                Err(Refusal::Other(why)) => {
                    let why = format!("failed to create manager for existing fields: {why}");
                    return Err(ApiError::unclassified(why));
                }
                Err(Refusal::Conflicts(_)) => Managed::new(),
            };
        }
        if managed::of(apply.patch).is_some_and(|fields| !fields.is_null()) {
            return Err(ApiError::bad_request("metadata.managedFields must be nil"));
        }
        validate::validate(self.of(), apply.patch).map_err(|why| {
            let what = answer::about(apply.patch);
            ApiError::unclassified(format!(
                "failed to create typed patch object ({what}): {why}"
            ))
        })?;
        let manager = self.identity(apply.manager, true);
        let applied = self
            .updater()
            .apply(live, apply.patch, managed, &manager, force);
        let (new, mut managed) = match applied {
            Ok(applied) => applied,
            Err(Refusal::Conflicts(conflicts)) => return Ok(Err(conflicts)),
            Err(Refusal::Other(why)) => return Err(ApiError::unclassified(why)),
        };
        if let Some(owned) = managed.get_mut(&manager) {
            owned.set = owned.set.difference(&never_owned());
            if new.is_some() {
                owned.time = Some(apply.now.to_owned());
            }
        }
        managed.retain(|_, owned| !owned.set.is_empty());
        Ok(Ok((new.unwrap_or_else(|| live.clone()), managed)))
    }
}

/// What the server sets by itself.
fn never_owned() -> Set {
    Set::of_fields(&[
        "apiVersion",
        "kind",
        "metadata",
        "metadata.name",
        "metadata.namespace",
        "metadata.creationTimestamp",
        "metadata.selfLink",
        "metadata.uid",
        "metadata.clusterName",
        "metadata.generation",
        "metadata.managedFields",
        "metadata.resourceVersion",
    ])
}
