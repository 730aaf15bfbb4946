//! The URLs of members: a scheme, a host and a port, and nothing else.

use std::fmt;

/// How a URL's address is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
    Unix,
}

/// `http://host:port` or `https://host:port`, kept as written, because member ids are computed over the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Url {
    host: String,
    port: u16,
    text: String,
}

impl Url {
    /// The host: a name, an IPv4 address or an IPv6 address without brackets. Empty means every address
    /// of this machine.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 0 lets the system choose when listening.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether TLS is spoken there.
    pub fn is_https(&self) -> bool {
        self.text.starts_with("https://")
    }

    /// The whole URL, as etcd stores and prints it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads one URL with etcd's rules.
///
/// # Errors
/// What is wrong with it, in etcd's words.
pub(super) fn parse(text: &str) -> Result<(Scheme, Url), String> {
    let text = text.trim();
    let (scheme, rest) = text
        .split_once("://")
        .ok_or_else(|| format!("URL scheme must be http, https, unix, or unixs: {text}"))?;
    let lower = scheme.to_ascii_lowercase();
    let scheme = match lower.as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        "unix" | "unixs" => Scheme::Unix,
        _ => {
            return Err(format!(
                "URL scheme must be http, https, unix, or unixs: {text}"
            ));
        }
    };
    if rest.contains(['/', '?', '#']) {
        return Err(format!("URL must not contain a path: {text}"));
    }
    let (host, port) = host_and_port(rest)
        .ok_or_else(|| format!("URL address does not have the form \"host:port\": {text}"))?;
    let url = Url {
        host: host.to_owned(),
        port,
        text: format!("{lower}://{rest}"),
    };
    Ok((scheme, url))
}

/// Reads a comma-separated list, in the order of etcd: sorted by text.
///
/// # Errors
/// As [`parse`], for the first URL that is wrong.
pub(super) fn parse_list(text: &str) -> Result<Vec<(Scheme, Url)>, String> {
    let mut urls = text
        .split(',')
        .map(parse)
        .collect::<Result<Vec<_>, String>>()?;
    urls.sort_by(|(_, a), (_, b)| a.text.cmp(&b.text));
    Ok(urls)
}

fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.strip_suffix(']')?,
        None if host.contains([':', '@', ' ', '[', ']']) => return None,
        None => host,
    };
    port.starts_with(|c: char| c.is_ascii_digit())
        .then(|| port.parse().ok())
        .flatten()
        .map(|port| (host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_every_family() {
        for (text, host, port) in [
            ("http://127.0.0.1:2379", "127.0.0.1", 2379),
            ("http://[::1]:2379", "::1", 2379),
            ("http://node-1.example:1", "node-1.example", 1),
            ("HTTP://:0", "", 0),
        ] {
            let (scheme, url) = parse(text).unwrap();
            assert_eq!((scheme, url.host(), url.port()), (Scheme::Http, host, port));
            assert_eq!(url.as_str(), text.replace("HTTP", "http"));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, reason) in [
            ("127.0.0.1:2379", "URL scheme must be http"),
            ("ftp://127.0.0.1:2379", "URL scheme must be http"),
            ("http://127.0.0.1", "does not have the form \"host:port\""),
            ("http://::1:2379", "does not have the form \"host:port\""),
            ("http://[::1:2379", "does not have the form \"host:port\""),
            (
                "http://127.0.0.1:99999",
                "does not have the form \"host:port\"",
            ),
            (
                "http://127.0.0.1:+1",
                "does not have the form \"host:port\"",
            ),
            ("http://127.0.0.1:1/", "URL must not contain a path"),
            ("", "URL scheme must be http"),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.contains(reason), "{text}: {said}");
        }
    }

    #[test]
    fn lists_are_sorted_by_text() {
        let urls = parse_list("http://b:2, http://a:10,http://a:1").unwrap();
        let texts: Vec<_> = urls.iter().map(|(_, url)| url.as_str()).collect();
        assert_eq!(texts, ["http://a:1", "http://a:10", "http://b:2"]);
        assert!(parse_list("http://a:1,").is_err());
    }
}
