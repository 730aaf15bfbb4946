//! `get` and `list`: which version is read, where from, and in pages.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::query::{ListOptions, Version};
use super::token::Continue;
use crate::base::clock;
use crate::base::range::KeyRange;
use crate::kube::metrics::PlaceSeries;
use crate::kube::select::Selector;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::store::{self, ObjectStore};
use crate::kube::views::{Stored, World};

/// Objects of a list that is answered from the store and not from the views are read in pages of this many.
const STORE_PAGE: usize = 500;

const EXPIRED_TOKEN: &str = "The provided continue parameter is too old to display a consistent list \
    result. You can start a new list without the continue parameter, or use the continue token in this response \
    to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - \
    objects that were created, modified, or deleted between the time the first chunk was returned and now may show \
    up in the list.";

/// A page of a collection.
#[derive(Debug)]
pub(super) struct Page {
    pub items: Vec<Arc<Stored>>,
    /// The revision that the whole list is at.
    pub revision: i64,
    pub next: Option<Continue>,
    /// Items that follow; known only where every object is selected.
    pub remaining: Option<i64>,
}

/// The collection that a list is about.
#[derive(Debug)]
pub(super) struct Collection<'a> {
    /// Below `/registry/`.
    pub place: &'a str,
    /// `""` for all.
    pub namespace: &'a str,
    pub selector: &'a Selector,
}

impl Collection<'_> {
    /// The key prefix; or the one key that can be selected.
    pub(super) fn prefix(&self, namespaced: bool) -> Bytes {
        let namespace = match self.namespace {
            "" => self.selector.namespace().unwrap_or_default(),
            namespace => namespace,
        };
        match self.selector.name() {
            Some(name) if is_plain(name) && (!namespaced || is_plain(namespace)) => {
                let namespace = if namespaced { namespace } else { "" };
                store::key(self.place, namespace, name)
            }
            _ => store::prefix(self.place, self.namespace).into(),
        }
    }
}

/// Whether a name can be part of a key and nothing more.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.contains('/')
}

/// Whether a stored object is selected. One that cannot be decoded is not.
pub(super) type Selects<'a> = &'a (dyn Fn(&Stored) -> bool + Sync);

/// Reads a page of a list.
///
/// # Errors
/// 410 for what has been compacted, 504 for versions that this member does not reach.
pub(super) async fn list(
    store: &ObjectStore,
    collection: &Collection<'_>,
    options: &ListOptions,
    selects: Selects<'_>,
    series: &PlaceSeries,
) -> ApiResult<Page> {
    let began = clock::now();
    let prefix = store::prefix(collection.place, collection.namespace);
    let mut limit = options.limit;
    if let Some(token) = &options.continue_token {
        let token = Continue::decode(token)?;
        let start = format!("{prefix}{}", token.start);
        return match token.revision {
            None => {
                let world = latest(store, series, began).await?;
                Ok(page(
                    &world, collection, &prefix, &start, limit, selects, series,
                ))
            }
            Some(revision) => {
                let from = (prefix.as_str(), start.as_str());
                let at = exactly(store, collection, from, revision, limit, selects, series);
                at.await.map_err(|error| go_on(error, &token))
            }
        };
    }
    let world = match options.version {
        Version::Latest => latest(store, series, began).await?,
        Version::Any => {
            // Whatever is at hand is handed out whole.
            if !options.matched {
                limit = None;
            }
            store.views().world()
        }
        Version::NotOlderThan(revision) => {
            let world = store.not_older_than(revision).await;
            series.waited(began);
            world?
        }
        Version::Exactly(revision) => {
            store.not_older_than(revision).await?;
            let from = (prefix.as_str(), prefix.as_str());
            return exactly(store, collection, from, revision, limit, selects, series).await;
        }
    };
    Ok(page(
        &world, collection, &prefix, &prefix, limit, selects, series,
    ))
}

async fn latest(
    store: &ObjectStore,
    series: &PlaceSeries,
    began: Instant,
) -> ApiResult<Arc<World>> {
    let world = store.latest().await;
    match &world {
        Ok(_) => series.consistent.inc(),
        Err(_) => series.inconsistent.inc(),
    }
    series.waited(began);
    world
}

