//! How much the Kubernetes API takes on at a time, and how long a request may take: kube-apiserver's flags.

use std::time::Duration;

use super::build::{duration, unsigned};
use super::error::ConfigError;
use super::flag::{Flag, Kind};
use super::parse::Given;
use super::table::served;

/// The flags of kube-apiserver that are served.
pub(super) const FLAGS: &[Flag] = &[
    served(
        "max-requests-inflight",
        Kind::Uint,
        "400",
        "Requests of the Kubernetes API that only read, at a time; 0 for no limit.",
    ),
    served(
        "max-mutating-requests-inflight",
        Kind::Uint,
        "200",
        "Requests of the Kubernetes API that change something, at a time; 0 for no limit.",
    ),
    served(
        "request-timeout",
        Kind::Duration,
        "1m0s",
        "Time that a request of the Kubernetes API may take, unless it is meant to go on.",
    ),
    served(
        "min-request-timeout",
        Kind::Uint,
        "1800",
        "Seconds that a watch lasts at least which does not say it, and twice that at most.",
    ),
    served(
        "shutdown-delay-duration",
        Kind::Duration,
        "0s",
        "Time for which a member that stops still serves the Kubernetes API while /readyz fails.",
    ),
];

/// How much is taken on, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeLimits {
    /// Requests that only read, at a time; none for no limit.
    pub reading: Option<usize>,
    /// Requests that change something, at a time; none for no limit.
    pub changing: Option<usize>,
    /// Time for a request that is not meant to go on.
    pub request_timeout: Duration,
    /// The shortest life of a watch that names none; zero for watches that do not end.
    pub min_watch: Duration,
    /// Time between the first word of the end and the end.
    pub shutdown_delay: Duration,
}

/// Reads the flags.
///
/// # Errors
/// For the first that cannot be used.
pub(super) fn read(given: &Given) -> Result<KubeLimits, ConfigError> {
    let limit = |flag| -> Result<Option<usize>, ConfigError> {
        let limit = unsigned(given, flag)?;
        Ok(usize::try_from(limit).ok().filter(|limit| *limit > 0))
    };
    let request_timeout = duration(given, "request-timeout")?;
    if request_timeout.is_zero() {
        return Err(given.invalid("request-timeout", "can not be zero"));
    }
    Ok(KubeLimits {
        reading: limit("max-requests-inflight")?,
        changing: limit("max-mutating-requests-inflight")?,
        request_timeout,
        min_watch: Duration::from_secs(unsigned(given, "min-request-timeout")?),
        shutdown_delay: duration(given, "shutdown-delay-duration")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_command_line;
    use crate::config::testing::member;

    #[test]
    fn limits_are_kube_apiservers() {
        let limits = member(&["--secure-port=6443"]).kube.unwrap().limits;
        assert_eq!((limits.reading, limits.changing), (Some(400), Some(200)));
        assert_eq!(limits.request_timeout, Duration::from_secs(60));
        assert_eq!(limits.min_watch, Duration::from_secs(1800));
        let limits = member(&[
            "--secure-port=6443",
            "--max-requests-inflight=0",
            "--max-mutating-requests-inflight=1",
            "--request-timeout=1500ms",
            "--min-request-timeout=0",
            "--shutdown-delay-duration=2s",
        ]);
        let limits = limits.kube.unwrap().limits;
        assert_eq!((limits.reading, limits.changing), (None, Some(1)));
        assert_eq!(limits.request_timeout, Duration::from_millis(1500));
        assert_eq!(limits.shutdown_delay, Duration::from_secs(2));
    }

    #[test]
    fn requests_have_some_time() {
        let flags = ["--secure-port=6443", "--request-timeout=0"];
        let error = from_command_line(flags.iter().map(Into::into), []).unwrap_err();
        assert!(error.to_string().contains("can not be zero"), "{error}");
    }
}
