//! What the Kubernetes layer costs over the store, and the limits it is held against.
//!
//! Everything is CPU time of the whole process, client side of the bench included: it does not depend on what else
//! the machine does. Requests are answered in process, without sockets and TLS. What the layer itself costs is the
//! difference to the `engine` bench of the same group, which writes or reads the same bytes with the same
//! conditions; both run in turns of one process.
//!
//! Limits:
//! - a create or an update of an object of 2 KiB: below 100 us over the store's own conditional write;
//! - a get: below 50 us, the read of the store included;
//! - a list of 10,000 pods as JSON: 500 MB of answer or more for a second of CPU;
//! - 10,000 watchers of a resource: below 2 us for each delivery.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::StreamExt as _;
use holdfast::server::bench_support::KubeBench;
use http_body_util::BodyExt as _;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Pods of the list, and watchers of one resource.
const MANY: usize = 10_000;

/// As many as are measured, or a few where benches are only tried.
fn many() -> usize {
    if std::env::args().any(|argument| argument == "--test") {
        100
    } else {
        MANY
    }
}

struct Bench {
    kube: KubeBench,
    runtime: Runtime,
    _dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("scratch space");
        let runtime = Runtime::new().expect("a runtime");
        let kube = runtime.block_on(KubeBench::start(dir.path()));
        let bench = Self {
            kube: kube.expect("a member starts"),
            runtime,
            _dir: dir,
        };
        bench.send(
            "POST",
            "/api/v1/nodes",
            &json!({"metadata": {"name": "n1"}}),
        );
        bench
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = Bytes::from(body.to_string());
        let (code, body) = self.runtime.block_on(self.kube.answer(method, path, body));
        assert!(code < 300, "{}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).expect("JSON")
    }
}

/// A pod as a deployment's are: 2 KiB when it is stored.
fn pod(name: &str) -> Value {
    let env: Vec<Value> = (0..6)
        .map(|n| json!({"name": format!("SETTING_{n}"), "value": "a value of some length"}))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": {"app": "web", "pod-template-hash": "5d9c7b8f6d", "tier": "frontend"},
            "annotations": {"example.com/config": "0123456789abcdef0123456789abcdef"},
        },
        "spec": {
            "nodeName": "n1",
            "containers": [{
                "name": "web",
                "image": "registry.example.com/team/web:v1.27.3",
                "ports": [{"containerPort": 8080, "name": "http"}],
                "env": env,
                "resources": {
                    "requests": {"cpu": "100m", "memory": "128Mi"},
                    "limits": {"cpu": "500m", "memory": "256Mi"},
                },
                "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
            }],
        },
    })
}

const PODS_PATH: &str = "/api/v1/namespaces/default/pods";

/// CPU time that this process has used so far, threads that have ended included.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime)
        .try_into()
        .expect("it counts up from zero")
}

/// CPU time of so many rounds of `work`, which is told the number of each.
fn cpu_of(rounds: u64, mut work: impl FnMut(u64)) -> Duration {
    let before = cpu_time();
    (0..rounds).for_each(&mut work);
    cpu_time() - before
}

fn writes(c: &mut Criterion) {
    let bench = Bench::new();
    let (kube, runtime) = (&bench.kube, &bench.runtime);
    let mut names = 0;
    let stored = bench.send("POST", PODS_PATH, &pod("size"));
    let value = Bytes::from(stored.to_string());

    let mut group = c.benchmark_group("kube/create, CPU");
    group.bench_function("engine", |b| {
        b.iter_custom(|rounds| {
            cpu_of(rounds, |_| {
                names += 1;
                let key = format!("/registry/raw/default/pod-{names:08}");
                let written = runtime.block_on(kube.write(&key, 0, value.clone()));
                written.expect("it is written");
            })
        });
    });
    group.bench_function("pod", |b| {
        b.iter_custom(|rounds| {
            let mut bodies: Vec<Bytes> = (0..rounds)
                .map(|_| {
                    names += 1;
                    pod(&format!("pod-{names:08}")).to_string().into()
                })
                .collect();
            cpu_of(rounds, |_| {
                let body = bodies.pop().expect("one for each round");
                let (code, _) = runtime.block_on(kube.answer("POST", PODS_PATH, body));
                assert_eq!(code, 201);
            })
        });
    });
    group.finish();

    let mut group = c.benchmark_group("kube/update, CPU");
    group.bench_function("engine", |b| {
        let key = "/registry/raw/default/updated";
        let mut revision = 0;
        b.iter_custom(|rounds| {
            cpu_of(rounds, |_| {
                // Its condition holds the first time only; what fails reads instead, so the key is new each time.
                revision += 1;
                let key = format!("{key}-{revision}");
                let written = runtime.block_on(kube.write(&key, 0, value.clone()));
                written.expect("it is written");
            })
        });
    });
    group.bench_function("pod", |b| {
        let mut current = bench.send("POST", PODS_PATH, &pod("updated"));
        let path = format!("{PODS_PATH}/updated");
        let mut counted = 0;
        b.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                counted += 1;
                let changed = current.pointer_mut("/metadata/annotations/example.com~1config");
                *changed.expect("pods have it") = format!("{counted:032}").into();
                let body = Bytes::from(current.to_string());
                let before = cpu_time();
                let (code, body) = runtime.block_on(kube.answer("PUT", &path, body));
                spent += cpu_time() - before;
                assert_eq!(code, 200);
                current = serde_json::from_slice(&body).expect("JSON");
            }
            spent
        });
    });
    group.finish();
}

