//! Clients that read, write and swap a few registers on all members, and the check of what they saw.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use holdfast::etcd::pb::etcdserverpb::TxnResponse;
use holdfast::etcd::pb::mvccpb::KeyValue;
use rand::RngExt;
use tokio::task::JoinHandle;

use super::load::Roaming;
use crate::harness::*;
use crate::linearizability::{Action, Operation, Value, is_linearizable};

const CLIENTS: u64 = 4;
const REGISTERS: usize = 3;

/// An operation and the register it was on.
type Recorded = (usize, Operation);

pub struct Registers {
    clients: Vec<JoinHandle<Vec<Recorded>>>,
}

impl Registers {
    pub fn start(members: &[Client], stop: &Arc<AtomicBool>) -> Self {
        let start = Instant::now();
        let client = |number: u64| RegisterClient {
            roaming: Roaming::new(members, number as usize),
            start,
            next_value: number,
            recorded: Vec::new(),
        };
        Self {
            clients: (0..CLIENTS)
                .map(|number| tokio::spawn(client(number).run(stop.clone())))
                .collect(),
        }
    }

    /// Checks every register's history; returns the number of operations.
    pub async fn verify(self) -> usize {
        let mut recorded = Vec::new();
        for client in self.clients {
            recorded.extend(client.await.unwrap());
        }
        for register in 0..REGISTERS {
            let of_register = recorded.iter().filter(|(on, _)| *on == register);
            let history: Vec<_> = of_register.map(|(_, operation)| *operation).collect();
            assert!(
                is_linearizable(&history),
                "register {register} is not linearizable: {history:?}"
            );
        }
        recorded.len()
    }
}

struct RegisterClient {
    roaming: Roaming,
    start: Instant,
    /// Counts up by the number of clients: no two write the same value.
    next_value: u64,
    recorded: Vec<Recorded>,
}

fn key(register: usize) -> String {
    format!("register/{register}")
}

fn value_of(kvs: &[KeyValue]) -> Value {
    kvs.first().map(|kv| text(kv.value()).parse().unwrap())
}

impl RegisterClient {
    async fn run(mut self, stop: Arc<AtomicBool>) -> Vec<Recorded> {
        while !stop.load(Ordering::Relaxed) {
            let register = rand::rng().random_range(0..REGISTERS);
            let choice = rand::rng().random_range(0..10);
            match choice {
                0..5 => drop(self.read(register).await),
                5..8 => self.write(register).await,
                _ => self.swap(register).await,
            }
        }
        self.recorded
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn fresh_value(&mut self) -> u64 {
        self.next_value += CLIENTS;
        self.next_value
    }

    fn record(&mut self, register: usize, called: u64, answered: bool, action: Action) {
        let operation = Operation {
            called,
            returned: answered.then(|| self.now()),
            action,
        };
        self.recorded.push((register, operation));
    }

    async fn read(&mut self, register: usize) -> Option<Value> {
        let called = self.now();
        let request = point(key(register));
        let answer = self
            .roaming
            .call(|client| async move { client.range(request).await });
        let seen = answer.await.map(|answer| value_of(&answer.kvs))?;
        self.record(register, called, true, Action::Read(seen));
        Some(seen)
    }

    async fn write(&mut self, register: usize) {
        let value = self.fresh_value();
        let called = self.now();
        let request = put(key(register), value.to_string());
        let answer = self
            .roaming
            .call(|client| async move { client.put(request).await });
        let answered = answer.await.is_some();
        self.record(register, called, answered, Action::Write(value));
    }

    /// Reads, then replaces what it read; a swap that fails is a read of what was there.
    async fn swap(&mut self, register: usize) {
        let Some(expected) = self.read(register).await else {
            return;
        };
        let new = self.fresh_value();
        let called = self.now();
        let request = swap_request(register, expected, new);
        let answer = self
            .roaming
            .call(|client| async move { client.txn(request).await });
        let answer = answer.await;
        let action = match &answer {
            Some(answer) if !answer.succeeded => Action::Read(seen_instead(answer)),
            _ => Action::Swap { expected, new },
        };
        self.record(register, called, answer.is_some(), action);
    }
}

fn swap_request(
    register: usize,
    expected: Value,
    new: u64,
) -> holdfast::etcd::pb::etcdserverpb::TxnRequest {
    let key = key(register);
    let same = match expected {
        Some(value) => cmp::value(&key, cmp::Result::Equal, value.to_string()),
        None => cmp::created(&key, cmp::Result::Equal, 0),
    };
    txn(
        vec![same],
        vec![op::put(&key, new.to_string())],
        vec![op::get(&key)],
    )
}

fn seen_instead(answer: &TxnResponse) -> Value {
    value_of(&answer::range(answer, 0).kvs)
}
