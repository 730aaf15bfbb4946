//! The way in: what every request goes through before anybody looks at what it is for.
//!
//! The order is that of kube-apiserver's filters: its time, who makes it and as whom, which flow it belongs to and
//! whether there is room, whether they may. On the way out it is counted.

use std::sync::Arc;
use std::time::Instant;

use http::request::Parts;
use http::{HeaderValue, Request, Response, header};
use http_body::Body as _;

use super::form::Form;
use super::query::Query;
use super::reply::{self, KubeBody};
use super::serve::{ClientCertificate, KubeServer, Outcome};
use super::{RequestBody, answer, limits};
use crate::base::clock;
use crate::kube::flow::Flow;
use crate::kube::metrics::{DryRun, Measured, ResourceSeries, Scope, Verb};
use crate::kube::request::{RequestError, RequestInfo};
use crate::kube::schema::Resource;
use crate::kube::status::ApiError;

/// The pages without a resource whose requests are counted.
const COUNTED_PAGES: [&str; 3] = ["/healthz", "/livez", "/readyz"];
const APPLY: &[u8] = b"application/apply-patch+yaml";

/// One request's stay.
#[derive(Debug)]
pub(super) struct Visit {
    began: Instant,
    measured: Option<Measured>,
    /// What is counted of what it is for, once that is known.
    series: Option<Arc<ResourceSeries>>,
    flow: Option<Arc<Flow>>,
    /// Whether it is meant to go on.
    lasting: bool,
    /// Whether the server has ended it, and not who answers it.
    cut: bool,
    /// Told in `Warning` headers.
    pub(super) warnings: Vec<String>,
}

impl Visit {
    fn new() -> Self {
        Self {
            began: clock::now(),
            measured: None,
            series: None,
            flow: None,
            lasting: false,
            cut: false,
            warnings: Vec::new(),
        }
    }

    fn begin(&mut self, parts: &Parts, body: &RequestBody, info: &RequestInfo, query: &Query) {
        let scope = Scope::of(info);
        let apply = parts.headers.get(header::CONTENT_TYPE);
        let apply = apply.is_some_and(|kind| kind.as_bytes() == APPLY);
        self.lasting = limits::is_long_running(info);
        self.measured = Some(Measured {
            verb: Verb::of(parts.method.as_str(), info, scope, apply),
            scope,
            dry_run: DryRun::of(query.all("dryRun")),
            began: self.began,
            code: 0,
            answered: None,
            sent: body.size_hint().exact(),
        });
    }

    /// The request is for this: it is counted among its others.
    pub(super) fn is_for(&mut self, server: &KubeServer, resource: &Resource, subresource: &str) {
        let requests = &server.inner().metrics.requests;
        let of = requests.of(
            &resource.group,
            &resource.version,
            &resource.plural,
            subresource,
        );
        if &*resource.plural == "endpoints" && resource.group.is_empty() {
            of.deprecated("");
        }
        self.series = Some(of);
    }

    /// Headers and counts of the answer.
    fn end(self, mut response: Response<KubeBody>) -> Response<KubeBody> {
        if let Some(flow) = &self.flow {
            let headers = response.headers_mut();
            for (name, uid) in [
                ("x-kubernetes-pf-flowschema-uid", &flow.schema_uid),
                ("x-kubernetes-pf-prioritylevel-uid", &flow.level_uid),
            ] {
                if let Ok(uid) = HeaderValue::from_str(uid) {
                    headers.insert(name, uid);
                }
            }
        }
        let (Some(series), Some(measured)) = (self.series, self.measured) else {
            return response;
        };
        let measured = Measured {
            code: response.status().as_u16(),
            answered: response.body().size_hint().exact(),
            ..measured
        };
        if self.lasting && response.status().as_u16() < 300 {
            let running = series.running(&measured);
            return response.map(|body| reply::with_guard(body, running));
        }
        match (self.cut, measured.code) {
            (true, 429) => series.dropped(&measured),
            (true, _) => {
                series.ended(&measured);
                series.terminated(&measured);
            }
            (false, _) => series.ended(&measured),
        }
        response
    }
}

