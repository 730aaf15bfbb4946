//! Links of what is proxied: those that lead to the host behind the proxy are made to lead through it.

/// Where a proxied page lies, for whoever follows its links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What stands before a path of the host behind, in this server's paths; without a slash at its end.
    pub prefix: String,
    /// The host behind, with its port.
    pub host: String,
    /// The host that the client has asked.
    pub asked: String,
}

impl Place {
    /// The place of a page that was asked for by `path` and is `behind` at its host.
    pub fn new(path: &str, behind: &str, host: String, asked: &str) -> Self {
        let behind = if path.ends_with('/') && !behind.ends_with('/') {
            format!("{behind}/")
        } else {
            behind.to_owned()
        };
        let prefix = path.strip_suffix(&behind).unwrap_or(path);
        Self {
            prefix: prefix.trim_end_matches('/').to_owned(),
            host,
            asked: asked.to_owned(),
        }
    }

    /// A link as it is to be followed; what leads elsewhere, or is relative, is left as it is.
    pub fn through(&self, link: &str) -> Option<String> {
        let link = Link::parse(link)?;
        let known = [Some(self.host.as_str()), Some(self.asked.as_str()), None];
        if !known.contains(&link.host) || !link.path.starts_with('/') {
            return None;
        }
        let path = if within(link.path, &self.prefix) {
            link.path.to_owned()
        } else {
            join(&self.prefix, link.path)
        };
        Some(format!("{path}{}", link.rest))
    }
}

/// Whether a path leads through the proxy already.
fn within(path: &str, prefix: &str) -> bool {
    path.starts_with(prefix)
}

/// The parts of a link.
struct Link<'a> {
    host: Option<&'a str>,
    path: &'a str,
    /// Query and fragment, with what they begin with.
    rest: &'a str,
}

impl<'a> Link<'a> {
    fn parse(link: &'a str) -> Option<Self> {
        if link.chars().any(char::is_control) {
            return None;
        }
        let end = link.find(['?', '#']).unwrap_or(link.len());
        let (before, rest) = link.split_at(end);
        let (scheme, after) = match before.split_once(':') {
            Some((scheme, after)) if is_scheme(scheme) => (Some(scheme), after),
            _ => (None, before),
        };
        match after.strip_prefix("//") {
            Some(authority) => {
                let end = authority.find('/').unwrap_or(authority.len());
                let (host, path) = authority.split_at(end);
                Some(Self {
                    host: Some(host),
                    path,
                    rest,
                })
            }
            // `mailto:` and its like.
            None if scheme.is_some() => None,
            None => Some(Self {
                host: None,
                path: after,
                rest,
            }),
        }
    }
}

fn is_scheme(text: &str) -> bool {
    let mut chars = text.chars();
    let known = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    chars.next().is_some_and(|c| c.is_ascii_alphabetic()) && chars.all(known)
}

/// Paths behind each other, cleaned as Go's `path.Join` does it, with a slash at the end if the last one has it.
pub fn join(before: &str, after: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in before.split('/').chain(after.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut path = format!("/{}", parts.join("/"));
    if after.ends_with('/') && !path.ends_with('/') {
        path.push('/');
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        let path = "/api/v1/namespaces/d/services/s/proxy/a/b";
        Place::new(path, "/a/b", "10.0.0.1:80".into(), "localhost:8001")
    }

    #[test]
    fn the_prefix_is_what_the_host_behind_does_not_know() {
        assert_eq!(place().prefix, "/api/v1/namespaces/d/services/s/proxy");
        let root = Place::new("/api/v1/nodes/n/proxy/", "/", "n:1".into(), "");
        assert_eq!(root.prefix, "/api/v1/nodes/n/proxy");
    }

    #[test]
    fn links_lead_through_the_proxy() {
        let prefix = "/api/v1/namespaces/d/services/s/proxy";
        for (link, wanted) in [
            ("/", "/"),
            ("/x/y?q=/1#f", "/x/y?q=/1#f"),
            ("http://10.0.0.1:80/x/", "/x/"),
            ("https://localhost:8001/x", "/x"),
            ("//10.0.0.1:80/x", "/x"),
            ("/../../../x", "/x"),
        ] {
            let wanted = match link {
                "/../../../x" => "/api/v1/namespaces/d/x".to_owned(),
                _ => format!("{prefix}{wanted}"),
            };
            assert_eq!(place().through(link), Some(wanted), "{link}");
        }
        let within = format!("{prefix}/x?y");
        assert_eq!(place().through(&within), Some(within.clone()));
    }

    #[test]
    fn other_links_are_left() {
        for link in [
            "x/y",
            "?q",
            "#f",
            "",
            "http://example.com/x",
            "http://10.0.0.1/x",
            "http://10.0.0.1:80",
            "mailto:a@b",
            "javascript:x()",
            "/a\nb",
        ] {
            assert_eq!(place().through(link), None, "{link}");
        }
    }
}
