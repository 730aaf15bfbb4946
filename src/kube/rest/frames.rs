//! The frames of a watch: events of one resource in one form, for one selection.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::call::Call;
use super::form::{Form, Shape};
use super::watching::Frames;
use super::{answer, steps};
use crate::kube::codec;
use crate::kube::object::{self, Format, meta, protobuf};
use crate::kube::schema::{Resource, Schema};
use crate::kube::select::Selector;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::table::{self, Printer};
use crate::kube::views::{Event, EventKind, Stored};

/// The annotation of the bookmark that ends the state.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// See the module comment.
pub(super) struct ResourceFrames {
    resource: Resource,
    form: Form,
    selector: Selector,
    table: Option<(Printer, table::Options)>,
    /// Tells this encoding of an event from others of the same resource.
    name: u64,
}

impl ResourceFrames {
    /// For the watch that `call` is.
    ///
    /// # Errors
    /// 400 for a table that cannot be made.
    pub(super) fn new(call: &Call, form: Form, selector: Selector) -> ApiResult<Self> {
        let mut name = DefaultHasher::new();
        (call.resource.api_version(), form.media).hash(&mut name);
        format!("{:?}", form.shape).hash(&mut name);
        call.query.get("includeObject").hash(&mut name);
        // A definition that changes makes its kinds anew: columns may be others then.
        let definition = call.resource.custom.as_ref();
        let definition = definition.map(|kind| Arc::as_ptr(&kind.definition));
        definition.hash(&mut name);
        let table = match form.shape {
            Shape::Table(version) => {
                let options = answer::table_options(call, version, true)?;
                Some((Printer::of(&call.resource, None), options))
            }
            _ => None,
        };
        Ok(Self {
            resource: call.resource.clone(),
            form,
            selector,
            table,
            name: name.finish(),
        })
    }

    /// An object as the request's version has it.
    fn served(&self, stored: &Stored) -> Option<Arc<Value>> {
        answer::item(&self.resource, stored)
    }

    fn frame(&self, kind: &str, object: &Value) -> Option<Bytes> {
        let shaped = match self.form.shape {
            Shape::Whole => None,
            Shape::Table(_) => {
                let (printer, options) = self.table.as_ref()?;
                let now = steps::wall();
                let options = table::Options { now, ..*options };
                Some(table::render_object(printer, &self.resource, object, &options).ok()?)
            }
            Shape::Metadata(version) => Some(meta::partial(object, version)),
        };
        self.write(kind, shaped.as_ref().unwrap_or(object))
    }

    fn write(&self, kind: &str, object: &Value) -> Option<Bytes> {
        let schema = Schema::built_in();
        match self.form.media {
            Format::Json | Format::Yaml => {
                let mut out = Vec::with_capacity(1024);
                out.extend_from_slice(b"{\"type\":\"");
                out.extend_from_slice(kind.as_bytes());
                out.extend_from_slice(b"\",\"object\":");
                serde_json::to_writer(&mut out, object).ok()?;
                out.extend_from_slice(b"}\n");
                Some(out.into())
            }
            Format::Protobuf => {
                let id = codec::type_of_any(schema, object)?;
                let envelope = protobuf::encode(schema, id, object);
                Some(protobuf::watch_frame(kind, &envelope).into())
            }
        }
    }
}

impl Frames for ResourceFrames {
    fn selects(&self, stored: &Stored) -> bool {
        self.selector.is_everything()
            || codec::object(stored).is_ok_and(|object| self.selector.matches(object))
    }

    fn initial(&self, stored: &Stored) -> Option<Bytes> {
        self.frame(EventKind::Added.as_str(), &*self.served(stored)?)
    }

    fn event(&self, event: &Event, kind: EventKind) -> Option<Bytes> {
        let encode = || {
            if kind == EventKind::Deleted {
                let mut object = Value::clone(&*self.served(event.before.as_deref()?)?);
                // It left at this revision; what it was is what it was before.
                meta::set_resource_version(&mut object, codec::version(event.revision));
                self.frame(kind.as_str(), &object)
            } else {
                self.frame(kind.as_str(), &*self.served(event.now.as_deref()?)?)
            }
        };
        let mut failed = false;
        let mut name = DefaultHasher::new();
        (self.name, kind).hash(&mut name);
        let frame = event.frame(name.finish(), || {
            encode().unwrap_or_else(|| {
                failed = true;
                Bytes::new()
            })
        });
        (!failed && !frame.is_empty()).then_some(frame)
    }

    fn bookmark(&self, revision: i64, initial_end: bool) -> Bytes {
        let mut metadata = Map::new();
        metadata.insert("resourceVersion".into(), revision.to_string().into());
        if initial_end {
            metadata.insert("annotations".into(), json!({INITIAL_EVENTS_END: "true"}));
        }
        let mut object = json!({
            "kind": &*self.resource.kind,
            "apiVersion": self.resource.api_version(),
            "metadata": metadata,
        });
        // With the parts that Go's encoder writes of an empty struct.
        if let Some(id) = self.resource.object
            && let Ok(whole) = object::conform(Schema::built_in(), id, &object)
        {
            object = whole.value;
        }
        self.frame("BOOKMARK", &object).unwrap_or_default()
    }

    fn error(&self, error: &ApiError) -> Bytes {
        self.write("ERROR", &error.to_value()).unwrap_or_default()
    }
}