fn gets(c: &mut Criterion) {
    let bench = Bench::new();
    let (kube, runtime) = (&bench.kube, &bench.runtime);
    bench.send("POST", PODS_PATH, &pod("one"));
    let path = format!("{PODS_PATH}/one");
    let mut group = c.benchmark_group("kube/get, CPU");
    group.bench_function("engine", |b| {
        b.iter_custom(|rounds| {
            cpu_of(rounds, |_| {
                let read = runtime.block_on(kube.read("/registry/pods/default/one"));
                assert!(read.expect("it is read") > 1000);
            })
        });
    });
    for (name, path) in [
        ("pod", path.clone()),
        ("pod, any version", format!("{path}?resourceVersion=0")),
    ] {
        group.bench_function(name, |b| {
            b.iter_custom(|rounds| {
                cpu_of(rounds, |_| {
                    let (code, _) = runtime.block_on(kube.answer("GET", &path, Bytes::new()));
                    assert_eq!(code, 200);
                })
            });
        });
    }
    group.finish();
}

fn lists(c: &mut Criterion) {
    let bench = Bench::new();
    let (kube, runtime) = (&bench.kube, &bench.runtime);
    for n in 0..many() {
        bench.send("POST", PODS_PATH, &pod(&format!("pod-{n:05}")));
    }
    let list = || {
        runtime.block_on(async {
            let path = "/api/v1/pods";
            let response = kube
                .ask("GET", path, "application/json", Bytes::new())
                .await;
            assert_eq!(response.status(), 200);
            let mut body = response.into_body().into_data_stream();
            let mut bytes = 0;
            while let Some(chunk) = body.next().await {
                bytes += black_box(chunk.expect("it goes on")).len();
            }
            bytes as u64
        })
    };
    let mut group = c.benchmark_group("kube/list, CPU");
    group.throughput(Throughput::Bytes(list()));
    group.bench_function("10000 pods", |b| {
        b.iter_custom(|rounds| cpu_of(rounds, |_| assert!(black_box(list()) > 0)));
    });
    group.finish();
}

/// CPU time of telling every watcher of every change, the change itself included.
fn watches(c: &mut Criterion) {
    let bench = Bench::new();
    let (kube, runtime) = (&bench.kube, &bench.runtime);
    let path = "/api/v1/namespaces/default/configmaps";
    bench.send(
        "POST",
        path,
        &json!({"metadata": {"name": "changed"}, "data": {"n": "0"}}),
    );
    let watch = "/api/v1/configmaps?watch=1&resourceVersion=0&sendInitialEvents=false&resourceVersionMatch=NotOlderThan";
    let mut streams: Vec<_> = (0..many())
        .map(|_| {
            let opened = runtime.block_on(kube.ask("GET", watch, "", Bytes::new()));
            assert_eq!(opened.status(), 200);
            opened.into_body().into_data_stream()
        })
        .collect();
    let mut changed = 0;
    let mut group = c.benchmark_group("kube/watch, CPU");
    group.throughput(Throughput::Elements(many() as u64));
    group.sample_size(10);
    group.bench_function("a change for 10000 watchers", |b| {
        b.iter_custom(|rounds| {
            cpu_of(rounds, |_| {
                changed += 1;
                let change = json!({"data": {"n": changed.to_string()}}).to_string();
                runtime.block_on(async {
                    let path = format!("{path}/changed");
                    let kind = "application/merge-patch+json";
                    let answer = kube.ask("PATCH", &path, kind, change.into()).await;
                    assert_eq!(answer.status(), 200);
                    for stream in &mut streams {
                        black_box(stream.next().await.expect("an event").expect("a frame"));
                    }
                });
            })
        });
    });
    group.finish();
}

criterion_group!(benches, writes, gets, lists, watches);
criterion_main!(benches);
