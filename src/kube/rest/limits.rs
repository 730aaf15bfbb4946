//! How much is taken on at a time, and how long a request may take.
//!
//! Requests that are meant to go on (watches, streams of a pod) are neither counted nor timed. Whoever may do
//! everything is never turned away: they are the ones who can put things right.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use http::{HeaderValue, Response, header};

use super::query::Query;
use super::reply::{self, KubeBody};
use crate::base::clock;
use crate::kube::request::RequestInfo;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::user::{MASTERS, User};

/// Verbs that change nothing.
const READING: [&str; 3] = ["get", "list", "watch"];
/// Subresources whose requests go on.
const STREAMED: [&str; 5] = ["attach", "exec", "proxy", "log", "portforward"];
/// Longer than any watch: for those that are not to end.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The flags.
#[derive(Debug, Clone)]
pub struct LimitSettings {
    /// `--max-requests-inflight`; none for no limit.
    pub reading: Option<usize>,
    /// `--max-mutating-requests-inflight`; none for no limit.
    pub changing: Option<usize>,
    /// `--request-timeout`.
    pub request_timeout: Duration,
    /// `--min-request-timeout`, which is for watches alone.
    pub min_watch: Duration,
}

/// What requests are held against.
#[derive(Debug)]
pub(super) struct Limits {
    reading: Arc<InFlight>,
    changing: Arc<InFlight>,
    request_timeout: Duration,
    min_watch: Duration,
}

/// Requests of one kind that are under way.
#[derive(Debug)]
struct InFlight {
    most: Option<usize>,
    now: AtomicUsize,
    /// The second since `began`, and the most that were under way in it: 32 bits each.
    peak: AtomicU64,
    began: Instant,
}

/// A request's place among those under way; leaving it is dropping it.
#[derive(Debug)]
pub(super) struct Place(Option<Arc<InFlight>>);

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(kind) = &self.0 {
            kind.now.fetch_sub(1, Relaxed);
        }
    }
}

impl InFlight {
    fn new(most: Option<usize>) -> Arc<Self> {
        Arc::new(Self {
            most,
            now: AtomicUsize::new(0),
            peak: AtomicU64::new(0),
            began: clock::now(),
        })
    }

    fn enter(self: &Arc<Self>) -> Option<Place> {
        let enter = |now: usize| {
            let full = self.most.is_some_and(|most| now >= most);
            (!full).then_some(now + 1)
        };
        let before = self.now.fetch_update(Relaxed, Relaxed, enter).ok()?;
        self.note(before + 1);
        Some(Place(Some(Arc::clone(self))))
    }

    fn second(&self) -> u64 {
        clock::now().saturating_duration_since(self.began).as_secs()
    }

    fn note(&self, count: usize) {
        let second = self.second() << 32;
        let seen = second | u64::try_from(count).unwrap_or(u64::MAX) & u64::from(u32::MAX);
        // A later second is a larger number, and within a second a larger count is.
        self.peak.fetch_max(seen, Relaxed);
    }

    /// The most that were under way at once within the last second.
    fn recent_peak(&self) -> usize {
        let now = self.now.load(Relaxed);
        let peak = self.peak.load(Relaxed);
        let fresh = (peak >> 32) + 1 >= self.second();
        let peak = usize::try_from(peak & u64::from(u32::MAX)).unwrap_or(usize::MAX);
        if fresh { now.max(peak) } else { now }
    }
}

impl Limits {
    pub(super) fn new(settings: &LimitSettings) -> Self {
        Self {
            reading: InFlight::new(settings.reading),
            changing: InFlight::new(settings.changing),
            request_timeout: settings.request_timeout,
            min_watch: settings.min_watch,
        }
    }

    /// Takes a request on; none if there are too many under way.
    pub(super) fn enter(&self, user: &User, request: &RequestInfo) -> Option<Place> {
        if is_long_running(request) {
            return Some(Place(None));
        }
        let kind = if is_mutating(request) {
            &self.changing
        } else {
            &self.reading
        };
        let place = kind.enter();
        place.or_else(|| user.is_in(MASTERS).then_some(Place(None)))
    }

    /// The most requests under way at once within the last second: those that read, those that change.
    pub(super) fn peaks(&self) -> (usize, usize) {
        (self.reading.recent_peak(), self.changing.recent_peak())
    }

    /// The time that a request has: what it asks for, if that is shorter than the server's.
    ///
    /// # Errors
    /// 400 for what is no duration.
    pub(super) fn time(&self, query: &Query) -> ApiResult<Duration> {
        let Some(text) = query.get("timeout").filter(|text| !text.is_empty()) else {
            return Ok(self.request_timeout);
        };
        match crate::kube::object::duration::parse(text) {
            Ok(nanos) => match u64::try_from(nanos).unwrap_or_default() {
                0 => Ok(self.request_timeout),
                asked => Ok(Duration::from_nanos(asked).min(self.request_timeout)),
            },
            Err(error) => Err(ApiError::bad_request(format!(
                "invalid timeout specified in the request URL - {error}"
            ))),
        }
    }

