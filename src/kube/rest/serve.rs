//! One request through all stages.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response};
use http_body_util::{BodyExt as _, Limited};
use rustls_pki_types::CertificateDer;
use serde_json::Value;

use super::call::Call;
use super::checks::Progress;
use super::connect::{Leads, Outward};
use super::door::Visit;
use super::event_leases::EventLeases;
use super::form::Form;
use super::frames::ResourceFrames;
use super::limits::{LimitSettings, Limits};
use super::query::{ListOptions, Query};
use super::read::{self, Collection};
use super::reply::{self, KubeBody};
use super::{Answer, Inner, RequestBody, answer, pages, remove, subresources, watching, write};
use crate::base::shutdown::Lifecycle;
use crate::kube::admission::Admission;
use crate::kube::authn::Shown;
use crate::kube::catalog::{Catalog, Catalogs};
use crate::kube::codec;
use crate::kube::flow::Flows;
use crate::kube::gate::{Gate, GateConfig};
use crate::kube::live::Live;
use crate::kube::metrics::KubeMetrics;
use crate::kube::negotiate::Answer as Answering;
use crate::kube::request::{RequestInfo, Target};
use crate::kube::schema::{Resource, Resources, Verb};
use crate::kube::select::{Fields, Selector};
use crate::kube::services::Ranges;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::store::{self, ObjectStore};
use crate::kube::streams::dial::KubeletSettings;
use crate::kube::user::User;
use crate::kube::views::Stored;

/// Bytes of a request's body: kube-apiserver's bound.
const MAX_BODY: usize = 3 << 20;

