//! Where spans go: to a collector, by OTLP over gRPC.

use opentelemetry::KeyValue;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};

/// A share of one.
const MILLION: f64 = 1_000_000.0;

/// What is traced, and who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceSettings {
    /// The collector's host and port; it is spoken to without TLS, as etcd does.
    pub collector: String,
    /// The name of the service in the collector.
    pub service: String,
    /// The name of this member there, if it has one.
    pub instance: Option<String>,
    /// Of a million calls whose callers do not say whether they are traced, so many are.
    pub sampled_per_million: u32,
}

/// The collector's address is none.
#[derive(Debug, thiserror::Error)]
#[error("cannot trace to {collector}: {source}")]
pub struct TraceError {
    collector: String,
    source: ExporterBuildError,
}

/// Samples as the callers say, and sends what is sampled.
pub(super) fn provider(settings: &TraceSettings) -> Result<SdkTracerProvider, TraceError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(format!("http://{}", settings.collector))
        .build()
        .map_err(|source| TraceError {
            collector: settings.collector.clone(),
            source,
        })?;
    let provider = SdkTracerProvider::builder()
        .with_sampler(sampler(settings.sampled_per_million))
        .with_resource(resource(settings))
        .with_batch_exporter(exporter);
    Ok(provider.build())
}

pub(super) fn sampler(per_million: u32) -> Sampler {
    let share = f64::from(per_million) / MILLION;
    Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share)))
}

fn resource(settings: &TraceSettings) -> Resource {
    let instance = settings
        .instance
        .iter()
        .map(|name| KeyValue::new("service.instance.id", name.clone()));
    Resource::builder_empty()
        .with_service_name(settings.service.clone())
        .with_attributes(instance)
        .build()
}
