//! `/version`, `/metrics` and `/debug/vars`.

use axum::extract::Request;
use axum::response::Response;
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value, json};

use super::{Context, JSON, error, ok};
use crate::base::metrics;
use crate::engine::MemberStatus;
use crate::etcd::version;

pub(super) async fn version(_context: Context, _request: Request) -> Response {
    // Written out for etcd's order of the fields.
    let body = format!(
        r#"{{"etcdserver":"{}","etcdcluster":"{}","storage":"{}"}}"#,
        version::SERVER,
        version::CLUSTER,
        version::STORAGE,
    );
    ok(JSON, body)
}

/// Sets what the engine knows at this moment, then writes everything.
pub(super) async fn metrics(context: Context, _request: Request) -> Response {
    context.engine.report();
    match context.metrics.encode() {
        Ok(text) => ok(HeaderValue::from_static(metrics::CONTENT_TYPE), text),
        Err(_) => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "metrics cannot be written",
        ),
    }
}

/// The variables of Go's expvar page that mean something here.
pub(super) async fn variables(context: Context, _request: Request) -> Response {
    let arguments: Vec<String> = std::env::args().collect();
    let mut variables = Map::from_iter([("cmdline".into(), arguments.into())]);
    if let Some(descriptors) = metrics::file_descriptors() {
        variables.insert("file_descriptor_limit".into(), descriptors.limit.into());
    }
    if let Ok(status) = context.engine.status() {
        variables.insert("raft.status".into(), raft_status(&status));
    }
    ok(JSON, Value::Object(variables).to_string())
}

fn raft_status(status: &MemberStatus) -> Value {
    json!({
        "id": status.header.member_id.to_string(),
        "term": status.header.raft_term,
        "lead": status.leader.to_string(),
        "commit": status.raft_index,
        "applied": status.raft_applied_index,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::{ClusterId, MemberId, Revision};
    use crate::engine::Header;

    #[test]
    fn variables_tell_what_the_engine_says() {
        let status = MemberStatus {
            header: Header {
                cluster_id: ClusterId(1),
                member_id: MemberId(0xab),
                revision: Revision(9),
                raft_term: 2,
            },
            db_size: 20,
            db_size_in_use: 10,
            leader: MemberId(0xab),
            raft_index: 8,
            raft_applied_index: 7,
            is_learner: false,
            downgrade: None,
        };
        let raft = raft_status(&status);
        assert_eq!((&raft["id"], &raft["commit"]), (&json!("ab"), &json!(8)));
    }
}
