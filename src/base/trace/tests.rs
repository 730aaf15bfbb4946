//! What is sampled, whose child a span is, and what becomes of stages.

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use parking_lot::Mutex;

use super::*;

/// Keeps what it is given.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().extend(batch);
        Ok(())
    }
}

const PATH: &str = "/etcdserverpb.KV/Put";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

fn tracer(per_million: u32) -> (Tracer, Kept) {
    let kept = Kept::default();
    let provider = SdkTracerProvider::builder()
        .with_sampler(export::sampler(per_million))
        .with_simple_exporter(kept.clone());
    (Tracer::of(provider.build()), kept)
}

fn call(tracer: &Tracer, parent: Option<&str>, state: &str) -> Option<CallSpan> {
    tracer.call(PATH, |name| match name {
        "traceparent" => parent,
        "tracestate" => Some(state),
        _ => None,
    })
}

#[test]
fn the_caller_says_whether_it_is_traced() {
    let sampled = format!("00-{TRACE}-{CALLER}-01");
    let unsampled = format!("00-{TRACE}-{CALLER}-00");
    for per_million in [0, 1_000_000] {
        let (tracer, _) = tracer(per_million);
        assert!(call(&tracer, Some(&sampled), "").is_some());
        assert!(call(&tracer, Some(&unsampled), "").is_none());
        for nonsense in [None, Some(""), Some("00-1-2-01"), Some("00-x-y-z-1")] {
            let traced = call(&tracer, nonsense, "").is_some();
            assert_eq!(traced, per_million > 0, "{nonsense:?}");
        }
    }
}

#[tokio::test]
async fn stages_are_children_of_the_call_and_the_call_of_its_caller() {
    let (tracer, kept) = tracer(0);
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let span = call(&tracer, Some(&parent), "vendor=1").unwrap();
    let now = clock::now();
    let before = now.checked_sub(Duration::from_millis(250)).unwrap();
    over(Some(&span), async {
        tokio::task::yield_now().await;
        stage("raft", before, now);
        stage("leader", now, now);
    })
    .await;
    stage("of nobody", before, now);
    span.end(14);
    span.end(0);
    let spans = kept.0.lock();
    let [stage, call] = spans.as_slice() else {
        panic!("{spans:?}")
    };
    assert_eq!((&*stage.name, &*call.name), ("raft", "etcdserverpb.KV/Put"));
    let length = stage.end_time.duration_since(stage.start_time).unwrap();
    assert!(length.abs_diff(Duration::from_millis(250)) < Duration::from_millis(200));
    assert_eq!(stage.parent_span_id, call.span_context.span_id());
    assert_eq!(call.parent_span_id.to_string(), CALLER);
    assert_eq!(call.span_kind, SpanKind::Server);
    assert!(matches!(call.status, Status::Error { .. }));
    for span in [stage, call] {
        assert_eq!(span.span_context.trace_id().to_string(), TRACE);
    }
    let said = |name: &str| {
        let found = call.attributes.iter().find(|a| a.key.as_str() == name);
        found.map(|attribute| attribute.value.to_string())
    };
    assert_eq!(said("rpc.service").as_deref(), Some("etcdserverpb.KV"));
    assert_eq!(said("rpc.grpc.status_code").as_deref(), Some("14"));
    assert_eq!(call.span_context.trace_state().header(), "vendor=1");
}

#[test]
fn a_caller_cannot_make_a_span_large() {
    let (tracer, _) = tracer(0);
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let span = call(&tracer, Some(&parent), &format!("v={}", "x".repeat(600))).unwrap();
    let context = span.0.context.span().span_context().clone();
    assert_eq!(context.trace_state().header(), "");
}

#[tokio::test]
async fn an_address_that_is_none_is_refused() {
    let settings = TraceSettings {
        collector: "a b".into(),
        service: "etcd".into(),
        instance: None,
        sampled_per_million: 0,
    };
    let said = Tracer::start(&settings).unwrap_err().to_string();
    assert!(said.starts_with("cannot trace to a b"), "{said}");
}
