//! What a range read returns: count, filter, sort, limit, strip, in that order.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use bytes::Bytes;

use super::count::{CountCache, Counted};
use super::error::MvccError;
use super::ops::{RangeOp, RangeResult, RevisionFilter, Sort, SortOrder, SortTarget};
use super::view::{Row, View};
use crate::base::ids::Revision;
use crate::base::kv::{Kv, KvMeta, decode_body};
use crate::base::range::KeyRange;

/// With a limit, candidates are cut back to it whenever this many more have gathered. (Tests work with
/// few keys.)
const SURPLUS: usize = if cfg!(test) { 2 } else { 1024 };

/// Answers a range read at revision `at`.
pub(super) fn select(
    view: &View<'_>,
    op: &RangeOp,
    at: Revision,
    counts: Option<&CountCache>,
) -> Result<RangeResult, MvccError> {
    if op.count_only {
        let count = count(view, &op.range, at, counts)?;
        return Ok(RangeResult {
            count,
            ..RangeResult::default()
        });
    }
    let by_key = Sort {
        target: SortTarget::Key,
        order: SortOrder::Ascending,
    };
    let sort = op.sort.unwrap_or(by_key);
    let unfiltered = op.filter == RevisionFilter::default();
    match op.limit {
        _ if unfiltered && sort == by_key => page(view, op, at, counts),
        Some(limit) if unfiltered && sort.order == SortOrder::Unspecified => {
            sorted_page(view, op, at, sort, limit, counts)
        }
        _ => gather(view, op, at, sort),
    }
}

/// Sorts no more than the first key-values in key order: see [`SortOrder::Unspecified`].
fn sorted_page(
    view: &View<'_>,
    op: &RangeOp,
    at: Revision,
    sort: Sort,
    limit: u64,
    counts: Option<&CountCache>,
) -> Result<RangeResult, MvccError> {
    let first = RangeOp {
        limit: Some(limit.saturating_add(1)),
        keys_only: false,
        ..op.clone()
    };
    let RangeResult { kvs, count, .. } = page(view, &first, at, counts)?;
    let candidates = kvs.into_iter().map(|kv| {
        let meta = kv.view()?.meta;
        Candidate::new(kv, &meta, sort.target)
    });
    let candidates = candidates.collect::<Result<_, MvccError>>()?;
    let (kvs, more) = first_of(candidates, op, sort)?;
    Ok(RangeResult { kvs, more, count })
}

/// The first key-values of a range in key order. Once the limit is reached only the count of the rest is
/// wanted: from the cache, or else by walking on.
fn page(
    view: &View<'_>,
    op: &RangeOp,
    at: Revision,
    counts: Option<&CountCache>,
) -> Result<RangeResult, MvccError> {
    let limit = limit_of(op);
    let mut result = RangeResult::default();
    let mut known = None;
    view.scan(&op.range, at, |row| {
        if result.kvs.len() < limit {
            result.count += 1;
            result.kvs.push(answer(row, op.keys_only)?);
            return Ok(ControlFlow::Continue(()));
        }
        if !result.more {
            result.more = true;
            known = lookup(view, &op.range, at, counts)?;
        }
        result.count += 1;
        Ok(match known {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        })
    })?;
    result.count = known.unwrap_or(result.count);
    if let Some(counts) = counts
        && result.more
    {
        remember_page(counts, &op.range, at, &result);
    }
    Ok(result)
}

/// Notes the count of the range, and of what is left of it after this page.
fn remember_page(counts: &CountCache, range: &KeyRange, at: Revision, page: &RangeResult) {
    let counted = |count| Counted { at, count };
    counts.record(range, counted(page.count));
    if let Some(last) = page.kvs.last() {
        // The smallest key after the last one of the page, where a client continues.
        let mut start = Vec::with_capacity(last.key.len() + 1);
        start.extend_from_slice(&last.key);
        start.push(0);
        let rest = KeyRange {
            start: start.into(),
            end: range.end.clone(),
        };
        let returned = i64::try_from(page.kvs.len()).unwrap_or(i64::MAX);
        counts.record(&rest, counted(page.count - returned));
    }
}

/// The number of keys in a range at revision `at`.
pub(super) fn count(
    view: &View<'_>,
    range: &KeyRange,
    at: Revision,
    counts: Option<&CountCache>,
) -> Result<i64, MvccError> {
    if let Some(count) = lookup(view, range, at, counts)? {
        return Ok(count);
    }
    let mut count = 0;
    view.scan(range, at, |_| {
        count += 1;
        Ok(ControlFlow::Continue(()))
    })?;
    if let Some(counts) = counts {
        counts.record(range, Counted { at, count });
    }
    Ok(count)
}

