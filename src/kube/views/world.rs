//! Everything under `/registry/` at one revision, as an immutable ordered map.

use std::ops::Bound;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use imbl::OrdMap;
use serde_json::Value;

/// The objects of all resources at one revision, in key order. A copy shares everything with its original.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// The revision that the objects are at.
    pub revision: i64,
    objects: OrdMap<Bytes, Arc<Stored>>,
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
}

impl Stored {
    pub fn new(key: Bytes, value: Bytes, revision: i64) -> Self {
        Self {
            key,
            value,
            revision,
            object: OnceLock::new(),
        }
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
    fn a_copy_does_not_change_with_its_original() {
        let mut world = world(&["/a"]);
        let before = world.clone();
        world.remove(b"/a");
        assert!(world.is_empty() && before.len() == 1);
    }
}
