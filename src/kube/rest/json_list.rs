//! Lists of whole objects as JSON, made while they are sent: neither the tree nor the text of a list is ever in memory.

use std::sync::Arc;

use serde_json::Value;

use super::answer;
use crate::kube::object::write_json;
use crate::kube::schema::Resource;
use crate::kube::views::Stored;
use crate::kube::{codec, convert};

/// Bytes that are sent together, roughly: enough for few writes, few enough to stay in a core's cache.
const CHUNK: usize = 128 << 10;

/// The text of a list, chunk by chunk.
pub(super) struct JsonList {
    resource: Arc<Resource>,
    /// Whether objects of the resource may be sent as they are stored.
    as_stored: bool,
    /// Up to the bracket that opens the items; taken by the first chunk.
    head: Option<Vec<u8>>,
    items: std::vec::IntoIter<Arc<Stored>>,
    first: bool,
    ended: bool,
}

impl JsonList {
    pub(super) fn new(resource: Arc<Resource>, metadata: &Value, items: Vec<Arc<Stored>>) -> Self {
        let mut head = Vec::with_capacity(256);
        head.extend_from_slice(b"{\"kind\":");
        write_json(&format!("{}List", resource.kind).into(), false, &mut head);
        head.extend_from_slice(b",\"apiVersion\":");
        write_json(&resource.api_version().into(), false, &mut head);
        head.extend_from_slice(b",\"metadata\":");
        write_json(metadata, false, &mut head);
        head.extend_from_slice(b",\"items\":[");
        Self {
            as_stored: convert::is_stored_as_served(&resource),
            resource,
            head: Some(head),
            items: items.into_iter(),
            first: true,
            ended: false,
        }
    }

    /// Bytes of the whole, roughly.
    pub(super) fn size(&self) -> usize {
        let items = self.items.as_slice().iter();
        items.map(|stored| stored.value.len() + 32).sum::<usize>() + 256
    }

    fn write(&mut self, stored: &Stored, out: &mut Vec<u8>) {
        let before = out.len();
        if !self.first {
            out.push(b',');
        }
        let ready = self.as_stored.then(|| codec::ready(stored)).flatten();
        match ready {
            Some(ready) => ready.write_item(out),
            None => match answer::item(&self.resource, stored) {
                Some(object) => write_item(&object, self.resource.object.is_some(), out),
                None => return out.truncate(before),
            },
        }
        self.first = false;
    }
}

impl Iterator for JsonList {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.ended {
            return None;
        }
        let mut out = Vec::with_capacity(CHUNK + (16 << 10));
        if let Some(head) = self.head.take() {
            out.extend_from_slice(&head);
        }
        while out.len() < CHUNK {
            let Some(stored) = self.items.next() else {
                out.extend_from_slice(b"]}\n");
                self.ended = true;
                break;
            };
            self.write(&stored, &mut out);
        }
        Some(out)
    }
}

/// An object as it stands in a list: those of built-in kinds do not say what they are.
fn write_item(object: &Value, built_in: bool, out: &mut Vec<u8>) {
    let Some(fields) = object.as_object() else {
        return;
    };
    let shown = fields
        .iter()
        .filter(|(key, _)| !built_in || !matches!(key.as_str(), "kind" | "apiVersion"));
    out.push(b'{');
    for (nth, (key, value)) in shown.enumerate() {
        if nth > 0 {
            out.push(b',');
        }
        write_json(&Value::from(key.as_str()), false, out);
        out.push(b':');
        write_json(value, false, out);
    }
    out.push(b'}');
}
