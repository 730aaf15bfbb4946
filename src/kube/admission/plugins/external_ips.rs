//! DenyServiceExternalIPs: services get no addresses that somebody just names.

use serde_json::Value;

use crate::kube::admission::attributes::{Attributes, Operation};
use crate::kube::status::ApiResult;
use crate::kube::tree::items;

pub(super) const NAME: &str = "DenyServiceExternalIPs";

pub(super) fn validate(by: &Attributes<'_>, old: Option<&Value>, service: &Value) -> ApiResult<()> {
    let writes = matches!(by.operation, Operation::Create | Operation::Update);
    if !writes || !by.whole("", "services") {
        return Ok(());
    }
    let addresses = |of| items(of, &["spec", "externalIPs"]);
    let had = old.map_or(&[][..], addresses);
    // Those that were there before may stay.
    if addresses(service).iter().all(|one| had.contains(one)) {
        return Ok(());
    }
    Err(by.refuse(
        service,
        "Use of external IPs is denied by admission control",
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{Ask, CREATE_POD, Few};
    use super::*;

    #[test]
    fn only_known_addresses_stay() {
        let service =
            |ips: &[&str]| json!({"metadata": {"name": "s"}, "spec": {"externalIPs": ips}});
        let update = Ask {
            operation: Operation::Update,
            resource: ("", "v1", "services"),
            ..CREATE_POD
        };
        let old = service(&["1.2.3.4", "2.3.4.5"]);
        let judge = |new| update.judge(NAME, &Few::default(), Some(&old), &new);
        assert_eq!(judge(service(&["2.3.4.5"])), Ok(()));
        assert_eq!(
            judge(service(&["2.3.4.5", "9.9.9.9"])).unwrap_err(),
            "services \"s\" is forbidden: Use of external IPs is denied by admission control"
        );
    }
}
