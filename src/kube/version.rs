//! The body of `/version`: which Kubernetes release this server behaves as.

use serde_json::{Value, json};

use super::schema::RELEASE;

/// The release and, as build metadata, what serves it: `v1.36.2+holdfast.0.1.0`.
///
/// Clients read a semantic version and branch on its numbers. Build metadata counts for none of them, and is where
/// other distributions name themselves too, so that nobody takes this server for the release itself.
pub fn git_version() -> String {
    format!("v{RELEASE}+holdfast.{}", env!("CARGO_PKG_VERSION"))
}

/// `version.Info`. The server writes it with indentation (`serde_json::to_string_pretty`), like the release.
///
/// What a build from source does not know (commit, date) has the values that the release has in that case.
pub fn info() -> Value {
    let mut numbers = RELEASE.split('.');
    let (major, minor) = (
        numbers.next().unwrap_or_default(),
        numbers.next().unwrap_or_default(),
    );
    // Objects are readable by the release before.
    let oldest: u32 = minor.parse().unwrap_or(1_u32).saturating_sub(1);
    json!({
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": oldest.to_string(),
        "gitVersion": git_version(),
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": platform(),
    })
}

/// Operating system and processor by Go's names: `linux/amd64`.
fn platform() -> String {
    let processor = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{}/{processor}", std::env::consts::OS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_find_the_release_in_a_semantic_version() {
        let info = info();
        assert_eq!(
            (info["major"].as_str(), info["minor"].as_str()),
            (Some("1"), Some("36"))
        );
        assert_eq!(info["minCompatibilityMinor"], "35");
        let version = info["gitVersion"].as_str().unwrap();
        let (release, build) = version.split_once('+').unwrap();
        assert_eq!(release, "v1.36.2");
        // The characters that semantic versioning allows there.
        assert!(
            build
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
        );
        assert!(build.split('.').all(|part| !part.is_empty()));
    }

    #[test]
    fn every_field_is_there_in_the_order_of_the_release() {
        let info = info();
        let keys: Vec<_> = info.as_object().unwrap().keys().collect();
        let order = "major minor emulationMajor emulationMinor minCompatibilityMajor minCompatibilityMinor \
            gitVersion gitCommit gitTreeState buildDate goVersion compiler platform";
        assert_eq!(keys, order.split(' ').collect::<Vec<_>>());
    }
}
