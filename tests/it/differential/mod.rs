//! The same random requests to two servers, and every answer compared.
//!
//! `HOLDFAST_TEST_PEER` names the command of the other server (etcd); without it there is nothing to
//! compare with, and the test says so. `HOLDFAST_TEST_ROUNDS` and `HOLDFAST_TEST_SEED` choose how much
//! and which; a difference is reported with its seed and what went before.

mod call;
mod generate;

use std::collections::VecDeque;

use crate::harness::*;
use call::{Call, Outcome};
use generate::Generator;

/// Requests to one pair of servers, fewer if they part over what only one of them refuses.
const REQUESTS: usize = 2_000;
const ROUNDS: u64 = 1;

/// How much of the past a report shows.
const SHOWN: usize = 12;

#[tokio::test]
async fn answers_as_the_peer_does() {
    let Some(peer) = Program::peer() else {
        eprintln!("differential: skipped, HOLDFAST_TEST_PEER names no server to compare with");
        return;
    };
    let first = number("HOLDFAST_TEST_SEED").unwrap_or(1);
    let rounds = number("HOLDFAST_TEST_ROUNDS").unwrap_or(ROUNDS);
    let mut differences = Vec::new();
    let mut compared = 0;
    for seed in first..first + rounds {
        let ours = Server::fresh().await;
        let theirs = Server::start_as(peer, Settings::default()).await;
        match round(seed, &ours.client(), &theirs.client()).await {
            Ok(requests) => compared += requests,
            Err(difference) => differences.push(difference),
        }
    }
    eprintln!("differential: {compared} requests answered alike");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().expect("a number"))
}

async fn round(seed: u64, ours: &Client, theirs: &Client) -> Result<usize, String> {
    let mut generator = Generator::new(seed);
    let mut past = VecDeque::new();
    for step in 0..REQUESTS {
        let call = generator.next();
        let answer = call.send(ours).await;
        let expected = call.send(theirs).await;
        if answer != expected {
            if call.is_known_quirk(&answer, &expected) {
                match expected {
                    Outcome::Refused(..) => continue,
                    // The peer has changed something that was refused here: the stores have parted.
                    _ => return Ok(step),
                }
            }
            return Err(report(seed, step, &past, &call, &answer, &expected));
        }
        generator.learn(&answer);
        past.push_back(format!("{call:?} -> {}", answer.brief()));
        if past.len() > SHOWN {
            past.pop_front();
        }
    }
    let call = generator.final_watches();
    let (told, expected) = (call.send(ours).await, call.send(theirs).await);
    if told != expected {
        return Err(report(seed, REQUESTS, &past, &call, &told, &expected));
    }
    Ok(REQUESTS)
}

fn report(
    seed: u64,
    step: usize,
    past: &VecDeque<String>,
    call: &Call,
    ours: &Outcome,
    theirs: &Outcome,
) -> String {
    let past: Vec<_> = past.iter().map(String::as_str).collect();
    format!(
        "seed {seed}, request {step}:\n  {}\n{call:#?}\n ours: {ours:#?}\n theirs: {theirs:#?}",
        past.join("\n  ")
    )
}
