//! `/health`, `/livez` and `/readyz`.

use axum::Router;
use axum::extract::{Query, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{StatusCode, header};
use serde::Serialize;
use tonic::Status;

use super::{Context, NOSNIFF, TEXT, error, ok, page};
use crate::base::range::KeyRange;
use crate::engine::{Alarm, AlarmKind, Consistency, Engine, EngineError, EngineResult};
use crate::mvcc::ops::RangeOp;

/// Adds the three pages and a page for each check.
pub(super) fn routes(mut router: Router<Context>) -> Router<Context> {
    router = router.route("/health", page(health));
    for endpoint in [&LIVEZ, &READYZ] {
        let all = move |context, request| endpoint.page(context, request);
        router = router.route(&format!("/{}", endpoint.name), page(all));
        for check in endpoint.checks {
            let one = move |context, request| endpoint.answer(context, request, vec![*check]);
            let path = format!("/{}/{}", endpoint.name, check.name());
            router = router.route(&path, page(one));
        }
    }
    router
}

/// The answer of `/health`. The flag is a string: clients compare it with `"true"`.
#[derive(Debug, Serialize)]
struct Health {
    health: &'static str,
    reason: String,
}

async fn health(context: Context, request: Request) -> Response {
    let query = Parameters::of(&request);
    let serializable = query.values("serializable").any(|value| value == "true");
    let result = find_fault(&context.engine, &query, serializable).await;
    let healthy = result.is_ok();
    let body = serde_json::to_string(&Health {
        health: if healthy { "true" } else { "false" },
        reason: result.err().unwrap_or_default(),
    })
    .expect("two strings are always JSON");
    let server = &context.metrics.server;
    if healthy {
        server.health_success.inc();
        ok(TEXT, body)
    } else {
        server.health_failures.inc();
        error(StatusCode::SERVICE_UNAVAILABLE, &body)
    }
}

/// Alarms, then the leader, then a read: the first that is wrong is the reason.
async fn find_fault(engine: &Engine, query: &Parameters, serializable: bool) -> Result<(), String> {
    let excluded: Vec<&str> = query.values("exclude").collect();
    let alarms = engine.local_alarms();
    if let Some(alarm) = first_alarm(&alarms, &excluded) {
        return Err(format!("ALARM {alarm}"));
    }
    if !serializable && !engine.has_leader() {
        return Err("RAFT NO LEADER".into());
    }
    read(engine, serializable)
        .await
        .map_err(|error| format!("RANGE ERROR:{}", text(error)))
}

fn first_alarm(alarms: &[Alarm], excluded: &[&str]) -> Option<&'static str> {
    let mut names = alarms.iter().map(|alarm| alarm.kind.name());
    names.find(|name| !excluded.contains(name))
}

/// The error as a gRPC client would see it.
fn text(error: EngineError) -> String {
    Status::from(error).message().to_owned()
}

async fn read(engine: &Engine, serializable: bool) -> EngineResult<()> {
    if !serializable {
        return engine.read_barrier().await;
    }
    let first_key = RangeOp {
        limit: Some(1),
        keys_only: true,
        ..RangeOp::new(KeyRange::point(Bytes::from_static(b"\0")))
    };
    let read = engine.range(first_key, Consistency::Serializable).await;
    read.map(|_| ())
}

/// A page of checks.
struct Endpoint {
    name: &'static str,
    checks: &'static [Check],
}

static LIVEZ: Endpoint = Endpoint {
    name: "livez",
    checks: &[Check::SerializableRead],
};

static READYZ: Endpoint = Endpoint {
    name: "readyz",
    checks: &[
        Check::DataCorruption,
        Check::SerializableRead,
        Check::LinearizableRead,
        Check::NonLearner,
    ],
};

/// One thing that can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    DataCorruption,
    SerializableRead,
    LinearizableRead,
    NonLearner,
}

impl Check {
    const fn name(self) -> &'static str {
        match self {
            Self::DataCorruption => "data_corruption",
            Self::SerializableRead => "serializable_read",
            Self::LinearizableRead => "linearizable_read",
            Self::NonLearner => "non_learner",
        }
    }

    async fn run(self, engine: &Engine) -> Result<(), String> {
        let result = match self {
            Self::DataCorruption => return not_corrupt(engine),
            Self::NonLearner => return not_learner(engine),
            Self::SerializableRead => read(engine, true).await,
            Self::LinearizableRead => read(engine, false).await,
        };
        result.map_err(text)
    }
}

