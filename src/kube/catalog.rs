//! What is served at the moment: the built-in resources, and those that CustomResourceDefinitions add.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::Mutex;

use super::codec;
use super::custom;
use super::discovery::Served;
use super::openapi::Customs;
use super::schema::{GroupVersion, Resource, Resources};
use super::store;
use super::views::{Views, World};

/// Where definitions are stored.
pub const DEFINITIONS: &str = "apiextensions.k8s.io/customresourcedefinitions";

/// The resources that are served while no definition changes.
#[derive(Debug, Default)]
pub struct Catalog {
    /// The revision of the last change to a definition; of none before the first look.
    at: Option<i64>,
    custom: Vec<GroupVersion>,
    /// Those of them that are in discovery.
    told: Vec<GroupVersion>,
    /// Their documents, made when somebody asks.
    documents: Arc<Customs>,
}

impl Catalog {
    /// Built-in groups first: no definition can take their place.
    pub fn group_version(&self, group: &str, version: &str) -> Option<&GroupVersion> {
        Resources::built_in()
            .group_version(group, version)
            .or_else(|| {
                let mut custom = self.custom.iter();
                custom.find(|of| &*of.group == group && &*of.version == version)
            })
    }

    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        let of = &self.group_version(group, version)?.resources;
        of.iter().find(|resource| &*resource.plural == plural)
    }

    /// Every custom resource in every version.
    pub fn resources(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.custom.iter().flat_map(|of| &of.resources)
    }

    /// The custom group versions that clients are told of.
    pub fn told(&self) -> &[GroupVersion] {
        &self.told
    }

    /// What OpenAPI says of them.
    pub fn documents(&self) -> &Arc<Customs> {
        &self.documents
    }

    /// Everything that clients are told of.
    pub fn discoverable(&self) -> Served<'_> {
        Served::new(Resources::built_in(), &self.told)
    }
}

/// What a definition of a revision adds.
type Read = (i64, Arc<[Arc<Resource>]>);

/// Keeps the catalog up to date.
#[derive(Debug)]
pub struct Catalogs {
    views: Views,
    current: ArcSwap<Catalog>,
    /// What each definition adds, by its key and revision: schemas are large, and one changes at a time.
    read: Mutex<HashMap<Bytes, Read>>,
}

impl Catalogs {
    pub fn new(views: Views) -> Self {
        Self {
            views,
            current: ArcSwap::default(),
            read: Mutex::default(),
        }
    }

    /// The catalog of the newest state that this member has heard of.
    pub fn current(&self) -> Arc<Catalog> {
        let world = self.views.world();
        let changed = world.changed(DEFINITIONS);
        let current = self.current.load_full();
        if current.at == Some(changed) {
            return current;
        }
        let made = Arc::new(self.make(&world, changed));
        self.current.store(Arc::clone(&made));
        made
    }

    fn make(&self, world: &World, changed: i64) -> Catalog {
        let mut read = self.read.lock();
        let mut still = HashMap::new();
        let mut custom: Vec<Arc<Resource>> = Vec::new();
        for stored in world.range(store::prefix(DEFINITIONS, "").as_bytes(), b"") {
            let known = read
                .remove(&stored.key)
                .filter(|(revision, _)| *revision == stored.revision);
            let resources = match (known, codec::object(stored)) {
                (Some((_, resources)), _) => resources,
                (None, Ok(definition)) => custom::served(definition).into(),
                (None, Err(_)) => continue,
            };
            custom.extend(resources.iter().map(Arc::clone));
            still.insert(stored.key.clone(), (stored.revision, resources));
        }
        *read = still;
        let is_told = |resource: &&Arc<Resource>| {
            let kind = resource.custom.as_ref();
            kind.is_some_and(|kind| kind.definition.established)
        };
        let told = custom.iter().filter(is_told).map(Arc::clone);
        let told = custom::group_versions(told);
        Catalog {
            at: Some(changed),
            documents: Arc::new(Customs::new(told.clone())),
            told,
            custom: custom::group_versions(custom),
        }
    }
}
