//! The flags of `--enable-distributed-tracing`.

use super::build::{boolean, unsigned};
use super::error::ConfigError;
use super::member::TracingConfig;
use super::parse::Given;

/// What `--distributed-tracing-sampling-rate` counts by.
const MILLION: u32 = 1_000_000;

/// Where calls are traced to, if they are.
///
/// # Errors
/// For a rate over a million, and an address that is not a host and a port.
pub(super) fn read(given: &Given) -> Result<Option<TracingConfig>, ConfigError> {
    let rate = unsigned(given, "distributed-tracing-sampling-rate")?;
    if !boolean(given, "enable-distributed-tracing")? {
        return Ok(None);
    }
    let rate = u32::try_from(rate).ok().filter(|rate| *rate <= MILLION);
    let rate = rate.ok_or_else(|| {
        let reason = "tracing sampling rate must be less than 1000000";
        given.invalid("distributed-tracing-sampling-rate", reason)
    })?;
    let address = given.text("distributed-tracing-address");
    if !is_host_and_port(address) {
        return Err(given.invalid("distributed-tracing-address", "must be host:port"));
    }
    Ok(Some(TracingConfig {
        address: address.to_owned(),
        service_name: given.text("distributed-tracing-service-name").to_owned(),
        instance_id: given.text("distributed-tracing-instance-id").to_owned(),
        sampling_per_million: rate,
    }))
}

fn is_host_and_port(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else {
        return false;
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host_is_good = match bare {
        Some(ip) => ip.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            !host.is_empty() && host.chars().all(in_name)
        }
    };
    host_is_good && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::is_host_and_port;

    #[test]
    fn addresses_are_a_host_and_a_port() {
        for good in [
            "localhost:4317",
            "10.0.0.1:1",
            "[::1]:4317",
            "a.b-c.example:80",
        ] {
            assert!(is_host_and_port(good), "{good}");
        }
        for bad in [
            "",
            "localhost",
            ":4317",
            "::1:4317",
            "http://a:1",
            "a:b",
            "a:70000",
            "a/b:1",
        ] {
            assert!(!is_host_and_port(bad), "{bad}");
        }
    }
}
