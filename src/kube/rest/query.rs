//! Query parameters: how they are spelled, and what may be combined.
//!
//! Rules: <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>.

use std::time::Duration;

use crate::kube::field::{FieldError, FieldErrorKind, quoted};
use crate::kube::request::is_true;
use crate::kube::status::{ApiError, ApiResult};

/// The parameters of a request, decoded, in their order.
#[derive(Debug, Clone, Default)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads the part of a URL behind the `?`. What is no valid escape stands for itself.
    pub fn parse(query: &str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes());
        let pairs = pairs.map(|(key, value)| (key.into_owned(), value.into_owned()));
        Self {
            pairs: pairs.collect(),
        }
    }

    /// The first value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.pairs.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let found = self.pairs.iter().filter(move |(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A boolean is true for every value but `0` and `false`; absent, it is none.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).map(is_true)
    }

    /// An integer, as Go reads one.
    ///
    /// # Errors
    /// 400 with the words of `strconv.ParseInt`.
    pub fn integer(&self, name: &str) -> ApiResult<Option<i64>> {
        let Some(text) = self.get(name).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|error: std::num::ParseIntError| {
                let why = match error.kind() {
                    std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                        "value out of range"
                    }
                    _ => "invalid syntax",
                };
                ApiError::bad_request(format!("strconv.ParseInt: parsing {text:?}: {why}"))
            })
    }
}

/// Which version of a collection is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// The most recent.
    Latest,
    /// Whatever this member has.
    Any,
    /// This one or a later one.
    NotOlderThan(i64),
    /// This one.
    Exactly(i64),
}

/// A list or watch, as its parameters have it.
#[derive(Debug, Clone)]
pub struct ListOptions {
    pub version: Version,
    /// Whether `resourceVersionMatch` was given.
    pub matched: bool,
    /// The resource version as given; empty if none was.
    pub resource_version: String,
    pub limit: Option<usize>,
    pub continue_token: Option<String>,
    pub label_selector: String,
    pub field_selector: String,
    pub watch: bool,
    pub bookmarks: bool,
    pub send_initial_events: Option<bool>,
    pub timeout: Option<Duration>,
}

const OPTIONS: &str = "ListOptions";

impl ListOptions {
    /// Reads and checks them.
    ///
    /// # Errors
    /// 400 for what cannot be read, 422 for combinations that may not be.
    pub fn parse(query: &Query) -> ApiResult<Self> {
        let limit = query
            .integer("limit")?
            .and_then(|limit| usize::try_from(limit).ok());
        let timeout = query.integer("timeoutSeconds")?;
        let mut options = Self {
            version: Version::Latest,
            matched: query
                .get("resourceVersionMatch")
                .is_some_and(|text| !text.is_empty()),
            resource_version: query.get("resourceVersion").unwrap_or_default().to_owned(),
            limit: limit.filter(|limit| *limit > 0),
            continue_token: query
                .get("continue")
                .filter(|text| !text.is_empty())
                .map(Into::into),
            label_selector: query.get("labelSelector").unwrap_or_default().to_owned(),
            field_selector: query.get("fieldSelector").unwrap_or_default().to_owned(),
            watch: query.flag("watch").unwrap_or(false),
            bookmarks: query.flag("allowWatchBookmarks").unwrap_or(false),
            send_initial_events: query.flag("sendInitialEvents"),
            timeout: timeout
                .and_then(|seconds| u64::try_from(seconds).ok())
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs),
        };
        let how = query.get("resourceVersionMatch").unwrap_or_default();
        options.check_combination(how)?;
        options.version = options.read_version(how)?;
        Ok(options)
    }

    fn check_combination(&self, how: &str) -> ApiResult<()> {
        let mut errors = Vec::new();
        let mut forbid = |field: &str, why: &str| errors.push(FieldError::forbidden(field, why));
        if self.watch {
            match self.send_initial_events {
                Some(_) if how != "NotOlderThan" => forbid(
                    "resourceVersionMatch",
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                ),
                None if !how.is_empty() => {
                    forbid(
                        "resourceVersionMatch",
                        "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                    );
                }
                _ => {}
            }
            if !how.is_empty() && how != "NotOlderThan" {
                let known = ["NotOlderThan"];
                errors.push(FieldError::not_supported(
                    "resourceVersionMatch",
                    how,
                    &known,
                ));
            }
            if self.continue_token.is_some() {
                errors.push(FieldError::forbidden(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden when continue is provided",
                ));
            }
            return refuse(&errors);
        }
        if !how.is_empty() {
            if self.resource_version.is_empty() {
                forbid(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden unless resourceVersion is provided",
                );
            }
            if self.continue_token.is_some() {
                forbid(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden when continue is provided",
                );
            }
            match how {
                "NotOlderThan" => {}
                "Exact" if self.resource_version == "0" => errors.push(FieldError::forbidden(
                    "resourceVersionMatch",
                    "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
                )),
                "Exact" => {}
                other => errors.push(FieldError::not_supported(
                    "resourceVersionMatch",
                    other,
                    &["Exact", "NotOlderThan", ""],
                )),
            }
        }
        if self.send_initial_events.is_some() {
            errors.push(FieldError::forbidden(
                "sendInitialEvents",
                "sendInitialEvents is forbidden for list",
            ));
        }
        refuse(&errors)
    }

    fn read_version(&self, how: &str) -> ApiResult<Version> {
        let text = self.resource_version.as_str();
        if text.is_empty() {
            return Ok(Version::Latest);
        }
        let number = parse_version(text).map_err(|error| {
            if self.watch {
                ApiError::unclassified(error.to_string())
            } else {
                ApiError::bad_request(format!("invalid resource version: {error}"))
            }
        })?;
        if self.continue_token.is_some() && number != 0 {
            let why = "specifying resource version is not allowed when using continue";
            return Err(ApiError::bad_request(why));
        }
        Ok(match (number, how) {
            (0, _) => Version::Any,
            (number, "Exact") => Version::Exactly(number),
            // A rule of old: with a limit and no match, the version is exact.
            (number, "") if self.limit.is_some() && !self.watch => Version::Exactly(number),
            (number, _) => Version::NotOlderThan(number),
        })
    }
}

