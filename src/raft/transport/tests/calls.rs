//! Requests and answers between members.

use tokio::sync::Semaphore;

use super::proxy::{Mode, Proxy};
use super::*;

const ECHO: u16 = 1;
const FAIL: u16 = 2;
const HANG: u16 = 3;
const GATED: u16 = 4;

/// Echoes, fails, hangs, or waits for the test.
struct Handler {
    gate: Arc<Semaphore>,
}

impl CallHandler for Handler {
    fn handle(&self, from: MemberId, kind: u16, request: Bytes) -> CallAnswer {
        let gate = self.gate.clone();
        Box::pin(async move {
            match kind {
                ECHO => Ok([format!("{from}:").as_bytes(), &request].concat().into()),
                FAIL => Err("not today".into()),
                GATED => {
                    let _permit = gate.acquire().await;
                    Ok(request)
                }
                _ => std::future::pending().await,
            }
        })
    }
}

fn handler() -> (Arc<Semaphore>, Arc<Handler>) {
    let gate = Arc::new(Semaphore::new(0));
    (gate.clone(), Arc::new(Handler { gate }))
}

async fn call(member: &Member, kind: u16, body: &[u8]) -> Result<Bytes, CallError> {
    let body = Bytes::copy_from_slice(body);
    member.network.call(MemberId(2), kind, body, PATIENCE).await
}

#[tokio::test]
async fn calls_are_answered_refused_and_bounded_in_size() {
    let (one, two) = pair().await;
    assert_eq!(call(&one, ECHO, b"x").await, Err(CallError::NotReady));
    two.network.set_handler(handler().1);
    assert_eq!(call(&one, ECHO, b"x").await, Ok(Bytes::from_static(b"1:x")));
    let failed = CallError::Failed("not today".into());
    assert_eq!(call(&one, FAIL, b"").await, Err(failed));
    let large = vec![7; MAX_CALL + 1];
    assert_eq!(call(&one, ECHO, &large).await, Err(CallError::TooLarge));
    let answer = call(&one, ECHO, &large[..MAX_CALL]).await;
    let too_large = CallError::Failed("answer is too large".into());
    assert_eq!(answer, Err(too_large));
    let to_nobody = one.network.call(MemberId(9), ECHO, Bytes::new(), PATIENCE);
    assert_eq!(to_nobody.await, Err(CallError::UnknownMember));
}

#[tokio::test]
async fn later_calls_overtake_earlier_ones() {
    let (one, two) = pair().await;
    let (gate, handler) = handler();
    two.network.set_handler(handler);
    let slow = futures::future::join_all((0..50_u8).map(|n| {
        let one = &one;
        async move { call(one, GATED, &[n]).await }
    }));
    let quick = async {
        let answer = call(&one, ECHO, b"quick").await;
        gate.add_permits(1);
        answer
    };
    let (slow, quick) = tokio::join!(slow, quick);
    assert_eq!(quick, Ok(Bytes::from_static(b"1:quick")));
    for (n, answer) in slow.into_iter().enumerate() {
        assert_eq!(answer, Ok(Bytes::from(vec![n as u8])));
    }
}

#[tokio::test]
async fn a_handler_that_hangs_costs_the_callers_time_and_its_room_is_free_again() {
    let (one, two) = pair().await;
    two.network.set_handler(handler().1);
    let short = Duration::from_millis(50);
    let hanging = one.network.call(MemberId(2), HANG, Bytes::new(), short);
    assert_eq!(hanging.await, Err(CallError::TimedOut));
    let room = &two.network.members.get(MemberId(1)).unwrap().call_room;
    let all_free = timeout(PATIENCE, room.acquire_many(1024)).await;
    assert!(all_free.is_ok());
}

#[tokio::test]
async fn a_peer_cannot_run_calls_without_end() {
    let (one, two) = pair().await;
    let (gate, handler) = handler();
    two.network.set_handler(handler);
    let room = two
        .network
        .members
        .get(MemberId(1))
        .unwrap()
        .call_room
        .clone();
    let taken = room.acquire_many(1023).await.unwrap();
    let waiting = call(&one, GATED, b"1");
    let refused = async {
        // The first call holds the last room once this sees none.
        while room.available_permits() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let refused = call(&one, ECHO, b"2").await;
        gate.add_permits(1);
        refused
    };
    let (waiting, refused) = tokio::join!(waiting, refused);
    assert_eq!(refused, Err(CallError::Overloaded));
    assert_eq!(waiting, Ok(Bytes::from_static(b"1")));
    drop(taken);
}

#[tokio::test]
async fn calls_under_way_end_with_the_connection() {
    let two = Setup::new(2).await;
    let proxy = Proxy::to(&two.url).await;
    let one = Setup::new(1).await.knows(2, &proxy.url).start();
    let two = two.knows(1, &one.url).start();
    two.network.set_handler(handler().1);
    one.connected(2).await;
    let lost = call(&one, HANG, b"");
    let cut = async {
        let room = &two.network.members.get(MemberId(1)).unwrap().call_room;
        while room.available_permits() == 1024 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        proxy.set(Mode::Cut);
    };
    let (lost, ()) = tokio::join!(lost, cut);
    assert_eq!(lost, Err(CallError::Lost));
    // With no way to the peer, calls do not wait for their time to run out.
    let unreachable = async {
        loop {
            match call(&one, ECHO, b"").await {
                Err(CallError::Unreachable) => return,
                other => assert_eq!(other, Err(CallError::Lost)),
            }
        }
    };
    timeout(PATIENCE, unreachable).await.unwrap();
}
