//! URLs as Go's `net/url` reads them.

use std::sync::Arc;

use indexmap::IndexMap;

use super::{Answer, Builtin, texts};
use crate::kube::cel::fault::Fault;
use crate::kube::cel::value::{Key, Map, Value};

/// A URL in its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Url {
    scheme: String,
    /// With the port, unescaped.
    host: String,
    /// As it is written in a URL.
    path: String,
    query: String,
    /// As the whole is written.
    pub(in crate::kube::cel) text: String,
}

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "url" => |args| match args {
            [Value::String(text)] => {
                let parsed = request(text).and_then(|()| parse(text));
                parsed.map(|url| Value::Url(url.into())).map_err(|error| {
                    Fault::new(format!(
                        "URL parse error during conversion from string: {error}"
                    ))
                })
            }
            _ => Err(Fault::overload()),
        },
        "isURL" => |args| match args {
            [Value::String(text)] => Ok(Value::Bool(request(text).is_ok())),
            _ => Err(Fault::overload()),
        },
        "getScheme" => |args| part(args, |url| &url.scheme),
        "getHost" => |args| part(args, |url| &url.host),
        "getHostname" => |args| part(args, Url::hostname),
        "getPort" => |args| part(args, Url::port),
        "getEscapedPath" => |args| part(args, |url| &url.path),
        "getQuery" => |args| match args {
            [Value::Url(url)] => Ok(url.queries()),
            _ => Err(Fault::overload()),
        },
        _ => return None,
    })
}

fn part<'a>(args: &[Value<'a>], of: fn(&Url) -> &str) -> Answer<'a> {
    match args {
        [Value::Url(url)] => Ok(Value::text(of(url))),
        _ => Err(Fault::overload()),
    }
}

impl Url {
    fn split(&self) -> (&str, &str) {
        let inner = self.host.rfind(']').map_or(0, |at| at + 1);
        let colon = self.host.get(inner..).and_then(|rest| rest.find(':'));
        let host = match colon {
            Some(at) => self.host.split_at_checked(inner + at),
            None => None,
        };
        let (host, port) = host.unwrap_or((&self.host, ""));
        (host, port.trim_start_matches(':'))
    }

    fn hostname(&self) -> &str {
        let (host, _) = self.split();
        let inside = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        inside.unwrap_or(host)
    }

    fn port(&self) -> &str {
        self.split().1
    }

    fn queries<'a>(&self) -> Value<'a> {
        let mut found: IndexMap<String, Vec<String>> = IndexMap::new();
        for pair in self.query.split('&') {
            if pair.is_empty() || pair.contains(';') {
                continue;
            }
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let plain = |text: &str| unescape(&text.replace('+', " "), Part::Query);
            if let (Ok(key), Ok(value)) = (plain(key), plain(value)) {
                found.entry(key).or_default().push(value);
            }
        }
        let entries = found.into_iter().map(|(key, values)| {
            let name = Key::String(key.as_str().into());
            (name, (Value::text(key), texts(values)))
        });
        Value::Map(Map::Made(Arc::new(entries.collect())))
    }
}

/// What a text is a part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    Host,
    User,
    Query,
    Fragment,
}

fn unescape(text: &str, part: Part) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    let mut place = 0;
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits: String = rest.clone().take(2).map(char::from).collect();
            let code = digits
                .get(..2)
                .and_then(|hex| u8::from_str_radix(hex, 16).ok());
            let shown = || {
                text.get(place..)
                    .unwrap_or_default()
                    .chars()
                    .take(3)
                    .collect::<String>()
            };
            let Some(code) = code.filter(|_| digits.bytes().take(2).all(|b| b.is_ascii_hexdigit()))
            else {
                return Err(format!("invalid URL escape {:?}", shown()));
            };
            if part == Part::Host && code < 0x80 && code != b'%' {
                return Err(format!("invalid URL escape {:?}", shown()));
            }
            bytes.push(code);
            rest.next();
            rest.next();
            place += 3;
            continue;
        }
        if part == Part::Host && byte < 0x80 && should_escape(byte, part) {
            return Err(format!(
                "invalid character {:?} in host name",
                char::from(byte).to_string()
            ));
        }
        bytes.push(byte);
        place += 1;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn should_escape(byte: u8, part: Part) -> bool {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
        return false;
    }
    let plain: &[u8] = match part {
        Part::Host => b"!$&'()*+,;=:[]<>\"",
        Part::Path => b"$&+,/:;=@",
        Part::Fragment => b"$&+,/:;=?@!()*",
        Part::User | Part::Query => b"",
    };
    !plain.contains(&byte)
}

fn escape(text: &str, part: Part) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if should_escape(byte, part) {
            escaped.push_str(&format!("%{byte:02X}"));
        } else {
            escaped.push(char::from(byte));
        }
    }
    escaped
}

