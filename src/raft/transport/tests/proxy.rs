//! A TCP proxy that can stop forwarding without closing, or cut connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Forward,
    /// Keeps connections open and moves nothing, as a stopped process or a cable pulled does.
    Stall,
    /// As [`Mode::Stall`], for the bulk stream only.
    StallBulk,
    /// Closes connections, and new ones at once.
    Cut,
}

pub(super) struct Proxy {
    pub(super) url: String,
    shared: Arc<Shared>,
    life: Lifecycle,
}

struct Shared {
    target: String,
    mode: watch::Sender<Mode>,
    /// Bytes towards the target until everything is cut.
    budget: AtomicI64,
    forwarded: AtomicU64,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.life.stop();
    }
}

impl Proxy {
    pub(super) async fn to(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let life = Lifecycle::new();
        let shared = Arc::new(Shared {
            target: url.strip_prefix("http://").unwrap().to_owned(),
            mode: watch::Sender::new(Mode::Forward),
            budget: AtomicI64::new(i64::MAX),
            forwarded: AtomicU64::new(0),
        });
        let proxy = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            shared: shared.clone(),
            life: life.clone(),
        };
        let accepting = life.clone();
        drop(life.task("proxy", async move {
            while let Ok((io, _)) = listener.accept().await {
                drop(accepting.task("proxied", forward(shared.clone(), io)));
            }
        }));
        proxy
    }

    pub(super) fn set(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
    }

    /// Cuts everything once this many more bytes went to the target.
    pub(super) fn cut_after(&self, bytes: i64) {
        self.shared.budget.store(bytes, SeqCst);
    }

    /// Waits until the proxy has cut.
    pub(super) async fn is_cut(&self) {
        let mut mode = self.shared.mode.subscribe();
        let cut = timeout(PATIENCE, mode.wait_for(|mode| *mode == Mode::Cut)).await;
        cut.expect("never cut").unwrap();
    }

    /// Forwards again, without end.
    pub(super) fn mend(&self) {
        self.cut_after(i64::MAX);
        self.set(Mode::Forward);
    }

    /// Bytes that went to the target so far.
    pub(super) fn forwarded(&self) -> u64 {
        self.shared.forwarded.load(SeqCst)
    }
}

async fn forward(shared: Arc<Shared>, io: TcpStream) {
    let mut mode = shared.mode.subscribe();
    if *mode.borrow() == Mode::Cut {
        return;
    }
    let Ok(target) = TcpStream::connect(&shared.target).await else {
        return;
    };
    let bulk = is_bulk(&io).await;
    let (near_read, near_write) = io.into_split();
    let (far_read, far_write) = target.into_split();
    tokio::select! {
        () = pipe(&shared, near_read, far_write, bulk, true) => {}
        () = pipe(&shared, far_read, near_write, bulk, false) => {}
        _ = mode.wait_for(|mode| *mode == Mode::Cut) => {}
    }
}

/// Whether a connection opens with a handshake for the bulk stream.
async fn is_bulk(io: &TcpStream) -> bool {
    let mut head = [0; 1024];
    while let Ok(count @ 1..) = io.peek(&mut head).await {
        let head = String::from_utf8_lossy(&head[..count]);
        if head.contains("\r\n\r\n") {
            return head.contains("x-holdfast-lane: bulk");
        }
        tokio::task::yield_now().await;
    }
    false
}

async fn pipe(
    shared: &Shared,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    bulk: bool,
    counted: bool,
) {
    let flows = |mode: &Mode| match mode {
        Mode::Stall => false,
        Mode::StallBulk => !bulk,
        Mode::Forward | Mode::Cut => true,
    };
    let mut mode = shared.mode.subscribe();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let _ = mode.wait_for(flows).await;
        let Ok(count @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        let _ = mode.wait_for(flows).await;
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
        if counted {
            shared.forwarded.fetch_add(count as u64, SeqCst);
            let count = count as i64;
            let before = shared.budget.fetch_sub(count, SeqCst);
            if (1..=count).contains(&before) {
                shared.mode.send_replace(Mode::Cut);
            }
        }
    }
}
