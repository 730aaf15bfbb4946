//! `etcdctl make-mirror`, from one cluster to another.

use super::ctl::{Ctl, endpoint, is_missing};
use crate::harness::*;

also_over_tls![a_mirror_follows];

/// What the tool is told of the cluster that it writes to.
fn destination(client: &Client) -> Vec<String> {
    let flags = client
        .tls()
        .map(|tls| tls.flags.as_slice())
        .unwrap_or_default();
    let flags = flags.iter().map(|flag| flag.replacen("--", "--dest-", 1));
    flags.chain([endpoint(client)]).collect()
}

/// Completes once `client` has exactly these keys and values below `prefix`.
async fn holds(client: &Client, prefix: &str, due: &str) {
    let reached = async {
        while pairs(&client.range(prefixed(prefix)).await.unwrap().kvs) != due {
            tokio::time::sleep(QUIET / 10).await;
        }
    };
    let reached = tokio::time::timeout(PATIENCE, reached).await;
    assert!(reached.is_ok(), "{prefix} is not {due}");
}

#[tokio::test]
async fn a_mirror_follows() {
    if is_missing().await {
        return;
    }
    let (from, to) = (Server::fresh().await, Server::fresh().await);
    let (source, copy) = (from.client(), to.client());
    // More than the tool reads at once.
    for n in 0..1100 {
        source.put(put(format!("all/{n:04}"), "1")).await.unwrap();
    }
    source.put(put("m/a", "1")).await.unwrap();
    source.put(put("other", "1")).await.unwrap();
    let ctl = Ctl::to(std::slice::from_ref(&source));
    let start = |flags: &[&str]| {
        let destination = destination(&copy);
        let mut arguments = vec!["make-mirror"];
        arguments.extend(flags);
        arguments.extend(destination.iter().map(String::as_str));
        ctl.start(&arguments)
    };
    let _renamed = start(&["--prefix=m/", "--dest-prefix=copy/"]);
    let _bare = start(&["--prefix=all/", "--no-dest-prefix"]);
    holds(&copy, "copy/", "a=1").await;
    // Changes while it runs.
    source.put(put("m/b", "2")).await.unwrap();
    source.delete_range(delete("m/a")).await.unwrap();
    source
        .txn(always(vec![op::put("m/c", "3"), op::put("m/d", "4")]))
        .await
        .unwrap();
    holds(&copy, "copy/", "b=2 c=3 d=4").await;
    // A slow machine may take its time for so many, as long as it goes on.
    let mut count = 0;
    while count < 1100 {
        let more = async {
            loop {
                let now = copy.range(span("0", "2")).await.unwrap().count;
                if now > count {
                    return now;
                }
                tokio::time::sleep(QUIET / 10).await;
            }
        };
        count = tokio::time::timeout(PATIENCE, more)
            .await
            .expect("more is mirrored");
    }
    assert_eq!(copy.range(point("other")).await.unwrap().count, 0);
}