/// A path as it is to be written: as it came if that is a way to write it.
fn written(raw: &str, part: Part) -> Result<String, String> {
    let plain = unescape(raw, part)?;
    let extra = |byte: u8| {
        matches!(
            byte,
            b'!' | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
                | b'['
                | b']'
                | b'%'
        )
    };
    let valid = raw
        .bytes()
        .all(|byte| extra(byte) || !should_escape(byte, part));
    if valid || raw == "*" {
        return Ok(raw.to_owned());
    }
    Ok(escape(&plain, part))
}

/// Whether a text is an absolute URI or an absolute path, as `ParseRequestURI` says.
///
/// # Errors
/// In Go's words.
pub(super) fn request(text: &str) -> Result<(), String> {
    read(text, true)
        .map(|_| ())
        .map_err(|error| format!("parse {text:?}: {error}"))
}

fn parse(text: &str) -> Result<Url, String> {
    let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
    let wrong = |error| format!("parse {text:?}: {error}");
    let mut url = read(rest, false).map_err(wrong)?;
    if !fragment.is_empty() {
        let fragment = written(fragment, Part::Fragment).map_err(wrong)?;
        url.text.push('#');
        url.text.push_str(&fragment);
    }
    Ok(url)
}

/// The scheme and what follows it.
fn scheme(text: &str) -> Result<(&str, &str), String> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".into()),
            b':' => return Ok(text.split_once(':').unwrap_or_default()),
            _ => break,
        }
    }
    Ok(("", text))
}

fn read(text: &str, request: bool) -> Result<Url, String> {
    if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return Err("net/url: invalid control character in URL".into());
    }
    if text.is_empty() && request {
        return Err("empty url".into());
    }
    let mut url = Url::default();
    if text == "*" {
        url.path = "*".into();
        url.text = "*".into();
        return Ok(url);
    }
    let (name, rest) = scheme(text)?;
    url.scheme = name.to_ascii_lowercase();
    let forced = rest.ends_with('?') && rest.matches('?').count() == 1;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    url.query = query.to_owned();
    let question = if forced || !query.is_empty() {
        format!("?{query}")
    } else {
        String::new()
    };
    let colon = if url.scheme.is_empty() { "" } else { ":" };
    if !rest.starts_with('/') {
        if !url.scheme.is_empty() {
            url.text = format!("{}:{rest}{question}", url.scheme);
            return Ok(url);
        }
        if request {
            return Err("invalid URI for request".into());
        }
        let first = rest.split('/').next().unwrap_or_default();
        if first.contains(':') {
            return Err("first path segment in URL cannot contain colon".into());
        }
    }
    let has_authority = !url.scheme.is_empty() || !request && !rest.starts_with("///");
    let (authority, path) = match rest.strip_prefix("//").filter(|_| has_authority) {
        Some(rest) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            (Some(authority), path)
        }
        None => (None, rest),
    };
    let mut front = String::new();
    if let Some(authority) = authority {
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        url.host = host_of(host)?;
        if let Some(user) = user {
            check_user(user)?;
            front = format!("{user}@");
        }
        front = format!("//{front}{}", escape(&url.host, Part::Host));
    }
    url.path = written(path, Part::Path)?;
    url.text = format!("{}{colon}{front}{}{question}", url.scheme, url.path);
    Ok(url)
}

fn check_user(user: &str) -> Result<(), String> {
    let valid = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'.'
                    | b'_'
                    | b':'
                    | b'~'
                    | b'!'
                    | b'$'
                    | b'&'
                    | b'\''
                    | b'('
                    | b')'
                    | b'*'
                    | b'+'
                    | b','
                    | b';'
                    | b'='
                    | b'%'
                    | b'@'
            )
    };
    if !user.bytes().all(valid) {
        return Err("net/url: invalid userinfo".into());
    }
    unescape(user, Part::User).map(|_| ())
}

fn host_of(host: &str) -> Result<String, String> {
    let port = if host.starts_with('[') {
        let end = host.rfind(']').ok_or("missing ']' in host")?;
        host.get(end + 1..).unwrap_or_default()
    } else {
        host.rfind(':')
            .and_then(|at| host.get(at..))
            .unwrap_or_default()
    };
    let digits = port.strip_prefix(':');
    let valid =
        port.is_empty() || digits.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    if !valid {
        return Err(format!("invalid port {port:?} after host"));
    }
    if !host.starts_with('[') && host.find(':') != host.rfind(':') {
        let first = host
            .find(':')
            .and_then(|at| host.get(at..))
            .unwrap_or_default();
        return Err(format!("invalid port {first:?} after host"));
    }
    unescape(host, Part::Host)
}