fn refuse(errors: &[FieldError]) -> ApiResult<()> {
    if errors.is_empty() {
        return Ok(());
    }
    Err(invalid_options(OPTIONS, errors))
}

/// 422 for the options of a request, which are objects of `meta.k8s.io`.
pub fn invalid_options(kind: &str, errors: &[FieldError]) -> ApiError {
    ApiError::invalid("meta.k8s.io", kind, "", errors)
}

/// Reads a resource version: the decimal digits of a revision.
///
/// # Errors
/// What is wrong with the parameter.
pub fn parse_version(text: &str) -> Result<i64, FieldError> {
    let number = text
        .parse::<u64>()
        .ok()
        .and_then(|number| i64::try_from(number).ok());
    number.ok_or_else(|| {
        let why = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            "value out of range"
        } else {
            "invalid syntax"
        };
        FieldError::new(
            FieldErrorKind::Invalid,
            "resourceVersion",
            quoted(text),
            format!("strconv.ParseUint: parsing {}: {why}", quoted(text)),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> ApiResult<ListOptions> {
        ListOptions::parse(&Query::parse(query))
    }

    fn refused(query: &str) -> (u16, String) {
        let error = parse(query).unwrap_err();
        (error.code, error.message)
    }

    #[test]
    fn parameters_are_unescaped_and_may_repeat() {
        let query = Query::parse("a=1%2C2&a=x+y&b&c=%zz&d=%E2%82%AC");
        assert_eq!(query.all("a").collect::<Vec<_>>(), ["1,2", "x y"]);
        assert_eq!(query.get("b"), Some(""));
        assert_eq!(query.get("c"), Some("%zz"));
        assert_eq!(query.get("d"), Some("€"));
    }

    #[test]
    fn booleans_are_true_unless_they_say_otherwise() {
        let query = Query::parse("a=&b=1&c=maybe&d=0&e=FALSE");
        let flags = ["a", "b", "c", "d", "e", "f"].map(|name| query.flag(name));
        let yes = Some(true);
        assert_eq!(flags, [yes, yes, yes, Some(false), Some(false), None]);
    }

    #[test]
    fn the_version_of_a_list_follows_the_table() {
        for (query, version) in [
            ("", Version::Latest),
            ("resourceVersion=0", Version::Any),
            ("resourceVersion=5", Version::NotOlderThan(5)),
            ("limit=2", Version::Latest),
            ("limit=2&resourceVersion=0", Version::Any),
            ("limit=2&resourceVersion=5", Version::Exactly(5)),
            (
                "limit=2&resourceVersion=5&resourceVersionMatch=NotOlderThan",
                Version::NotOlderThan(5),
            ),
            (
                "resourceVersion=5&resourceVersionMatch=Exact",
                Version::Exactly(5),
            ),
            (
                "resourceVersion=0&resourceVersionMatch=NotOlderThan",
                Version::Any,
            ),
            (
                "watch=1&resourceVersion=5&limit=5",
                Version::NotOlderThan(5),
            ),
        ] {
            assert_eq!(parse(query).unwrap().version, version, "{query}");
        }
    }

    #[test]
    fn what_may_not_be_is_refused_in_the_words_of_the_release() {
        for (query, code, said) in [
            (
                "limit=abc",
                400,
                r#"strconv.ParseInt: parsing "abc": invalid syntax"#,
            ),
            (
                "resourceVersion=abc",
                400,
                r#"invalid resource version: resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax"#,
            ),
            (
                "watch=1&resourceVersion=abc",
                500,
                r#"resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax"#,
            ),
            (
                "resourceVersionMatch=Exact",
                422,
                r#"ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"#,
            ),
            (
                "resourceVersion=1&resourceVersionMatch=Newer",
                422,
                r#"ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Unsupported value: "Newer": supported values: "Exact", "NotOlderThan", """#,
            ),
            (
                "sendInitialEvents=true",
                422,
                r#"ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"#,
            ),
            (
                "continue=x&resourceVersion=5",
                400,
                "specifying resource version is not allowed when using continue",
            ),
        ] {
            assert_eq!(refused(query), (code, said.to_owned()), "{query}");
        }
    }
}
