//! The frames of a watch: events of one resource in one form, for one selection.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::call::Call;
use super::form::{Form, Shape};
use super::watching::Frames;
use super::{answer, steps};
use crate::base::clock;
use crate::kube::metrics::{KubeMetrics, PlaceSeries, Scope, WatchSeries};
use crate::kube::object::{self, Format, meta, protobuf};
use crate::kube::schema::{Resource, Schema};
use crate::kube::select::Selector;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::table::{self, Printer};
use crate::kube::views::{Event, EventKind, Stored};
use crate::kube::{codec, convert};

/// The annotation of the bookmark that ends the state.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// See the module comment.
pub(super) struct ResourceFrames {
    resource: Arc<Resource>,
    /// Whether objects of the resource may be sent as they are stored.
    as_stored: bool,
    form: Form,
    selector: Selector,
    table: Option<(Printer, table::Options)>,
    /// Tells this encoding of an event from others of the same resource.
    name: u64,
    series: Arc<WatchSeries>,
    /// Counts the objects of the state that the watch begins with.
    places: Option<Arc<PlaceSeries>>,
    scope: Scope,
    began: Instant,
}

impl ResourceFrames {
    /// For the watch that `call` is.
    ///
    /// # Errors
    /// 400 for a table that cannot be made.
    pub(super) fn new(
        call: &Call,
        form: Form,
        selector: Selector,
        metrics: &KubeMetrics,
    ) -> ApiResult<Self> {
        let resource = &call.resource;
        let (group, plural) = (&resource.group, &resource.plural);
        let place = resource.key.as_deref();
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
            as_stored: convert::is_stored_as_served(&call.resource),
            resource: Arc::clone(&call.resource),
            form,
            selector,
            table,
            name: name.finish(),
            series: metrics.watches.of(group, &resource.version, plural),
            places: place.map(|place| metrics.places.of(place, group, plural)),
            scope: Scope::of(&call.info),
            began: clock::now(),
        })
    }

    /// An object as the request's version has it.
    fn served(&self, stored: &Stored) -> Option<Arc<Value>> {
        answer::item(&self.resource, stored)
    }

    /// The frame of an object that is sent as it is stored, with the revision at which it went if it has; none for
    /// what has to be decoded.
    fn spliced(&self, kind: EventKind, stored: &Stored, gone: Option<i64>) -> Option<Bytes> {
        let plain = self.form.shape == Shape::Whole && self.form.media == Format::Json;
        if !plain || !self.as_stored {
            return None;
        }
        let ready = codec::ready(stored)?;
        let mut out = Vec::with_capacity(ready.size() + 64);
        begin_json(kind.as_str(), &mut out);
        match gone {
            Some(revision) => ready.write_at(revision, &mut out),
            None => ready.write(&mut out),
        }
        out.extend_from_slice(b"}\n");
        Some(out.into())
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
                begin_json(kind, &mut out);
                object::write_json(object, false, &mut out);
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

fn begin_json(kind: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"object\":");
}

impl Frames for ResourceFrames {
    fn selects(&self, stored: &Stored) -> bool {
        self.selector.is_everything()
            || codec::object(stored).is_ok_and(|object| self.selector.matches(object))
    }

    fn initial(&self, stored: &Stored) -> Option<Bytes> {
        let spliced = self.spliced(EventKind::Added, stored, None);
        let frame = match spliced {
            Some(frame) => frame,
            None => self.frame(EventKind::Added.as_str(), &*self.served(stored)?)?,
        };
        if let Some(places) = &self.places {
            places.initial.inc();
        }
        self.series.sent(frame.len());
        Some(frame)
    }

    fn event(&self, event: &Event, kind: EventKind) -> Option<Bytes> {
        let encode = || {
            let gone = (kind == EventKind::Deleted).then_some(event.revision);
            let told = if gone.is_some() {
                &event.before
            } else {
                &event.now
            };
            let told = told.as_deref()?;
            if let Some(frame) = self.spliced(kind, told, gone) {
                return Some(frame);
            }
            if gone.is_some() {
                let mut object = Value::clone(&*self.served(told)?);
                // It left at this revision; what it was is what it was before.
                meta::set_resource_version(&mut object, codec::version(event.revision));
                self.frame(kind.as_str(), &object)
            } else {
                self.frame(kind.as_str(), &*self.served(told)?)
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
        if failed || frame.is_empty() {
            return None;
        }
        self.series.sent(frame.len());
        Some(frame)
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
        let frame = self.frame("BOOKMARK", &object).unwrap_or_default();
        self.series.sent(frame.len());
        if initial_end {
            self.series.listed(self.scope, self.began);
        }
        frame
    }

    fn error(&self, error: &ApiError) -> Bytes {
        self.write("ERROR", &error.to_value()).unwrap_or_default()
    }
}
