//! Everything under `/registry/` at one revision, as an immutable ordered map.

use std::ops::Bound;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use imbl::OrdMap;
use serde_json::Value;

use crate::kube::object::splice::Places;

/// The objects of all resources at one revision, in key order. A copy shares everything with its original.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// The revision that the objects are at.
    pub revision: i64,
    objects: OrdMap<Bytes, Arc<Stored>>,
    /// The revision of the last change by the first part of the place: `pods` of `/registry/pods/`.
    changed: OrdMap<Bytes, i64>,
    /// What has no entry in `changed` has not changed since.
    since: i64,
}

/// One stored object: its bytes, and what they mean once somebody has asked.
#[derive(Debug)]
pub struct Stored {
    pub key: Bytes,
    /// As written: JSON, or the protobuf envelope of a kube-apiserver.
    pub value: Bytes,
    /// Of the last change: the object's resource version.
    pub revision: i64,
    object: OnceLock<Result<Arc<Value>, Arc<str>>>,
    /// Where the bytes are cut to serve them as they are; none if they cannot be.
    places: OnceLock<Option<Places>>,
}

impl Stored {
    pub fn new(key: Bytes, value: Bytes, revision: i64) -> Self {
        Self {
            key,
            value,
            revision,
            object: OnceLock::new(),
            places: OnceLock::new(),
        }
    }

    /// Where the bytes are cut, looked for once for everybody.
    pub fn places(&self, find: impl FnOnce(&Self) -> Option<Places>) -> Option<&Places> {
        self.places.get_or_init(|| find(self)).as_ref()
    }

    /// The decoded object, decoded once for everybody.
    ///
    /// # Errors
    /// What `decode` said at the first call.
    pub fn object(
        &self,
        decode: impl FnOnce(&Self) -> Result<Value, String>,
    ) -> Result<&Arc<Value>, &str> {
        let decoded = self.object.get_or_init(|| match decode(self) {
            Ok(object) => Ok(Arc::new(object)),
            Err(why) => Err(why.into()),
        });
        decoded.as_ref().map_err(|why| &**why)
    }
}

impl World {
    pub fn get(&self, key: &[u8]) -> Option<&Arc<Stored>> {
        self.objects.get(key)
    }

    /// The objects whose keys begin with `prefix`, in key order, from the first key at or above `start`.
    pub fn range<'a>(
        &'a self,
        prefix: &'a [u8],
        start: &'a [u8],
    ) -> impl Iterator<Item = &'a Arc<Stored>> + 'a {
        let from = start.max(prefix);
        let range = self
            .objects
            .range::<_, [u8]>((Bound::Included(from), Bound::Unbounded));
        range
            .map(|(_, stored)| stored)
            .take_while(move |stored| stored.key.starts_with(prefix))
    }

    /// The revision of the last change to what is stored under a place, or of what the views began with.
    pub fn changed(&self, place: &str) -> i64 {
        let first = place.split('/').next().unwrap_or(place);
        self.changed
            .get(first.as_bytes())
            .copied()
            .unwrap_or(self.since)
    }

    /// The world as it was read is the beginning.
    pub(super) fn begin(&mut self, revision: i64) {
        self.revision = revision;
        self.since = revision;
    }

    /// Something has changed at a key.
    pub(super) fn touch(&mut self, key: &Bytes, revision: i64) {
        let mut slashes = key.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        // `/registry/`, then what is wanted.
        if let (Some(_), Some((from, _)), to) = (slashes.next(), slashes.next(), slashes.next()) {
            let to = to.map_or(key.len(), |(to, _)| to);
            self.changed.insert(key.slice(from + 1..to), revision);
        }
    }

    /// Objects in all.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Puts an object in its place; gives what was there.
    pub(super) fn put(&mut self, stored: Arc<Stored>) -> Option<Arc<Stored>> {
        self.objects.insert(stored.key.clone(), stored)
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Arc<Stored>> {
        self.objects.remove(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(keys: &[&str]) -> World {
        let mut world = World::default();
        for (revision, key) in (1..).zip(keys) {
            let key = Bytes::copy_from_slice(key.as_bytes());
            world.put(Arc::new(Stored::new(key, Bytes::new(), revision)));
        }
        world
    }

    #[test]
    fn a_range_is_a_prefix_from_a_start_on() {
        let world = world(&["/a/x", "/a/y", "/a/z", "/ab/x", "/b/x"]);
        let keys = |prefix: &str, start: &str| -> Vec<String> {
            let range = world.range(prefix.as_bytes(), start.as_bytes());
            range
                .map(|stored| String::from_utf8(stored.key.to_vec()).unwrap())
                .collect()
        };
        assert_eq!(keys("/a/", ""), ["/a/x", "/a/y", "/a/z"]);
        assert_eq!(keys("/a/", "/a/x\0"), ["/a/y", "/a/z"]);
        assert_eq!(keys("/c/", ""), [""; 0]);
    }

    #[test]
    fn changes_are_known_by_resource() {
        let mut world = World::default();
        world.begin(5);
        world.touch(
            &Bytes::from_static(b"/registry/services/specs/default/a"),
            7,
        );
        assert_eq!(
            (world.changed("services/endpoints"), world.changed("pods")),
            (7, 5)
        );
    }

    #[test]
    fn a_copy_does_not_change_with_its_original() {
        let mut world = world(&["/a"]);
        let before = world.clone();
        world.remove(b"/a");
        assert!(world.is_empty() && before.len() == 1);
    }
}
