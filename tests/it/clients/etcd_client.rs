//! The `etcd-client` crate.

use etcd_client::{
    Certificate, Client, Compare, CompareOp, ConnectOptions, DeleteOptions, EventType, GetOptions,
    Identity, LeaseGrantOptions, LeaseTimeToLiveOptions, PutOptions, SortOrder, SortTarget,
    TlsOptions, Txn, TxnOp, TxnOpResponse, WatchOptions,
};

use crate::harness::{self, Case, Cluster, Settings, Suite, also_over_tls, cases, shared};

also_over_tls![etcd_client, etcd_client_over_a_cluster];

#[tokio::test]
async fn etcd_client() {
    let cases = cases![
        put_get_delete,
        options_of_get,
        transactions,
        watching_a_prefix,
        several_watchers_on_one_stream,
        leases_and_keep_alive,
        compare_and_swap_loop,
        status_and_members,
        a_snapshot_streams,
    ];
    Suite::new("etcd_client", cases).run(shared().await).await;
}

/// The crate spreads its calls over all endpoints.
#[tokio::test]
async fn etcd_client_over_a_cluster() {
    let cluster = Cluster::start(Settings::default()).await;
    let mut client = connect_to(&cluster.clients()).await;
    for n in 0..30 {
        let value = n.to_string();
        client.put("a", value.clone(), None).await.unwrap();
        let response = client.get("a", None).await.unwrap();
        assert_eq!(response.kvs()[0].value(), value.as_bytes());
    }
    assert_eq!(client.member_list().await.unwrap().members().len(), 3);
}

async fn connect(c: &Case) -> Client {
    connect_to(&c.members).await
}

/// A client of the members to which those of the harness lead.
async fn connect_to(members: &[harness::Client]) -> Client {
    let endpoints: Vec<_> = members.iter().map(harness::Client::url).collect();
    let options = members[0].tls().map(|tls| {
        let authority = Certificate::from_pem(&tls.authority);
        let (certificate, key) = tls.identity.as_ref().unwrap();
        let options = TlsOptions::new()
            .ca_certificate(authority)
            .identity(Identity::from_pem(certificate, key));
        ConnectOptions::new().with_tls(options)
    });
    Client::connect(endpoints, options).await.unwrap()
}

async fn put_get_delete(c: Case) {
    let mut client = connect(&c).await;
    client.put(c.key("a"), "1", None).await.unwrap();
    let with_prev = PutOptions::new().with_prev_key();
    let response = client.put(c.key("a"), "2", Some(with_prev)).await.unwrap();
    assert_eq!(response.prev_key().unwrap().value(), b"1");
    let response = client.get(c.key("a"), None).await.unwrap();
    assert_eq!(response.kvs()[0].value(), b"2");
    let with_prev = DeleteOptions::new().with_prefix().with_prev_key();
    let response = client.delete(c.prefix(), Some(with_prev)).await.unwrap();
    assert_eq!(
        (response.deleted(), response.prev_kvs()[0].value()),
        (1, &b"2"[..])
    );
}

async fn options_of_get(c: Case) {
    let mut client = connect(&c).await;
    c.put_all("a=3 b=1 c=2").await;
    let sorted = GetOptions::new()
        .with_prefix()
        .with_sort(SortTarget::Value, SortOrder::Descend)
        .with_limit(2);
    let response = client.get(c.prefix(), Some(sorted)).await.unwrap();
    let values: Vec<_> = response.kvs().iter().map(|kv| kv.value()).collect();
    assert_eq!(values, [b"3", b"2"]);
    assert_eq!((response.count(), response.more()), (3, true));
    let counted = GetOptions::new().with_prefix().with_count_only();
    let response = client.get(c.prefix(), Some(counted)).await.unwrap();
    assert_eq!((response.count(), response.kvs().len()), (3, 0));
}

async fn transactions(c: Case) {
    let mut client = connect(&c).await;
    let request = Txn::new()
        .when([Compare::create_revision(c.key("a"), CompareOp::Equal, 0)])
        .and_then([TxnOp::put(c.key("a"), "1", None)])
        .or_else([TxnOp::get(c.key("a"), None)]);
    assert!(client.txn(request.clone()).await.unwrap().succeeded());
    let response = client.txn(request).await.unwrap();
    assert!(!response.succeeded());
    let [TxnOpResponse::Get(found)] = &response.op_responses()[..] else {
        panic!("{response:?}");
    };
    assert_eq!(found.kvs()[0].value(), b"1");
}

