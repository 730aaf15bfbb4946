//! Traces: what a collector is told of the calls of a client that is traced.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server as GrpcServer;
use tonic::{Request, Response, Status};

use crate::harness::*;

/// Keeps what it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Kept>>>);

/// A span, and the attributes of its service.
type Kept = (Span, Vec<String>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            let about = resource.resource.unwrap_or_default().attributes;
            let about: Vec<String> = about
                .into_iter()
                .map(|a| match a.value.and_then(|v| v.value) {
                    Some(Value::StringValue(text)) => format!("{}={text}", a.key),
                    other => format!("{}={other:?}", a.key),
                })
                .collect();
            let spans = resource
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans);
            let spans = spans.map(|span| (span, about.clone()));
            self.0.lock().unwrap().extend(spans);
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Listens; the address.
    async fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let service = TraceServiceServer::new(self.clone());
        let server = GrpcServer::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        address
    }

    /// The call's span of a trace, and what is told of its service.
    fn call(&self, trace: u128, name: &str) -> Option<(Span, Vec<String>)> {
        let spans = self.0.lock().unwrap();
        let found = spans.iter().find(|(span, _)| {
            span.trace_id == trace.to_be_bytes()
                && span.name == name
                && span.kind == SpanKind::Server as i32
        });
        found.cloned()
    }

    /// The stages that a call's span has.
    fn stages(&self, call: &Span) -> BTreeSet<String> {
        let spans = self.0.lock().unwrap();
        let parts = spans.iter().map(|(span, _)| span);
        let parts = parts.filter(|span| span.parent_span_id == call.span_id);
        parts.map(|span| span.name.clone()).collect()
    }
}

fn traced<T>(message: T, trace: u128, sampled: bool) -> Request<T> {
    let mut request = Request::new(message);
    let parent = format!("00-{trace:032x}-00f067aa0ba902b7-0{}", u8::from(sampled));
    request
        .metadata_mut()
        .insert("traceparent", parent.parse().unwrap());
    request
}

#[tokio::test]
async fn a_collector_is_told_of_the_calls_of_a_traced_client() {
    let collector = Collector::default();
    let settings = Settings::default()
        .renamed_flag("enable-distributed-tracing", true)
        .renamed_flag("distributed-tracing-address", collector.listen().await)
        .renamed_flag("distributed-tracing-service-name", "store")
        .renamed_flag("distributed-tracing-instance-id", "one");
    let server = Server::start(settings).await;
    let client = server.client();
    let mut kv = client.kv();
    let [hushed, plain, failed] = [0xa1, 0xb2, 0xc3_u128];
    kv.put(traced(put("a", "1"), hushed, false)).await.unwrap();
    kv.put(put("a", "2")).await.unwrap();
    kv.put(traced(put("a", "3"), plain, true)).await.unwrap();
    let range = kv.range(traced(point("a"), plain, true)).await;
    assert_eq!(range.unwrap().into_inner().count, 1);
    kv.put(traced(put("", "4"), failed, true))
        .await
        .unwrap_err();
    let told = async {
        loop {
            let last = collector.call(failed, "etcdserverpb.KV/Put");
            let range = collector.call(plain, "etcdserverpb.KV/Range");
            let put = collector.call(plain, "etcdserverpb.KV/Put");
            if let (Some(last), Some(range), Some(put)) = (last, range, put) {
                return [last, range, put];
            }
            sleep(QUIET / 4).await;
        }
    };
    let [(last, _), (range, _), (put, about)] =
        timeout(PATIENCE, told).await.expect("spans do not come");
    assert!(about.contains(&"service.name=store".into()), "{about:?}");
    assert!(
        about.contains(&"service.instance.id=one".into()),
        "{about:?}"
    );
    let parent = 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes();
    for span in [&last, &range, &put] {
        assert_eq!(span.parent_span_id, parent);
        assert!(span.start_time_unix_nano < span.end_time_unix_nano);
    }
    let code = |span: &Span| {
        let attributes = span.attributes.iter();
        let mut code = attributes.filter(|a| a.key == "rpc.grpc.status_code");
        code.next().and_then(|a| a.value.clone()?.value)
    };
    assert_eq!(code(&put), Some(Value::IntValue(0)));
    assert_eq!(code(&last), Some(Value::IntValue(3)));
    let spans = collector.0.lock().unwrap().clone();
    let others = spans.iter().filter(|(span, _)| {
        let of = |trace: u128| span.trace_id == trace.to_be_bytes();
        !of(plain) && !of(failed)
    });
    assert_eq!(others.count(), 0, "of calls that are not sampled");
    if Program::get().is_own() {
        let stages = |names: &str| names.split(',').map(str::to_owned).collect::<BTreeSet<_>>();
        assert_eq!(collector.stages(&put), stages("raft,apply"));
        assert_eq!(collector.stages(&range), stages("read index,range"));
    }
}

/// Nobody listens; nothing waits for it.
#[tokio::test]
async fn a_collector_that_is_not_there_disturbs_nobody() {
    let [port] = free_ports(1)[..] else {
        unreachable!()
    };
    let settings = Settings::default()
        .renamed_flag("enable-distributed-tracing", true)
        .renamed_flag("distributed-tracing-address", format!("127.0.0.1:{port}"))
        .renamed_flag("distributed-tracing-sampling-rate", 1_000_000);
    let mut server = Server::start(settings).await;
    let client = server.client();
    for value in ["1", "2", "3"] {
        client.put(put("a", value)).await.unwrap();
    }
    assert!(server.terminate().success());
}
