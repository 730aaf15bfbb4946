//! RangeStream: Range in parts, from 3.7 on.

use holdfast::etcd::pb::etcdserverpb::{RangeRequest, RangeResponse};
use tonic::{Code, Status};

use crate::harness::*;

#[tokio::test]
async fn streams() {
    let cases = cases![
        the_parts_are_the_range,
        only_the_last_part_has_header_count_and_more,
        an_empty_range_is_one_part_with_a_header,
        a_limit_cuts_and_sets_more,
        a_negative_limit_is_none,
        count_only_is_one_part,
        keys_only_leaves_out_values,
        a_pinned_revision_shows_the_past,
        one_snapshot_for_the_whole_stream,
        an_ascending_key_sort_is_accepted,
        other_sorts_are_not_implemented,
        revision_filters_are_not_implemented,
        an_empty_key_is_refused,
        a_future_revision_is_refused,
        large_values_arrive_in_many_parts,
    ];
    Suite::new("range_stream", Vec::new())
        .since(3, if Program::get().is_own() { 6 } else { 7 }, cases)
        .run(shared().await)
        .await;
}

/// Servers without the call say so in the words that kube-apiserver looks for.
#[tokio::test]
async fn older_servers_do_not_know_the_call() {
    let server = shared().await;
    if !Program::get().is_own() && server.client().version().await < (3, 7) {
        let text = "unknown method RangeStream for service etcdserverpb.KV";
        let result = parts_of(&server.client(), point("a")).await;
        refused(result, Code::Unimplemented, text);
    }
}

async fn parts_of(client: &Client, request: RangeRequest) -> Result<Vec<RangeResponse>, Status> {
    let mut stream = client.kv().range_stream(request).await?.into_inner();
    let mut parts = Vec::new();
    while let Some(part) = stream.message().await? {
        parts.push(part.range_response.expect("a part of the range"));
    }
    Ok(parts)
}

/// All parts put together.
async fn whole(c: &Case, request: RangeRequest) -> RangeResponse {
    let mut parts = parts_of(&c.client, request).await.unwrap();
    let mut whole = parts.pop().expect("at least one part");
    let kvs = parts.into_iter().flat_map(|part| part.kvs);
    whole.kvs = kvs.chain(std::mem::take(&mut whole.kvs)).collect();
    whole
}

async fn fill(c: &Case, count: usize) {
    for n in 0..count {
        c.put(&format!("{n:03}"), &n.to_string()).await;
    }
}

async fn the_parts_are_the_range(c: Case) {
    fill(&c, 60).await;
    let streamed = whole(&c, c.all()).await;
    let unary = c.range(c.all()).await;
    assert_eq!(streamed.kvs, unary.kvs);
    assert_eq!((streamed.count, streamed.more), (60, false));
}

async fn only_the_last_part_has_header_count_and_more(c: Case) {
    fill(&c, 60).await;
    let parts = parts_of(&c.client, c.all()).await.unwrap();
    let (last, others) = parts.split_last().unwrap();
    assert!(!others.is_empty());
    for part in others {
        assert_eq!((&part.header, part.count, part.more), (&None, 0, false));
        assert!(!part.kvs.is_empty());
    }
    assert!(last.header.is_some());
    assert_eq!(last.count, 60);
}

async fn an_empty_range_is_one_part_with_a_header(c: Case) {
    let parts = parts_of(&c.client, c.all()).await.unwrap();
    assert_eq!(parts.len(), 1);
    assert!(revision(&parts[0].header) > 0);
    assert_eq!((parts[0].kvs.len(), parts[0].count), (0, 0));
}

async fn a_limit_cuts_and_sets_more(c: Case) {
    fill(&c, 40).await;
    let request = RangeRequest {
        limit: 25,
        ..c.all()
    };
    let streamed = whole(&c, request).await;
    assert_eq!(
        (streamed.kvs.len(), streamed.count, streamed.more),
        (25, 40, true)
    );
}

async fn a_negative_limit_is_none(c: Case) {
    fill(&c, 20).await;
    let request = RangeRequest {
        limit: -1,
        ..c.all()
    };
    let streamed = whole(&c, request).await;
    assert_eq!((streamed.kvs.len(), streamed.more), (20, false));
}