/// The certificates that a client has shown, its own first. That it has the key is certain; nothing else is.
#[derive(Debug, Clone, Default)]
pub struct ClientCertificate {
    chain: Arc<[CertificateDer<'static>]>,
    /// What is made of it: chains are verified once for a connection, not for each of its requests.
    shown: Arc<OnceLock<Shown>>,
}

impl ClientCertificate {
    pub fn new(chain: Arc<[CertificateDer<'static>]>) -> Self {
        Self {
            chain,
            shown: Arc::default(),
        }
    }

    /// Whether the client has shown none.
    pub fn is_empty(&self) -> bool {
        self.chain.is_empty()
    }

    /// What is made of it, by whoever judges it first.
    pub(in crate::kube) fn shown(
        &self,
        judge: impl FnOnce(&[CertificateDer<'static>]) -> Shown,
    ) -> &Shown {
        self.shown.get_or_init(|| judge(&self.chain))
    }
}

/// What the API says of itself.
#[derive(Debug, Clone)]
pub struct KubeSettings {
    /// `host:port` under which others reach it.
    pub address: String,
    /// Addresses of services, as `--service-cluster-ip-range` has them, and the first of them.
    pub service_range: String,
    pub service_address: IpAddr,
    /// `--secure-port`.
    pub port: u16,
    /// Who is let in.
    pub gate: GateConfig,
    /// What services are given addresses and ports from.
    pub services: Ranges,
    /// Admission plugins besides the default ones.
    pub admission_enabled: Vec<String>,
    /// Admission plugins that are left out.
    pub admission_disabled: Vec<String>,
    /// How kubelets are called.
    pub kubelet: KubeletSettings,
    /// How much is taken on, and for how long.
    pub limits: LimitSettings,
    /// Where others reach this member: `--advertise-address`.
    pub advertise: IpAddr,
    /// The machine's name.
    pub host: String,
}

/// Serves the Kubernetes API of one member. Cheap to clone.
#[derive(Clone)]
pub struct KubeServer {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for KubeServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubeServer")
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

/// What a request is found to be.
pub(super) enum Outcome {
    Done(Response<KubeBody>),
    Refused(ApiError),
}

impl From<ApiError> for Outcome {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

impl KubeServer {
    /// Serves what `store` has, until `life` ends.
    ///
    /// # Errors
    /// A text for the log: files of the gate or of the way to kubelets cannot be used, or there is no such
    /// admission plugin.
    pub fn new(
        store: ObjectStore,
        settings: KubeSettings,
        metrics: Arc<KubeMetrics>,
        life: &Lifecycle,
    ) -> Result<Self, String> {
        let live = Arc::new(Live::new(store.views().clone()));
        let objects = || Arc::clone(&live) as Arc<_>;
        let gate = Gate::new(&settings.gate, objects(), metrics.gate.clone())?;
        let flows = Flows::new(objects());
        let admission = Admission::new(
            store.clone(),
            Arc::clone(&live),
            Arc::clone(gate.authorizer()),
            &settings.admission_enabled,
            &settings.admission_disabled,
        )?;
        Ok(Self {
            inner: Arc::new(Inner {
                catalogs: Catalogs::new(store.views().clone()),
                store,
                live,
                gate,
                admission,
                event_leases: EventLeases::default(),
                outward: Outward::new(&settings.kubelet, life)?,
                limits: Limits::new(&settings.limits),
                flows,
                metrics,
                progress: Progress::default(),
                settings,
            }),
        })
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// The resource that a target names, if it is served.
    pub(super) fn resource(&self, target: &Target) -> Option<Arc<Resource>> {
        let catalog = self.inner.catalogs.current();
        catalog
            .find(&target.group, &target.version, &target.resource)
            .cloned()
    }

    /// Answers a request that has been let in.
    pub(super) async fn process(
        &self,
        parts: Parts,
        body: RequestBody,
        info: RequestInfo,
        user: User,
        visit: &mut Visit,
    ) -> Outcome {
        let query = parts.uri.query().unwrap_or_default();
        let Some(target) = info.target.clone() else {
            return match pages::page(&self.inner, &parts, &info.path, &Query::parse(query)).await {
                Some(response) => Outcome::Done(response),
                None if is_other_version(&self.inner.catalogs.current(), &info.path) => {
                    ApiError::no_such_resource().into()
                }
                None => Outcome::Done(reply::page_not_found()),
            };
        };
        let call = match find(
            &self.inner.catalogs.current(),
            &parts,
            query,
            user,
            target,
            info.clone(),
        ) {
            Ok(Some(call)) => call,
            Ok(None) => return Outcome::Done(reply::page_not_found()),
            Err(error) => return error.into(),
        };
        visit.is_for(self, &call.resource, call.subresource_name());
        call.warn_of_deprecation();
        let outcome = match Leads::of(&call) {
            Some(leads) => {
                let led = self.lead(leads, &call, parts, body).await;
                led.map_or_else(Outcome::Refused, Outcome::Done)
            }
            None => self.serve(&call, &info, body).await,
        };
        visit.warnings.append(&mut call.warnings.lock());
        outcome
    }

    /// Runs the verb of a request for a resource.
    async fn serve(&self, call: &Call, info: &RequestInfo, body: RequestBody) -> Outcome {
        let purpose = match info.verb.as_str() {
            "list" | "deletecollection" => Answering::List,
            "watch" => Answering::Watch,
            _ => Answering::Object,
        };
        let form = match Form::choose(&call.headers, &call.query, purpose, &call.resource) {
            Ok(form) => form,
            Err(error) => return error.into(),
        };
        let served = async {
            if info.verb == "watch" {
                return self.watch(call, form).await;
            }
            self.verb(call, &info.verb, form, body).await
        };
        match served.await {
            Ok(response) => Outcome::Done(response),
            Err(error) => Outcome::Refused(error),
        }
    }

    async fn verb(
        &self,
        call: &Call,
        verb: &str,
        form: Form,
        body: RequestBody,
    ) -> ApiResult<Response<KubeBody>> {
        let inner = &*self.inner;
        check_verb(call, verb)?;
        if verb == "list" {
            return self.list(call, form).await;
        }
        let body = if verb == "get" {
            Bytes::new()
        } else {
            read_body(body).await?
        };
        let answered: Answer = match verb {
            _ if call.subresource.is_some() => {
                subresources::serve(inner, call, verb, &body).await?
            }
            "get" => {
                let stored = find_stored(inner, call).await?;
                return answer::stored(call, &form, &stored);
            }
            "create" if call.resource.key.is_none() => {
                subresources::create_virtual(inner, call, &body).await?
            }
            "create" => write::create(inner, call, &body).await?,
            "update" => write::update(inner, call, &body).await?,
            "patch" => write::patch(inner, call, &body).await?,
            "delete" => remove::delete(inner, call, &body).await?,
            "deletecollection" => remove::delete_collection(inner, call, &body).await?,
            _ => return Err(ApiError::method_not_allowed()),
        };
        answer::one(call, &form, &answered)
    }

    async fn list(&self, call: &Call, form: Form) -> ApiResult<Response<KubeBody>> {
        let options = ListOptions::parse(&call.query)?;
        let selector = selector(call, &options)?;
        let collection = collection(call, &selector)?;
        let selects =
            |stored: &Stored| codec::object(stored).is_ok_and(|object| selector.matches(object));
        let places = &self.inner.metrics.places;
        let series = places.of(
            collection.place,
            &call.resource.group,
            &call.resource.plural,
        );
        let page = read::list(&self.inner.store, &collection, &options, &selects, &series).await?;
        answer::page(call, &form, page)
    }

    async fn watch(&self, call: &Call, form: Form) -> ApiResult<Response<KubeBody>> {
        check_verb(call, "watch")?;
        let options = ListOptions::parse(&call.query)?;
        let options = ListOptions {
            watch: true,
            ..options
        };
        let selector = selector(call, &options)?;
        let collection = collection(call, &selector)?;
        let limits = &self.inner.limits;
        let lifetime = options.timeout.unwrap_or_else(|| limits.watch_life());
        let frames = ResourceFrames::new(call, form, selector.clone(), &self.inner.metrics)?;
        let stream = watching::open(
            &self.inner.store,
            &collection,
            call.resource.namespaced,
            &options,
            lifetime,
            Arc::new(frames),
        );
        Ok(reply::streamed(form.watch_type(), stream.await?))
    }
}

fn knows_group(catalog: &Catalog, group: &str) -> bool {
    let built_in = Resources::built_in().groups().iter();
    let mut custom = catalog.resources();
    built_in
        .map(|known| &known.group)
        .any(|known| **known == *group)
        || custom.any(|known| *known.group == *group)
}

/// Whether a path is that of a version of a group that is served in other versions.
fn is_other_version(catalog: &Catalog, path: &str) -> bool {
    let mut segments = path.trim_matches('/').split('/');
    match (segments.next(), segments.next(), segments.next()) {
        (Some("api"), Some(_), None) => true,
        (Some("apis"), Some(group), Some(_)) => knows_group(catalog, group),
        _ => false,
    }
}

/// The resource that a target names. None if there is no such group version.
fn find(
    catalog: &Catalog,
    parts: &Parts,
    query: &str,
    user: User,
    target: Target,
    info: RequestInfo,
) -> ApiResult<Option<Call>> {
    if catalog
        .group_version(&target.group, &target.version)
        .is_none()
    {
        if knows_group(catalog, &target.group) {
            return Err(ApiError::no_such_resource());
        }
        return Ok(None);
    }
    let resource = catalog.find(&target.group, &target.version, &target.resource);
    let resource = resource.ok_or_else(ApiError::no_such_resource)?.clone();
    let subresource = match &*target.subresource {
        "" => None,
        name => Some(
            resource
                .subresource_named(name)
                .ok_or_else(ApiError::no_such_resource)?
                .clone(),
        ),
    };
    if resource.namespaced
        && target.namespace.is_empty()
        && !target.name.is_empty()
        && !target.name_is_selected
    {
        return Err(ApiError::no_such_resource());
    }
    if !resource.namespaced && !target.namespace.is_empty() && &*resource.plural != "namespaces" {
        return Err(ApiError::no_such_resource());
    }
    Ok(Some(Call {
        method: parts.method.clone(),
        headers: parts.headers.clone(),
        query: Query::parse(query),
        user,
        target,
        info,
        resource,
        subresource,
        warnings: parking_lot::Mutex::default(),
        charged: crate::kube::admission::Charged::default(),
    }))
}

fn check_verb(call: &Call, verb: &str) -> ApiResult<()> {
    let verbs = call
        .subresource
        .as_ref()
        .map_or(call.resource.verbs, |sub| sub.verbs);
    let known = Verb::ALL.into_iter().find(|known| known.as_str() == verb);
    // One object of a collection is asked for by its name, all of it without.
    let placed = match known {
        Some(Verb::Create) => call.subresource.is_some() != call.name().is_empty(),
        Some(Verb::Update | Verb::Patch) => !call.name().is_empty(),
        // By a path of its own it is one whatever the method.
        Some(Verb::Watch) => call.method == Method::GET,
        _ => true,
    };
    let everywhere = call.resource.namespaced && call.target.namespace.is_empty();
    let placed =
        placed && !(everywhere && matches!(known, Some(Verb::Create | Verb::DeleteCollection)));
    let read = call.method != Method::HEAD && call.method != Method::OPTIONS;
    match known {
        Some(known) if verbs.has(known) && placed && read => Ok(()),
        _ => Err(ApiError::method_not_allowed()),
    }
}

fn selector(call: &Call, options: &ListOptions) -> ApiResult<Selector> {
    let fields = Fields::of(&call.resource);
    let mut selector = Selector::parse(&options.label_selector, &options.field_selector, &fields)?;
    // A watch of one object, by its path.
    if !call.target.name.is_empty() && !call.target.name_is_selected {
        let by_name = format!("metadata.name={}", call.target.name);
        selector = Selector::parse(&options.label_selector, &by_name, &fields)?;
    }
    Ok(selector)
}

fn collection<'a>(call: &'a Call, selector: &'a Selector) -> ApiResult<Collection<'a>> {
    Ok(Collection {
        place: store::place(&call.resource)?,
        namespace: call.namespace(),
        selector,
    })
}

/// One object as it is stored. Without a version it is the latest one; with one, whatever this member has at
/// least.
async fn find_stored(inner: &Inner, call: &Call) -> ApiResult<Arc<Stored>> {
    let key = store::key(store::place(&call.resource)?, call.namespace(), call.name());
    let version = call.query.get("resourceVersion").unwrap_or_default();
    let found = match version {
        "" => inner.store.read(key).await?.map(Arc::new),
        "0" => inner.store.views().world().get(&key).cloned(),
        version => {
            let revision = super::query::parse_version(version)
                .map_err(|error| ApiError::unclassified(error.to_string()))?;
            inner
                .store
                .not_older_than(revision)
                .await?
                .get(&key)
                .cloned()
        }
    };
    found.ok_or_else(|| ApiError::not_found(&call.resource, call.name()))
}

/// One object, decoded; see [`find_stored`].
pub(super) async fn get(inner: &Inner, call: &Call) -> ApiResult<Answer> {
    let stored = find_stored(inner, call).await?;
    let object = answer::decoded(call, &stored)?;
    Ok(Answer::of(Value::clone(&object)))
}

/// Reads the whole body.
async fn read_body(body: RequestBody) -> ApiResult<Bytes> {
    let read = Limited::new(body, MAX_BODY).collect().await;
    match read {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(ApiError::too_large(
            format!("Request entity too large: limit is {MAX_BODY}"),
        )),
        Err(error) => Err(ApiError::bad_request(format!(
            "the body cannot be read: {error}"
        ))),
    }
}