fn lookup(
    view: &View<'_>,
    range: &KeyRange,
    at: Revision,
    counts: Option<&CountCache>,
) -> Result<Option<i64>, MvccError> {
    match counts {
        Some(counts) if !range.is_point() => counts.lookup(view.store(), range, at),
        _ => Ok(None),
    }
}

/// Reads the whole range, because the filter or the order needs every key of it. Holds no more than the
/// limit and a surplus at a time.
fn gather(
    view: &View<'_>,
    op: &RangeOp,
    at: Revision,
    sort: Sort,
) -> Result<RangeResult, MvccError> {
    let limit = limit_of(op);
    let mut result = RangeResult::default();
    let mut candidates = Vec::new();
    view.scan(&op.range, at, |row| {
        result.count += 1;
        let meta = decode_body(&row.body)?.meta;
        if passes(&op.filter, &meta) {
            candidates.push(Candidate::new(row.into_kv(), &meta, sort.target)?);
            if candidates.len() > limit.saturating_add(SURPLUS) {
                result.more = true;
                let last = limit.saturating_sub(1);
                candidates.select_nth_unstable_by(last, |a, b| a.order(b, sort.order));
                candidates.truncate(limit);
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let (kvs, more) = first_of(candidates, op, sort)?;
    result.kvs = kvs;
    result.more |= more;
    Ok(result)
}

/// Sorts candidates and cuts them to the limit; says whether there were more.
fn first_of(
    mut candidates: Vec<Candidate>,
    op: &RangeOp,
    sort: Sort,
) -> Result<(Vec<Kv>, bool), MvccError> {
    candidates.sort_unstable_by(|a, b| a.order(b, sort.order));
    let limit = limit_of(op);
    let more = candidates.len() > limit;
    candidates.truncate(limit);
    let kvs = candidates.into_iter().map(|candidate| candidate.kv);
    let kvs = if op.keys_only {
        kvs.map(|kv| kv.without_value()).collect::<Result<_, _>>()?
    } else {
        kvs.collect()
    };
    Ok((kvs, more))
}

/// A key-value with what it is ordered by.
struct Candidate {
    rank: Rank,
    kv: Kv,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Number(i64),
    Bytes(Bytes),
}

impl Candidate {
    fn new(kv: Kv, meta: &KvMeta, target: SortTarget) -> Result<Self, MvccError> {
        let rank = match target {
            SortTarget::Key => Rank::Bytes(kv.key.clone()),
            SortTarget::Version => Rank::Number(meta.version),
            SortTarget::CreateRevision => Rank::Number(meta.create_revision.0),
            SortTarget::ModRevision => Rank::Number(meta.mod_revision.0),
            SortTarget::Value => match kv.view()?.value {
                [] => Rank::Bytes(Bytes::new()),
                value => Rank::Bytes(kv.body.slice_ref(value)),
            },
        };
        Ok(Self { rank, kv })
    }

    /// By rank; equal ones by key, so that every member answers alike.
    fn order(&self, other: &Self, order: SortOrder) -> Ordering {
        let by_rank = self.rank.cmp(&other.rank);
        let by_rank = match order {
            SortOrder::Descending => by_rank.reverse(),
            SortOrder::Ascending | SortOrder::Unspecified => by_rank,
        };
        by_rank.then_with(|| self.kv.key.cmp(&other.kv.key))
    }
}

fn answer(row: Row<'_>, keys_only: bool) -> Result<Kv, MvccError> {
    if keys_only {
        let meta = decode_body(&row.body)?.meta;
        Ok(Kv::encode(Bytes::copy_from_slice(row.key), meta, &[]))
    } else {
        Ok(row.into_kv())
    }
}

fn passes(filter: &RevisionFilter, meta: &KvMeta) -> bool {
    let above = |bound: Option<Revision>, revision| bound.is_none_or(|bound| revision >= bound);
    let below = |bound: Option<Revision>, revision| bound.is_none_or(|bound| revision <= bound);
    above(filter.min_mod, meta.mod_revision)
        && below(filter.max_mod, meta.mod_revision)
        && above(filter.min_create, meta.create_revision)
        && below(filter.max_create, meta.create_revision)
}

fn limit_of(op: &RangeOp) -> usize {
    op.limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX)
}