/// A page of what a world has.
fn page(
    world: &World,
    collection: &Collection<'_>,
    prefix: &str,
    start: &str,
    limit: Option<usize>,
    selects: Selects<'_>,
    series: &PlaceSeries,
) -> Page {
    let everything = collection.selector.is_everything();
    let mut found = world.range(prefix.as_bytes(), start.as_bytes());
    let mut fetched = 0;
    let mut selected = found.by_ref().filter(|stored| {
        fetched += 1;
        everything || selects(stored)
    });
    let limit = limit.unwrap_or(usize::MAX);
    let items: Vec<_> = selected.by_ref().take(limit).cloned().collect();
    // Whether there is more is known once one more has been found.
    let more = items.len() == limit && selected.next().is_some();
    let left = if everything && more {
        found.count() + 1
    } else {
        0
    };
    series.listed(fetched, items.len());
    Page {
        next: next(more, items.last(), prefix, Some(world.revision)),
        remaining: (left > 0).then(|| i64::try_from(left).unwrap_or(i64::MAX)),
        revision: world.revision,
        items,
    }
}

fn next(
    more: bool,
    last: Option<&Arc<Stored>>,
    prefix: &str,
    revision: Option<i64>,
) -> Option<Continue> {
    let last = last.filter(|_| more)?;
    let key = String::from_utf8_lossy(&last.key);
    Some(Continue::after(key.strip_prefix(prefix)?, revision))
}

/// A page at one revision: of the views if they are there, otherwise of the store's history.
async fn exactly(
    store: &ObjectStore,
    collection: &Collection<'_>,
    (prefix, start): (&str, &str),
    revision: i64,
    limit: Option<usize>,
    selects: Selects<'_>,
    series: &PlaceSeries,
) -> ApiResult<Page> {
    let world = store.views().world();
    if world.revision == revision {
        return Ok(page(
            &world, collection, prefix, start, limit, selects, series,
        ));
    }
    let everything = collection.selector.is_everything();
    let end = KeyRange::prefix(Bytes::copy_from_slice(prefix.as_bytes())).upper_bound();
    let limit = limit.unwrap_or(usize::MAX);
    let mut from = Bytes::copy_from_slice(start.max(prefix).as_bytes());
    let mut items: Vec<Arc<Stored>> = Vec::new();
    let mut left = 0;
    let (mut fetched, mut evaluated) = (0, 0);
    loop {
        let range = KeyRange::from_wire(from, end.clone().unwrap_or_default());
        let wanted = limit.saturating_sub(items.len()).saturating_add(1);
        let size = if everything {
            wanted
        } else {
            STORE_PAGE.max(wanted.min(STORE_PAGE))
        };
        let size = size.min(STORE_PAGE.max(wanted.min(10_000)));
        let (page, count) = store.exactly(range, revision, Some(size)).await?;
        let read = page.len();
        fetched += read;
        let last = page.last().map(|stored| stored.key.clone());
        for (nth, stored) in page.into_iter().enumerate() {
            evaluated += 1;
            if !everything && !selects(&stored) {
                continue;
            }
            if items.len() == limit {
                left = count - i64::try_from(nth).unwrap_or_default();
                break;
            }
            items.push(Arc::new(stored));
        }
        match last {
            Some(last) if left == 0 && i64::try_from(read).is_ok_and(|read| read < count) => {
                from = after(&last);
            }
            _ => break,
        }
    }
    series.listed_from_store(fetched, evaluated, items.len());
    Ok(Page {
        next: next(left > 0, items.last(), prefix, Some(revision)),
        remaining: (everything && left > 0).then_some(left),
        revision,
        items,
    })
}

/// The smallest key above `key`.
fn after(key: &[u8]) -> Bytes {
    [key, b"\0"].concat().into()
}

/// A list whose revision is gone can go on without consistency, if the client wants that.
fn go_on(error: ApiError, token: &Continue) -> ApiError {
    if error.code != 410 {
        return error;
    }
    let loose = Continue {
        revision: None,
        start: token.start.clone(),
    };
    ApiError {
        continue_token: Some(loose.encode()),
        ..ApiError::expired(EXPIRED_TOKEN)
    }
}
