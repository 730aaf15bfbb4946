//! Filters by modification and creation revision.

use holdfast::etcd::pb::etcdserverpb::RangeRequest;

use crate::harness::*;

#[tokio::test]
async fn filters() {
    let cases = cases![
        the_limit_counts_what_passed_the_filter,
        count_ignores_the_filters,
        count_only_ignores_the_filters,
        a_filter_applies_to_a_past_revision,
        a_filter_applies_to_a_point_read,
        filters_combine_with_sort_and_limit,
        the_lock_recipe_finds_the_waiter_before,
    ];
    Suite::new("filters", cases)
        .with(ROWS.iter().map(row).collect())
        .run(shared().await)
        .await;
}

/// Revisions of the keys of [`fill`], in the order of [`Written`]'s fields.
#[derive(Clone, Copy)]
struct Written {
    a: i64,
    b: i64,
    c: i64,
    b_again: i64,
}

/// `a`, `b`, `c` created in this order, then `b` changed.
async fn fill(case: &Case) -> Written {
    Written {
        a: case.put("a", "1").await,
        b: case.put("b", "1").await,
        c: case.put("c", "1").await,
        b_again: case.put("b", "2").await,
    }
}

type Filter = fn(Written) -> RangeRequest;
type Row = (&'static str, Filter, &'static str);

fn empty() -> RangeRequest {
    RangeRequest::default()
}

const ROWS: [Row; 14] = [
    (
        "min_mod_is_inclusive",
        |w| RangeRequest {
            min_mod_revision: w.c,
            ..empty()
        },
        "b c",
    ),
    (
        "min_mod_drops_older",
        |w| RangeRequest {
            min_mod_revision: w.c + 1,
            ..empty()
        },
        "b",
    ),
    (
        "min_mod_above_all",
        |w| RangeRequest {
            min_mod_revision: w.b_again + 1000,
            ..empty()
        },
        "",
    ),
    (
        "max_mod_is_inclusive",
        |w| RangeRequest {
            max_mod_revision: w.c,
            ..empty()
        },
        "a c",
    ),
    (
        "max_mod_drops_newer",
        |w| RangeRequest {
            max_mod_revision: w.c - 1,
            ..empty()
        },
        "a",
    ),
    (
        "max_mod_negative_drops_all",
        |_| RangeRequest {
            max_mod_revision: -1,
            ..empty()
        },
        "",
    ),
    (
        "min_mod_negative_drops_none",
        |_| RangeRequest {
            min_mod_revision: -1,
            ..empty()
        },
        "a b c",
    ),
    (
        "min_create_is_inclusive",
        |w| RangeRequest {
            min_create_revision: w.b,
            ..empty()
        },
        "b c",
    ),
    (
        "min_create_drops_older",
        |w| RangeRequest {
            min_create_revision: w.b + 1,
            ..empty()
        },
        "c",
    ),
    (
        "max_create_is_inclusive",
        |w| RangeRequest {
            max_create_revision: w.b,
            ..empty()
        },
        "a b",
    ),
    (
        "max_create_drops_newer",
        |w| RangeRequest {
            max_create_revision: w.a,
            ..empty()
        },
        "a",
    ),
    (
        "max_create_negative_drops_all",
        |_| RangeRequest {
            max_create_revision: -1,
            ..empty()
        },
        "",
    ),
    (
        "mod_window",
        |w| RangeRequest {
            min_mod_revision: w.a + 1,
            max_mod_revision: w.c,
            ..empty()
        },
        "c",
    ),
    (
        "mod_and_create_together",
        |w| RangeRequest {
            min_mod_revision: w.c,
            max_create_revision: w.b,
            ..empty()
        },
        "b",
    ),
];

fn row(&(name, filter, expected): &Row) -> NamedCase {
    NamedCase::new(name, move |c: Case| async move {
        let request = over_all(&c, filter(fill(&c).await));
        let response = c.range(request).await;
        assert_eq!(names(&response.kvs), expected);
        assert_eq!((response.count, response.more), (3, false));
    })
}

fn over_all(c: &Case, mut filter: RangeRequest) -> RangeRequest {
    let all = c.all();
    filter.key = all.key;
    filter.range_end = all.range_end;
    filter
}

async fn the_limit_counts_what_passed_the_filter(c: Case) {
    let written = fill(&c).await;
    let request = RangeRequest {
        min_mod_revision: written.c,
        limit: 1,
        ..c.all()
    };
    let cut = c.range(request.clone()).await;
    assert_eq!((names(&cut.kvs).as_str(), cut.more), ("b", true));
    let whole = c
        .range(RangeRequest {
            limit: 2,
            ..request
        })
        .await;
    assert_eq!((names(&whole.kvs).as_str(), whole.more), ("b c", false));
}

async fn count_ignores_the_filters(c: Case) {
    let written = fill(&c).await;
    let request = RangeRequest {
        max_mod_revision: written.a,
        ..c.all()
    };
    assert_eq!(c.range(request).await.count, 3);
}

async fn count_only_ignores_the_filters(c: Case) {
    let written = fill(&c).await;
    let request = RangeRequest {
        max_mod_revision: written.a,
        count_only: true,
        ..c.all()
    };
    assert_eq!(c.range(request).await.count, 3);
}

async fn a_filter_applies_to_a_past_revision(c: Case) {
    let written = fill(&c).await;
    let request = RangeRequest {
        revision: written.c,
        max_mod_revision: written.b,
        ..c.all()
    };
    assert_eq!(pairs(&c.range(request).await.kvs), "a=1 b=1");
}

async fn a_filter_applies_to_a_point_read(c: Case) {
    let written = fill(&c).await;
    let request = RangeRequest {
        max_mod_revision: written.c,
        ..point(c.key("b"))
    };
    let response = c.range(request).await;
    assert_eq!((response.kvs.len(), response.count), (0, 1));
}

async fn filters_combine_with_sort_and_limit(c: Case) {
    let written = fill(&c).await;
    let request = RangeRequest {
        min_create_revision: written.a,
        max_create_revision: written.c,
        sort_order: 2,
        sort_target: 2,
        limit: 2,
        ..c.all()
    };
    let response = c.range(request).await;
    assert_eq!(
        (names(&response.kvs).as_str(), response.more),
        ("c b", true)
    );
}

/// Mutual exclusion in client libraries asks for the newest key older than its own.
async fn the_lock_recipe_finds_the_waiter_before(c: Case) {
    let written = fill(&c).await;
    let request = RangeRequest {
        sort_order: 2,
        sort_target: 2,
        limit: 1,
        max_create_revision: written.c - 1,
        ..c.all()
    };
    assert_eq!(names(&c.range(request).await.kvs), "b");
}
