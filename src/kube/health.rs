//! `/livez`, `/readyz`, `/healthz` and their single checks: what they say, given how the checks went.
//!
//! The reason of a failure is told by the single check alone: the paths above it are open to everybody.

use super::field::quoted;

/// How one check went; the error is the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check<'a> {
    pub name: &'a str,
    pub result: Result<(), String>,
}

/// An answer as plain text (`text/plain; charset=utf-8`, with `X-Content-Type-Options: nosniff`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// The answer of `/livez`, `/readyz` or `/healthz`; `endpoint` is that name without the slash.
///
/// `excluded` are the values of the query's `exclude`; `verbose` is whether it has that key at all. A failure is
/// always told at length.
pub fn report(endpoint: &str, checks: &[Check<'_>], verbose: bool, excluded: &[&str]) -> Answer {
    let mut lines = String::new();
    let mut failed = false;
    for check in checks {
        let verdict = match &check.result {
            _ if excluded.contains(&check.name) => "excluded: ok",
            Ok(()) => "ok",
            Err(_) => {
                failed = true;
                lines.push_str(&format!("[-]{} failed: reason withheld\n", check.name));
                continue;
            }
        };
        lines.push_str(&format!("[+]{} {verdict}\n", check.name));
    }
    let mut unknown: Vec<_> = excluded.to_vec();
    unknown.retain(|name| checks.iter().all(|check| check.name != *name));
    unknown.sort_unstable();
    unknown.dedup();
    if !unknown.is_empty() {
        let names: Vec<_> = unknown.into_iter().map(quoted).collect();
        let names = names.join(",");
        lines.push_str(&format!(
            "warn: some health checks cannot be excluded: no matches for {names}\n"
        ));
    }
    match (failed, verbose) {
        (true, _) => Answer {
            status: 500,
            body: format!("{lines}{endpoint} check failed\n"),
        },
        (false, true) => Answer {
            status: 200,
            body: format!("{lines}{endpoint} check passed\n"),
        },
        (false, false) => Answer {
            status: 200,
            body: "ok".into(),
        },
    }
}

/// The answer of a single check such as `/readyz/ping`; none if no check has that name.
pub fn single(checks: &[Check<'_>], name: &str) -> Option<Answer> {
    let check = checks.iter().find(|check| check.name == name)?;
    Some(match &check.result {
        Ok(()) => Answer {
            status: 200,
            body: "ok".into(),
        },
        Err(why) => Answer {
            status: 500,
            body: format!("internal server error: {why}\n"),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks() -> [Check<'static>; 2] {
        [
            Check {
                name: "ping",
                result: Ok(()),
            },
            Check {
                name: "etcd",
                result: Err("no leader".into()),
            },
        ]
    }

    #[test]
    fn health_is_one_word_unless_asked_for_more() {
        let [ping, _] = checks();
        let brief = report("livez", std::slice::from_ref(&ping), false, &[]);
        assert_eq!((brief.status, &*brief.body), (200, "ok"));
        let verbose = report("livez", &[ping], true, &[]);
        assert_eq!(verbose.body, "[+]ping ok\nlivez check passed\n");
    }

    #[test]
    fn a_failure_is_told_without_its_reason() {
        let answer = report("readyz", &checks(), false, &[]);
        assert_eq!(answer.status, 500);
        assert_eq!(
            answer.body,
            "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n"
        );
    }

    #[test]
    fn an_excluded_check_does_not_fail_and_an_unknown_one_is_named() {
        let answer = report("readyz", &checks(), true, &["x", "etcd", "a", "x"]);
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.body,
            "[+]ping ok\n[+]etcd excluded: ok\nwarn: some health checks cannot be excluded: no matches for \
             \"a\",\"x\"\nreadyz check passed\n"
        );
    }

    #[test]
    fn a_single_check_tells_why_it_fails() {
        assert_eq!(single(&checks(), "ping").unwrap().body, "ok");
        let answer = single(&checks(), "etcd").unwrap();
        assert_eq!(
            (answer.status, &*answer.body),
            (500, "internal server error: no leader\n")
        );
        assert_eq!(single(&checks(), "none"), None);
    }
}