fn not_corrupt(engine: &Engine) -> Result<(), String> {
    let alarms = engine.local_alarms();
    if alarms.iter().any(|alarm| alarm.kind == AlarmKind::Corrupt) {
        return Err("alarm activated: CORRUPT".into());
    }
    Ok(())
}

fn not_learner(engine: &Engine) -> Result<(), String> {
    let status = engine.status().map_err(text)?;
    if status.is_learner {
        return Err("not supported for learner".into());
    }
    Ok(())
}

impl Endpoint {
    /// All checks but those that the query excludes.
    async fn page(&self, context: Context, request: Request) -> Response {
        let query = Parameters::of(&request);
        let excluded: Vec<&str> = query.values("exclude").collect();
        let mut checks = self.checks.to_vec();
        checks.retain(|check| !excluded.contains(&check.name()));
        self.answer(context, request, checks).await
    }

    async fn answer(&self, context: Context, request: Request, checks: Vec<Check>) -> Response {
        let mut results = Vec::with_capacity(checks.len());
        for check in checks {
            let result = check.run(&context.engine).await;
            let healthy = result.is_ok();
            context
                .metrics
                .health_check(self.name, check.name(), healthy);
            results.push((check, result));
        }
        report(&results, Parameters::of(&request).has("verbose"))
    }
}

fn report(results: &[(Check, Result<(), String>)], verbose: bool) -> Response {
    let lines: String = results
        .iter()
        .map(|(check, result)| match result {
            Ok(()) => format!("[+]{} ok\n", check.name()),
            Err(reason) => format!("[-]{} failed: {reason}\n", check.name()),
        })
        .collect();
    if results.iter().any(|(_, result)| result.is_err()) {
        return error(StatusCode::SERVICE_UNAVAILABLE, &lines);
    }
    let details = if verbose { lines.as_str() } else { "" };
    let body = format!("{details}ok\n");
    ([(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF)], ok(TEXT, body)).into_response()
}

/// The parameters of a query; each may be given more than once.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// A query that cannot be read has no parameters.
    fn of(request: &Request) -> Self {
        Query::try_from_uri(request.uri())
            .map_or_else(|_| Self(Vec::new()), |Query(pairs)| Self(pairs))
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let pairs = self.0.iter().filter(move |(key, _)| key == name);
        pairs.map(|(_, value)| value.as_str())
    }

    fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};

    use super::*;
    use crate::base::ids::MemberId;

    async fn body(response: Response) -> String {
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn the_json_is_etcds() {
        let health = Health {
            health: "false",
            reason: "RAFT NO LEADER".into(),
        };
        assert_eq!(
            serde_json::to_string(&health).unwrap(),
            r#"{"health":"false","reason":"RAFT NO LEADER"}"#
        );
    }

    #[test]
    fn excluded_alarms_are_passed_over() {
        let alarm = |kind| Alarm {
            member: MemberId(1),
            kind,
        };
        let alarms = [alarm(AlarmKind::NoSpace), alarm(AlarmKind::Corrupt)];
        assert_eq!(first_alarm(&alarms, &[]), Some("NOSPACE"));
        assert_eq!(first_alarm(&alarms, &["NOSPACE"]), Some("CORRUPT"));
        assert_eq!(first_alarm(&alarms, &["NOSPACE", "CORRUPT"]), None);
    }

    #[test]
    fn parameters_may_repeat_and_be_bare() {
        let request = Request::builder()
            .uri("/readyz?verbose&exclude=a&exclude=b%5F")
            .body(Body::empty())
            .unwrap();
        let query = Parameters::of(&request);
        assert!(query.has("verbose"));
        assert!(!query.has("serializable"));
        assert_eq!(query.values("exclude").collect::<Vec<_>>(), ["a", "b_"]);
    }

    #[tokio::test]
    async fn details_come_with_failures_and_when_asked_for() {
        let good = [(Check::SerializableRead, Ok(()))];
        let response = report(&good, false);
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "text/plain; charset=utf-8"
        );
        assert_eq!(
            response.headers()[header::X_CONTENT_TYPE_OPTIONS],
            "nosniff"
        );
        assert_eq!(body(response).await, "ok\n");
        assert_eq!(
            body(report(&good, true)).await,
            "[+]serializable_read ok\nok\n"
        );

        let bad = [
            (Check::SerializableRead, Ok(())),
            (
                Check::LinearizableRead,
                Err("etcdserver: request timed out".to_owned()),
            ),
        ];
        let response = report(&bad, false);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            body(response).await,
            "[+]serializable_read ok\n[-]linearizable_read failed: etcdserver: request timed out\n\n"
        );
    }
}