async fn watching_a_prefix(c: Case) {
    let mut client = connect(&c).await;
    let options = WatchOptions::new().with_prefix().with_prev_key();
    let mut stream = client.watch(c.prefix(), Some(options)).await.unwrap();
    c.put_all("a=1 a=2").await;
    c.delete("a").await;
    let mut kinds = Vec::new();
    while kinds.len() < 3 {
        let response = stream.message().await.unwrap().unwrap();
        let events = response.events().iter();
        kinds.extend(events.map(|event| (event.event_type(), event.prev_kv().is_some())));
    }
    let due = [
        (EventType::Put, false),
        (EventType::Put, true),
        (EventType::Delete, true),
    ];
    assert_eq!(kinds, due);
    stream.request_progress().await.unwrap();
    let response = stream.message().await.unwrap().unwrap();
    assert!(response.events().is_empty());
}

async fn several_watchers_on_one_stream(c: Case) {
    let mut client = connect(&c).await;
    let with_id = |id| Some(WatchOptions::new().with_watch_id(id));
    let mut stream = client.watch(c.key("a"), with_id(1)).await.unwrap();
    stream.watch(c.key("b"), with_id(2)).await.unwrap();
    let mut heard = Vec::new();
    let mut created = 0;
    while heard.len() < 2 {
        let response = stream.message().await.unwrap().unwrap();
        created += i32::from(response.created());
        if response.created() && created == 2 {
            c.put_all("a=1 b=2").await;
        }
        if !response.events().is_empty() {
            heard.push(response.watch_id());
        }
    }
    assert_eq!(heard, [1, 2]);
    stream.cancel(1).await.unwrap();
    assert!(stream.message().await.unwrap().unwrap().canceled());
}

async fn leases_and_keep_alive(c: Case) {
    let mut client = connect(&c).await;
    let id = client.lease_grant(60, Some(LeaseGrantOptions::new())).await;
    let id = id.unwrap().id();
    let leased = PutOptions::new().with_lease(id);
    client.put(c.key("a"), "1", Some(leased)).await.unwrap();
    let (mut keeper, mut stream) = client.lease_keep_alive(id).await.unwrap();
    keeper.keep_alive().await.unwrap();
    assert_eq!(stream.message().await.unwrap().unwrap().ttl(), 60);
    let with_keys = LeaseTimeToLiveOptions::new().with_keys();
    let response = client
        .lease_time_to_live(id, Some(with_keys))
        .await
        .unwrap();
    assert_eq!(response.keys(), [c.key("a")]);
    client.lease_revoke(id).await.unwrap();
    assert_eq!(c.stored().await, "");
}

async fn compare_and_swap_loop(c: Case) {
    c.put("a", "0").await;
    let clients = (0..4).map(|_| async {
        let mut client = connect(&c).await;
        let mut done = 0;
        while done < 10 {
            let response = client.get(c.key("a"), None).await.unwrap();
            let kv = &response.kvs()[0];
            let next = kv.value_str().unwrap().parse::<i32>().unwrap() + 1;
            let unchanged = Compare::mod_revision(c.key("a"), CompareOp::Equal, kv.mod_revision());
            let write = TxnOp::put(c.key("a"), next.to_string(), None);
            let swap = Txn::new().when([unchanged]).and_then([write]);
            done += i32::from(client.txn(swap).await.unwrap().succeeded());
        }
    });
    futures::future::join_all(clients).await;
    assert_eq!(c.stored().await, "a=40");
}

async fn status_and_members(c: Case) {
    let mut client = connect(&c).await;
    let status = client.status().await.unwrap();
    let members = client.member_list().await.unwrap();
    assert_eq!(members.members()[0].id(), status.leader());
    let hash = client.hash_kv(0).await.unwrap();
    assert!(hash.header().is_some());
}

async fn a_snapshot_streams(c: Case) {
    let mut client = connect(&c).await;
    let mut snapshot = client.snapshot().await.unwrap();
    let mut total = 0;
    while let Some(part) = snapshot.message().await.unwrap() {
        total += part.blob().len();
    }
    assert_eq!(total % 512, 32);
}
