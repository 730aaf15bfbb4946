//! Traces of calls, for a collector that speaks OTLP: a span for each call that is sampled, and in it one for
//! each stage that the call went through.
//!
//! Whether a call is sampled is the caller's to say, in `traceparent` (W3C Trace Context); of calls without one
//! a share is. The span travels with the task that answers the call, so that a stage is told from wherever it
//! is measured. Where nothing is traced, telling one costs a relaxed load.

mod export;
#[cfg(test)]
mod tests;

pub use export::{TraceError, TraceSettings};

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use crate::base::clock;

/// Whether anything in this process is traced. Never taken back: it only spares the look at the task.
static ANYTHING: AtomicBool = AtomicBool::new(false);

tokio::task_local! {
    static CURRENT: CallSpan;
}

/// The vendors' part of what a caller says, in bytes. More is left out, as the standard allows beyond 512.
const MAX_STATE: usize = 512;

/// Bytes of a `traceparent`; later versions of the standard may add some.
const PARENT: usize = 55;

/// gRPC codes that are the server's fault (OpenTelemetry's conventions for gRPC): Unknown, DeadlineExceeded,
/// Unimplemented, Internal, Unavailable, DataLoss.
const FAILURES: [i32; 6] = [2, 4, 12, 13, 14, 15];

/// Makes spans, and sends them away.
#[derive(Debug)]
pub struct Tracer {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Tracer {
    /// Begins to trace. Spans are sent in batches from a thread of their own; what a collector does not take in time
    /// is dropped.
    ///
    /// # Errors
    /// If the collector's address is none. Whether anybody is there shows later, in the log.
    ///
    /// # Panics
    /// Outside an asynchronous runtime, which the connection to the collector needs.
    pub fn start(settings: &TraceSettings) -> Result<Self, TraceError> {
        Ok(Self::of(export::provider(settings)?))
    }

    fn of(provider: SdkTracerProvider) -> Self {
        use opentelemetry::trace::TracerProvider as _;
        ANYTHING.store(true, Ordering::Relaxed);
        let tracer = provider.tracer(env!("CARGO_PKG_NAME"));
        Self { provider, tracer }
    }

    /// The span of a call that begins, if it is sampled. `path` is `/service/method`, `header` what the caller says
    /// under a name.
    pub fn call<'a>(
        &self,
        path: &'static str,
        header: impl Fn(&str) -> Option<&'a str>,
    ) -> Option<CallSpan> {
        let said = Headers {
            header,
            said: PhantomData,
        };
        let caller = TraceContextPropagator::new().extract_with_context(&Context::new(), &said);
        let name = path.strip_prefix('/').unwrap_or(path);
        let (service, method) = name.rsplit_once('/').unwrap_or(("", name));
        let span = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Server)
            .with_start_time(time(clock::now()))
            .with_attributes([
                KeyValue::new("rpc.system", "grpc"),
                KeyValue::new("rpc.service", service),
                KeyValue::new("rpc.method", method),
            ]);
        let span = self.tracer.build_with_context(span, &caller);
        span.is_recording().then(|| {
            CallSpan(Arc::new(Traced {
                tracer: self.tracer.clone(),
                context: Context::new().with_span(span),
            }))
        })
    }

    /// Sends what has not been sent, for at most `patience`. Blocks.
    pub fn stop(&self, patience: Duration) {
        if let Err(error) = self.provider.shutdown_with_timeout(patience) {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}

/// What a caller says, for the reader of traces.
struct Headers<'a, F> {
    header: F,
    said: PhantomData<&'a str>,
}

impl<'a, F: Fn(&str) -> Option<&'a str>> Extractor for Headers<'a, F> {
    fn get(&self, name: &str) -> Option<&str> {
        // The library takes ids that are cut short.
        let least = if name == "traceparent" { PARENT } else { 0 };
        (self.header)(name).filter(|value| (least..=MAX_STATE).contains(&value.len()))
    }

    fn keys(&self) -> Vec<&str> {
        Vec::new()
    }
}

/// The span of a call. Clones are the same span, which ends once.
#[derive(Debug, Clone)]
pub struct CallSpan(Arc<Traced>);

/// What a call carries along; most calls carry nothing, so it is elsewhere.
#[derive(Debug)]
struct Traced {
    tracer: SdkTracer,
    context: Context,
}

impl CallSpan {
    /// The call has ended with this gRPC status code.
    pub fn end(&self, code: i32) {
        let span = self.0.context.span();
        span.set_attribute(KeyValue::new("rpc.grpc.status_code", i64::from(code)));
        if FAILURES.contains(&code) {
            span.set_status(Status::error(""));
        }
        span.end_with_timestamp(time(clock::now()));
    }

    /// Runs what answers the call, so that [`stage`] finds it.
    pub async fn over<F: Future>(&self, answer: F) -> F::Output {
        CURRENT.scope(self.clone(), answer).await
    }

    fn stage(&self, name: &'static str, began: Instant, ended: Instant) {
        let stage = SpanBuilder::from_name(name).with_start_time(time(began));
        let Traced { tracer, context } = &*self.0;
        let mut span = tracer.build_with_context(stage, context);
        span.end_with_timestamp(time(ended));
    }
}

/// Runs what answers a call, which may be traced. Boxed if it is: the others must not carry the room for it.
pub async fn over<F: Future>(span: Option<&CallSpan>, answer: F) -> F::Output {
    match span {
        None => answer.await,
        Some(span) => span.over(Box::pin(answer)).await,
    }
}

/// Tells of a stage of the call that this task answers; one that took no time did not happen.
pub fn stage(name: &'static str, began: Instant, ended: Instant) {
    if ANYTHING.load(Ordering::Relaxed) && began < ended {
        // Most calls are not sampled, and some work is nobody's call.
        let _ = CURRENT.try_with(|call| call.stage(name, began, ended));
    }
}

/// The wall clock's reading at an instant of late.
fn time(at: Instant) -> SystemTime {
    let ago = clock::now().saturating_duration_since(at);
    UNIX_EPOCH + clock::unix_time().saturating_sub(ago)
}