    /// How long a watch lives that does not say it: somewhere between the shortest life and twice that, so that
    /// those that began together do not end together.
    pub(super) fn watch_life(&self) -> Duration {
        if self.min_watch.is_zero() {
            return FOR_EVER;
        }
        self.min_watch
            .mul_f64(1.0 + rand::random::<f64>())
            .min(FOR_EVER)
    }
}

/// Whether a request is meant to go on.
pub(super) fn is_long_running(request: &RequestInfo) -> bool {
    let subresource = request.target.as_ref().map(|target| &*target.subresource);
    matches!(&*request.verb, "watch" | "proxy")
        || subresource.is_some_and(|sub| STREAMED.contains(&sub))
}

/// Whether a request changes something, as far as its verb tells.
pub(super) fn is_mutating(request: &RequestInfo) -> bool {
    !READING.contains(&&*request.verb)
}

/// What whoever is turned away is told.
pub(super) fn too_many() -> Response<KubeBody> {
    let mut response = reply::whole(
        429,
        reply::TEXT,
        "Too many requests, please try again later.\n",
    );
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// What the release writes when time is up: a `Status` without its kind, as text.
pub(super) fn timed_out() -> Response<KubeBody> {
    let body = concat!(
        r#"{"metadata":{},"status":"Failure","message":"Timeout: request did not complete within the allotted timeout","#,
        r#""reason":"Timeout","details":{},"code":504}"#
    );
    reply::whole(504, reply::TEXT, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(reading: usize, changing: usize) -> Limits {
        Limits::new(&LimitSettings {
            reading: (reading > 0).then_some(reading),
            changing: (changing > 0).then_some(changing),
            request_timeout: Duration::from_secs(60),
            min_watch: Duration::from_secs(1800),
        })
    }

    fn request(method: &str, url: &str) -> RequestInfo {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        RequestInfo::parse(method, path, query).unwrap()
    }

    #[test]
    fn each_kind_of_request_has_its_own_room() {
        let limits = limits(2, 1);
        let user = User::anonymous();
        let get = request("GET", "/api/v1/pods");
        let post = request("POST", "/api/v1/namespaces/a/pods");
        let mut kept: Vec<_> = (0..2).map(|_| limits.enter(&user, &get).unwrap()).collect();
        assert!(limits.enter(&user, &get).is_none());
        kept.push(limits.enter(&user, &post).unwrap());
        assert!(limits.enter(&user, &post).is_none());
        // A POST to a path that is no resource changes something too, as far as is known.
        assert!(limits.enter(&user, &request("POST", "/healthz")).is_none());
        for long in [
            request("GET", "/api/v1/pods?watch=1"),
            request("POST", "/api/v1/namespaces/a/pods/x/exec"),
        ] {
            assert!(limits.enter(&user, &long).is_some());
        }
        let master = User {
            groups: vec![MASTERS.into()],
            ..User::default()
        };
        drop(limits.enter(&master, &get).unwrap());
        assert!(
            limits.enter(&user, &get).is_none(),
            "a master took nobody's place"
        );
        assert_eq!(limits.peaks(), (2, 1));
        kept.clear();
        assert!(limits.enter(&user, &get).is_some() && limits.enter(&user, &post).is_some());
    }

    #[test]
    fn nobody_is_turned_away_without_limits() {
        let limits = limits(0, 0);
        let (user, post) = (User::anonymous(), request("POST", "/x"));
        let all: Vec<_> = (0..1000).map(|_| limits.enter(&user, &post)).collect();
        assert!(all.iter().all(Option::is_some));
    }

    #[test]
    fn time_is_what_is_asked_for_or_less() {
        let limits = limits(0, 0);
        let time = |query: &str| {
            limits
                .time(&Query::parse(query))
                .map_err(|error| error.message)
        };
        for (query, seconds) in [
            ("", 60),
            ("timeout=", 60),
            ("timeout=3s", 3),
            ("timeout=0s", 60),
            ("timeout=2m", 60),
        ] {
            assert_eq!(time(query), Ok(Duration::from_secs(seconds)), "{query}");
        }
        assert_eq!(
            time("timeout=abc").unwrap_err(),
            "invalid timeout specified in the request URL - time: invalid duration \"abc\""
        );
    }

    #[test]
    fn watches_end_at_different_times() {
        let limits = limits(0, 0);
        let lives: Vec<_> = (0..8).map(|_| limits.watch_life().as_secs()).collect();
        assert!(
            lives.iter().all(|life| (1800..=3600).contains(life)),
            "{lives:?}"
        );
        assert!(lives.iter().any(|life| *life != lives[0]));
    }
}
