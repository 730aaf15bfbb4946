//! The Downgrade call.

use holdfast::etcd::pb::etcdserverpb::downgrade_request::DowngradeAction;
use holdfast::etcd::pb::etcdserverpb::{DowngradeRequest, DowngradeResponse, StatusRequest};
use tonic::{Code, Status};

use crate::harness::*;

also_over_tls![downgrades, a_downgrade_is_one_job];

const FORMAT: &str = "etcdserver: wrong downgrade target version format";
const RUNNING: &str = "etcdserver: cluster has a downgrade job in progress";
const TARGET: &str = "etcdserver: invalid downgrade target version";

#[tokio::test]
async fn downgrades() {
    let cases = cases![
        one_minor_lower_is_a_valid_target,
        another_version_is_not_a_valid_target,
        a_malformed_version_is_refused,
        an_unknown_action_is_refused,
    ];
    Suite::new("downgrade", cases)
        .since(3, 6, cases![cancelling_none_succeeds])
        .run(shared().await)
        .await;
}

/// On a server of its own: the others ask while there is none.
#[tokio::test]
async fn a_downgrade_is_one_job() {
    let server = Server::fresh().await;
    if server.client().version().await < (3, 6) {
        return;
    }
    let cases = cases![a_job_is_begun_once_and_cancelled];
    Suite::new("downgrade job", cases).run(&server).await;
}

async fn a_job_is_begun_once_and_cancelled(c: Case) {
    let older = format!("3.{}.0", minor(&c).await - 1);
    let told = async || {
        let status = c.client.status(StatusRequest {}).await.unwrap();
        let info = status.downgrade_info.unwrap_or_default();
        (info.enabled, info.target_version)
    };
    call(&c, DowngradeAction::Enable.into(), &older)
        .await
        .unwrap();
    assert_eq!(told().await, (true, older.clone()));
    for action in [DowngradeAction::Enable, DowngradeAction::Validate] {
        let again = call(&c, action.into(), &older).await;
        refused(again, Code::FailedPrecondition, RUNNING);
    }
    call(&c, DowngradeAction::Cancel.into(), "").await.unwrap();
    assert_eq!(told().await, (false, String::new()));
    validate(&c, &older).await.unwrap();
}

async fn call(c: &Case, action: i32, version: &str) -> Result<DowngradeResponse, Status> {
    let request = DowngradeRequest {
        action,
        version: version.into(),
    };
    let response = c.client.maintenance().downgrade(request).await?;
    Ok(response.into_inner())
}

async fn validate(c: &Case, version: &str) -> Result<DowngradeResponse, Status> {
    call(c, DowngradeAction::Validate.into(), version).await
}

async fn minor(c: &Case) -> u32 {
    let version = c.client.status(StatusRequest {}).await.unwrap().version;
    version.split('.').nth(1).unwrap().parse().unwrap()
}

async fn one_minor_lower_is_a_valid_target(c: Case) {
    let minor = minor(&c).await;
    for version in [format!("3.{}", minor - 1), format!("3.{}.0", minor - 1)] {
        let response = validate(&c, &version).await.unwrap();
        assert_eq!(response.version, format!("3.{minor}.0"));
    }
}

async fn another_version_is_not_a_valid_target(c: Case) {
    let minor = minor(&c).await;
    for other in [minor, minor + 1, minor - 2] {
        let result = validate(&c, &format!("3.{other}.0")).await;
        refused(result, Code::InvalidArgument, TARGET);
    }
}

async fn a_malformed_version_is_refused(c: Case) {
    for version in ["", "three", "3", "3.x", "3.4.5.6"] {
        let result = validate(&c, version).await;
        refused(result, Code::InvalidArgument, FORMAT);
    }
}

async fn an_unknown_action_is_refused(c: Case) {
    let result = call(&c, 9, "3.4.0").await;
    refused(result, Code::Unknown, "etcdserver: unknown method");
}

async fn cancelling_none_succeeds(c: Case) {
    call(&c, DowngradeAction::Cancel.into(), "").await.unwrap();
}
