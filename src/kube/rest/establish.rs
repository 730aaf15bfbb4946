//! What the server makes for itself at its start: namespaces, roles and bindings, and whatever else clients rely on.
//!
//! Every member does it, since any of them may be the first; what another one has made meanwhile is found and left.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use serde_json::Value;

use super::call::Call;
use super::checks::Part;
use super::options::WriteOptions;
use super::query::Query;
use super::serve::KubeServer;
use super::write::{self, Change as Rewrite, Owners};
use super::{Inner, remove};
use crate::base::clock;
use crate::kube::bootstrap::{self, Change, Facts, FrontProxyFacts, Own};
use crate::kube::codec;
use crate::kube::object::{conform, meta};
use crate::kube::request::{RequestInfo, Target};
use crate::kube::schema::{Resource, Resources, Schema};
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::store;
use crate::kube::strategy::deletion::DeleteOptions;
use crate::kube::user::{MASTERS, User};

/// Between attempts while the cluster cannot take writes.
const RETRY: Duration = Duration::from_millis(200);
/// Times that an update is tried while other members do the same.
const TRIED: usize = 5;

impl KubeServer {
    /// Makes what is missing; completes once everything is there.
    pub async fn establish(&self) {
        let facts = self.facts();
        let (namespaces, mut others): (Vec<Own>, Vec<Own>) = bootstrap::cluster_objects(&facts)
            .into_iter()
            .partition(|own| own.plural == "namespaces");
        self.establish_all(&namespaces).await;
        others.sort_by_key(|own| Part::of(own) as u8);
        let parts = others.chunk_by(|one, other| Part::of(one) == Part::of(other));
        futures::future::join_all(parts.map(|part| self.establish_all(part))).await;
        self.establish_all(bootstrap::roles_and_bindings()).await;
        tracing::info!("the Kubernetes API has the objects that it begins with");
    }

    /// What the objects say of this server.
    pub(super) fn facts(&self) -> Facts {
        let settings = &self.inner().settings;
        Facts {
            service_range: settings.service_range.clone(),
            service_address: settings.service_address,
            port: settings.port,
            client_ca: settings
                .gate
                .client_ca
                .as_ref()
                .and_then(|path| std::fs::read_to_string(path).ok()),
            front_proxy: settings.gate.front_proxy.as_ref().and_then(|proxy| {
                Some(FrontProxyFacts {
                    ca: std::fs::read_to_string(&proxy.ca).ok()?,
                    names: proxy.names.clone(),
                    headers: proxy.headers.clone(),
                })
            }),
            now: clock::unix_time(),
        }
    }

    /// All of one part at once: they share log entries, and there are a few hundred.
    async fn establish_all(&self, all: &[Own]) {
        futures::future::join_all(all.iter().map(|own| self.insist(own))).await;
        if let Some(one) = all.first() {
            self.inner().progress.done(Part::of(one));
        }
    }

    async fn insist(&self, own: &Own) {
        while let Err(error) = ensure(self.inner(), own).await {
            tracing::debug!(%error, name = own.name(), "cannot be made yet");
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Makes one object as it has to be.
pub(super) async fn ensure(inner: &Inner, own: &Own) -> ApiResult<()> {
    let call = call(own)?;
    let key = store::key(store::place(&call.resource)?, own.namespace(), own.name());
    // The views are as new as this member was when it began; what has been made since is found on writing.
    let existing = inner.store.views().world().get(&key).cloned();
    let existing = existing.and_then(|stored| codec::object(&stored).ok().cloned());
    let done = match own.change(existing.as_deref()) {
        Change::Nothing => Ok(()),
        Change::Create(object) => create(inner, &call, object).await,
        Change::Update(object) => {
            let change = Rewrite {
                options: &WriteOptions::default(),
                attempts: TRIED,
                owners: Owners::Tracked,
            };
            let object = whole(&call, &object);
            change
                .run(inner, &call, |current| {
                    let mut wanted = object.clone();
                    if call.resource.needs_version {
                        meta::set(
                            &mut wanted,
                            "resourceVersion",
                            meta::resource_version(current),
                        );
                    }
                    Ok(wanted)
                })
                .await
                .map(|_| ())
        }
        Change::Recreate(object) => {
            if let Some(stored) = inner.store.read(key).await? {
                remove::remove(inner, &call, stored, &DeleteOptions::default()).await?;
            }
            create(inner, &call, object).await
        }
    };
    match done {
        // Another member was quicker.
        Err(error) if matches!(error.code, 404 | 409) => Ok(()),
        done => done,
    }
}

async fn create(inner: &Inner, call: &Call, object: Value) -> ApiResult<()> {
    let object = whole(call, &object);
    let made = write::create_decoded(
        inner,
        call,
        object,
        &WriteOptions::default(),
        Owners::Tracked,
    )
    .await;
    made.map(|_| ())
}

/// In Go form, with defaults.
fn whole(call: &Call, object: &Value) -> Value {
    let schema = Schema::built_in();
    let Some(id) = call.resource.object else {
        return object.clone();
    };
    let conformed = conform(schema, id, object);
    let mut object = conformed.map_or_else(|_| object.clone(), |conformed| conformed.value);
    meta::strip_resource_version(&mut object);
    crate::kube::defaults::apply(schema, id, &mut object);
    object
}

/// A request of the server's own.
pub(super) fn call(own: &Own) -> ApiResult<Call> {
    let resource = Resources::built_in().find(own.group, own.version, own.plural);
    let resource = resource.ok_or_else(ApiError::no_such_resource)?;
    Ok(call_of(Arc::clone(resource), own.namespace(), own.name()))
}

/// A request of the server's own for an object, or for a part of it.
pub(super) fn call_of(resource: Arc<Resource>, namespace: &str, name: &str) -> Call {
    Call {
        method: Method::PUT,
        headers: HeaderMap::new(),
        query: Query::parse("fieldManager=kube-apiserver"),
        user: User {
            name: "system:apiserver".into(),
            groups: vec![MASTERS.into()],
            ..User::default()
        },
        target: Target {
            group: resource.group.to_string(),
            version: resource.version.to_string(),
            resource: resource.plural.to_string(),
            namespace: namespace.into(),
            name: name.into(),
            ..Target::default()
        },
        info: RequestInfo::default(),
        resource,
        subresource: None,
        warnings: parking_lot::Mutex::default(),
        charged: crate::kube::admission::Charged::default(),
    }
}
