use bytes::{BufMut, Bytes, BytesMut};
use http::{Version, header};
use http_body_util::BodyExt;
use prost::Message;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_server::HealthServer;
use tower::ServiceExt;

use super::*;
use crate::base::metrics::Metrics;
use crate::etcd::grpc::health::HealthService;

const LIMIT: usize = 100;
const CHECK: &str = "/grpc.health.v1.Health/Check";

/// Looks at nobody.
struct Open;

impl Doorkeeper for Open {
    fn is_guarded(&self) -> bool {
        false
    }

    fn admit(
        &self,
        _: crate::engine::Credentials,
        _: Demand,
    ) -> BoxFuture<'static, Result<Caller, Status>> {
        unreachable!("nobody is looked at")
    }
}

/// A gate before the health service, which needs no engine.
struct Setup {
    metrics: Metrics,
    gate: Gate<HealthServer<HealthService>>,
}

impl Setup {
    fn new(leader: bool) -> Self {
        Self::of(leader, false)
    }

    fn of(leader: bool, learner: bool) -> Self {
        let metrics = Metrics::new();
        let methods = Arc::new(Methods::new(&metrics, true, None));
        let service = HealthServer::new(HealthService).max_decoding_message_size(LIMIT);
        let admission = Admission::new(move || leader, move || learner);
        let gate = Gate::new(service, admission, Arc::new(Open), methods);
        Self { metrics, gate }
    }

    async fn call(&self, request: Request<Incoming>) -> Response<Metered<Body>> {
        self.gate.clone().oneshot(request).await.unwrap()
    }

    /// Samples of a metric whose labels contain all of `labels`, added up.
    fn count(&self, metric: &str, labels: &[&str]) -> u64 {
        let text = self.metrics.encode().unwrap();
        let lines = text.lines().filter(|line| {
            line.split(['{', ' ']).next() == Some(metric)
                && labels.iter().all(|label| line.contains(label))
        });
        lines
            .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
            .sum()
    }

    fn handled(&self, code: &str) -> u64 {
        let code = format!("grpc_code=\"{code}\"");
        self.count("grpc_server_handled_total", &[&code])
    }
}

fn framed(message: &[u8]) -> Bytes {
    let mut body = BytesMut::new();
    body.put_u8(0);
    body.put_u32(message.len() as u32);
    body.put_slice(message);
    body.freeze()
}

fn request(path: &str, service: &str) -> Request<Incoming> {
    let message = HealthCheckRequest {
        service: service.into(),
    };
    Request::post(path)
        .version(Version::HTTP_2)
        .header(header::CONTENT_TYPE, "application/grpc+proto")
        .body(Incoming::from(framed(&message.encode_to_vec())))
        .unwrap()
}

fn status(response: &Response<Metered<Body>>) -> Status {
    Status::from_header_map(response.headers()).unwrap()
}

#[tokio::test]
async fn a_call_is_counted_from_first_byte_to_trailers() {
    let setup = Setup::new(true);
    let response = setup.call(request(CHECK, "")).await;
    assert_eq!(setup.handled("OK"), 0, "the trailers are still to come");
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(setup.handled("OK"), 1);
    assert_eq!(setup.handled("Canceled"), 0);
    assert_eq!(setup.count("grpc_server_handling_seconds_count", &[]), 1);
    let check = ["grpc_method=\"Check\"", "grpc_type=\"unary\""];
    for metric in ["started", "msg_received", "msg_sent"] {
        assert_eq!(
            setup.count(&format!("grpc_server_{metric}_total"), &check),
            1,
            "{metric}"
        );
    }
    let bytes = |direction| {
        let metric = format!("etcd_network_client_grpc_{direction}_bytes_total");
        setup.count(&metric, &[])
    };
    assert_eq!(bytes("received"), 5);
    assert_eq!(bytes("sent"), 7);
}

#[tokio::test]
async fn requests_are_counted_by_the_version_that_the_client_names() {
    let setup = Setup::new(true);
    let mut named = request(CHECK, "");
    let version = HeaderValue::from_static("3.6");
    named.headers_mut().insert(API_VERSION, version);
    drop(setup.call(named).await);
    drop(setup.call(request(CHECK, "")).await);
    for version in ["3.6", "unknown"] {
        let labels = [
            "type=\"unary\"",
            &format!("client_api_version=\"{version}\""),
        ];
        let counted = setup.count("etcd_server_client_requests_total", &labels);
        assert_eq!(counted, 1, "{version}");
    }
}

#[tokio::test]
async fn an_answer_that_is_only_headers_is_counted_by_its_code() {
    let setup = Setup::new(true);
    let response = setup.call(request(CHECK, "unknown")).await;
    assert_eq!(status(&response).code(), Code::NotFound);
    drop(response);
    assert_eq!(
        (setup.handled("NotFound"), setup.handled("Canceled")),
        (1, 0)
    );
}

#[tokio::test]
async fn a_client_that_goes_away_is_counted_as_cancelled() {
    let setup = Setup::new(true);
    drop(setup.call(request(CHECK, "")).await);
    drop(setup.gate.clone().call(request(CHECK, "")));
    assert_eq!(setup.handled("Canceled"), 2);
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_in_grpcs_words() {
    let setup = Setup::new(true);
    let response = setup.call(request(CHECK, &"x".repeat(LIMIT))).await;
    let status = status(&response);
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(
        status.message(),
        format!("grpc: received message larger than max (102 vs. {LIMIT})")
    );
    assert_eq!(setup.handled("ResourceExhausted"), 1);
    assert_eq!(setup.handled("OutOfRange"), 0);
}

#[tokio::test]
async fn unknown_methods_are_named() {
    let setup = Setup::new(true);
    let response = setup.call(request("/grpc.health.v1.Health/Heal", "")).await;
    let status = status(&response);
    assert_eq!(status.code(), Code::Unimplemented);
    assert_eq!(
        status.message(),
        "unknown method Heal for service grpc.health.v1.Health"
    );
}

#[tokio::test]
async fn a_required_leader_must_be_known() {
    for (leader, required, code) in [
        (true, "true", None),
        (false, "false", None),
        (false, "true", Some(Code::Unavailable)),
    ] {
        let mut request = request(CHECK, "");
        let headers = request.headers_mut();
        headers.insert("hasleader", required.parse().unwrap());
        let response = Setup::new(leader).call(request).await;
        assert_eq!(meter::code(response.headers()), code);
        if code.is_some() {
            assert_eq!(status(&response).message(), "etcdserver: no leader");
        }
    }
}

#[tokio::test]
async fn what_is_not_grpc_is_not_found() {
    let mut plain = request(CHECK, "");
    plain.headers_mut().remove(header::CONTENT_TYPE);
    let mut old = request(CHECK, "");
    *old.version_mut() = Version::HTTP_11;
    for request in [plain, old] {
        let response = Setup::new(true).call(request).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
    }
}