impl KubeServer {
    /// Answers one request.
    pub async fn answer(&self, request: Request<RequestBody>) -> Response<KubeBody> {
        let (parts, body) = request.into_parts();
        let audit_id = crate::kube::strategy::uid(&mut rand::random);
        let mut visit = Visit::new();
        let mut response = self.let_in(parts, body, &mut visit).await;
        reply::finish(&mut response, &audit_id, &visit.warnings);
        visit.end(response)
    }

    async fn let_in(
        &self,
        parts: Parts,
        body: RequestBody,
        visit: &mut Visit,
    ) -> Response<KubeBody> {
        let query = parts.uri.query().unwrap_or_default();
        let info = match RequestInfo::parse(parts.method.as_str(), parts.uri.path(), query) {
            Ok(info) => info,
            Err(error @ RequestError::Escape) => {
                let form = Form::of_refusals(&parts.headers, &Query::parse(query));
                let error = ApiError::bad_request(error.to_string());
                return answer::refusal(form.as_ref(), &error);
            }
            Err(error) => {
                let path = parts.uri.path();
                let body = format!("Internal Server Error: {path:?}: {error}\n");
                return reply::whole(500, reply::TEXT, body);
            }
        };
        let query = Query::parse(query);
        visit.begin(&parts, &body, &info, &query);
        if COUNTED_PAGES.contains(&&*info.path) {
            visit.series = Some(self.inner().metrics.requests.of("", "", "", &info.path));
        }
        if visit.lasting {
            // On the heap, here and below: it is large, and would be moved about.
            return Box::pin(self.admit(parts, body, info, visit)).await;
        }
        let time = match self.inner().limits.time(&query) {
            Ok(time) => time,
            Err(error) => {
                let form = Form::of_refusals(&parts.headers, &query);
                return answer::refusal(form.as_ref(), &error);
            }
        };
        let admitted = Box::pin(self.admit(parts, body, info, visit));
        match tokio::time::timeout(time, admitted).await {
            Ok(response) => response,
            Err(_) => {
                visit.cut = true;
                limits::timed_out()
            }
        }
    }

    async fn admit(
        &self,
        mut parts: Parts,
        body: RequestBody,
        info: RequestInfo,
        visit: &mut Visit,
    ) -> Response<KubeBody> {
        let inner = self.inner();
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let refusals = Form::of_refusals(&parts.headers, &query);
        let certificate = parts.extensions.get::<ClientCertificate>().cloned();
        let gate = &inner.gate;
        let user = match gate.identify(&mut parts.headers, certificate.as_ref(), &info) {
            Ok(user) => user,
            Err(error) => return answer::denial(refusals.as_ref(), &error),
        };
        if !visit.lasting || info.verb == "watch" {
            visit.flow = inner.flows.flow(&user, &info);
        }
        let Some(_place) = inner.limits.enter(&user, &info) else {
            visit.turn_away(self, &info);
            return limits::too_many();
        };
        if let Err(error) = gate.authorize(&user, &info) {
            return answer::denial(refusals.as_ref(), &error);
        }
        match self.process(parts, body, info, user, visit).await {
            Outcome::Done(response) => response,
            Outcome::Refused(error) => answer::refusal(refusals.as_ref(), &error),
        }
    }
}

impl Visit {
    /// There is no room. What it is for is known well enough to be counted, if there is such a thing.
    fn turn_away(&mut self, server: &KubeServer, info: &RequestInfo) {
        self.cut = true;
        let Some(target) = &info.target else {
            return;
        };
        let sub = &*target.subresource;
        let served =
            |resource: &Arc<Resource>| sub.is_empty() || resource.subresource_named(sub).is_some();
        if let Some(resource) = server.resource(target).filter(served) {
            self.is_for(server, &resource, sub);
        }
    }
}