async fn count_only_is_one_part(c: Case) {
    fill(&c, 20).await;
    let request = RangeRequest {
        count_only: true,
        ..c.all()
    };
    let parts = parts_of(&c.client, request).await.unwrap();
    assert_eq!(parts.len(), 1);
    assert_eq!((parts[0].kvs.len(), parts[0].count), (0, 20));
    assert!(revision(&parts[0].header) > 0);
}

async fn keys_only_leaves_out_values(c: Case) {
    fill(&c, 3).await;
    let request = RangeRequest {
        keys_only: true,
        ..c.all()
    };
    assert_eq!(pairs(&whole(&c, request).await.kvs), "000= 001= 002=");
}

async fn a_pinned_revision_shows_the_past(c: Case) {
    let pinned = c.put_all("a=1 b=2").await;
    let last = c.put_all("a=3 c=4").await;
    let request = RangeRequest {
        revision: pinned,
        ..c.all()
    };
    let streamed = whole(&c, request).await;
    assert_eq!(pairs(&streamed.kvs), "a=1 b=2");
    assert!(revision(&streamed.header) >= last);
}

async fn one_snapshot_for_the_whole_stream(c: Case) {
    let value = "v".repeat(100_000);
    for n in 0..60 {
        c.put(&format!("{n:03}"), &value).await;
    }
    let mut stream = c
        .client
        .kv()
        .range_stream(c.all())
        .await
        .unwrap()
        .into_inner();
    let first = stream.message().await.unwrap().unwrap();
    for n in 0..60 {
        c.put(&format!("{n:03}"), "changed").await;
    }
    let mut kvs = first.range_response.unwrap().kvs;
    while let Some(part) = stream.message().await.unwrap() {
        kvs.extend(part.range_response.unwrap().kvs);
    }
    assert_eq!(kvs.len(), 60);
    assert!(kvs.iter().all(|kv| kv.value().len() == value.len()));
}

async fn an_ascending_key_sort_is_accepted(c: Case) {
    fill(&c, 3).await;
    let request = RangeRequest {
        sort_order: 1,
        ..c.all()
    };
    assert_eq!(names(&whole(&c, request).await.kvs), "000 001 002");
}

async fn other_sorts_are_not_implemented(c: Case) {
    for (sort_order, sort_target) in [(2, 0), (0, 1), (1, 2), (2, 3), (1, 4)] {
        let request = RangeRequest {
            sort_order,
            sort_target,
            ..c.all()
        };
        let text = "RangeStream does not support custom sort orders";
        let result = parts_of(&c.client, request).await;
        refused(result, Code::Unimplemented, text);
    }
}

async fn revision_filters_are_not_implemented(c: Case) {
    let filters: [fn(&mut RangeRequest); 4] = [
        |request| request.min_mod_revision = 1,
        |request| request.max_mod_revision = -1,
        |request| request.min_create_revision = 1,
        |request| request.max_create_revision = 1,
    ];
    for filter in filters {
        let mut request = c.all();
        filter(&mut request);
        let text = "RangeStream does not support revision filters";
        let result = parts_of(&c.client, request).await;
        refused(result, Code::Unimplemented, text);
    }
}

async fn an_empty_key_is_refused(c: Case) {
    let result = parts_of(&c.client, point("")).await;
    refused(
        result,
        Code::InvalidArgument,
        "etcdserver: key is not provided",
    );
}

async fn a_future_revision_is_refused(c: Case) {
    let request = RangeRequest {
        revision: i64::MAX,
        ..c.all()
    };
    let text = "etcdserver: mvcc: required revision is a future revision";
    let result = parts_of(&c.client, request).await;
    refused(result, Code::OutOfRange, text);
}

async fn large_values_arrive_in_many_parts(c: Case) {
    let value = "v".repeat(1_000_000);
    for n in 0..8 {
        c.put(&format!("{n:03}"), &value).await;
    }
    let parts = parts_of(&c.client, c.all()).await.unwrap();
    assert!(parts.len() > 1);
    let total: usize = parts.iter().map(|part| part.kvs.len()).sum();
    assert_eq!(total, 8);
}
