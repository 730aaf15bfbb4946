//! Reads: which state they see, and where they run.
//!
//! A linearizable read asks for a read index, waits until that much of the log is applied here, and then
//! reads like a serializable one: from the published view, without a lock, on any member.

use tokio::sync::mpsc;

use super::error::EngineError;
use super::request_times::ReadKind;
use super::slow::ReadTimes;
use super::types::{Consistency, Header, RangeChunk, RangeEndInfo};
use super::view::View;
use super::{Engine, EngineResult};
use crate::base::clock;
use crate::base::ids::Revision;
use crate::base::kv::Kv;
use crate::mvcc::ops::{Op, RangeOp, RangeResult, Txn, TxnResult};
use crate::mvcc::{self, MvccError};

/// Keys of the first chunk of a streamed range.
const FIRST_CHUNK_KEYS: u64 = 10;
/// Chunks that wait for a slow client of a streamed range; each is at most about twice the request limit.
const CHUNKS_AHEAD: usize = 2;

impl Engine {
    /// Waits until a read here observes every write that was acknowledged before the call.
    ///
    /// # Errors
    /// [`EngineError::Timeout`], [`EngineError::LeaderChanged`], [`EngineError::Stopped`].
    pub async fn read_barrier(&self) -> EngineResult<()> {
        let deadline = tokio::time::Instant::from_std(clock::now() + self.inner.request_timeout);
        let round = self.inner.readers.join()?;
        let settled = match tokio::time::timeout_at(deadline, round).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(EngineError::Stopped),
            Err(_) => Err(EngineError::Timeout),
        };
        let counts = &self.inner.metrics.server;
        match settled {
            Ok(()) => {}
            Err(EngineError::Timeout) => counts.slow_read_indexes.inc(),
            Err(_) => counts.read_indexes_failed.inc(),
        }
        settled
    }

    pub(super) async fn settle(&self, consistency: Consistency) -> EngineResult<()> {
        match consistency {
            Consistency::Linearizable => self.read_barrier().await,
            Consistency::Serializable => Ok(()),
        }
    }

    pub(super) async fn read_range(&self, op: RangeOp) -> EngineResult<(Header, RangeResult)> {
        self.inner.metrics.mvcc.ranges.inc();
        let inline = is_small(&op);
        let at = op.revision;
        self.read(inline, at, move |engine, view| {
            engine.access(view)?.read(&op.range)?;
            mvcc::read::range_with_counts(&view.store, view.state, &op, &engine.inner.counts)
        })
        .await
    }

    /// A transaction that only reads, told of if it is slow.
    pub(super) async fn timed_read_txn(
        &self,
        txn: Txn,
        consistency: Consistency,
    ) -> EngineResult<(Header, TxnResult)> {
        let began = clock::now();
        self.settle(consistency).await?;
        let settled = clock::now();
        let size = txn.success.len() + txn.failure.len();
        let result = self.read_txn(txn).await;
        let times = ReadTimes {
            began,
            settled,
            ended: clock::now(),
        };
        let request = format_args!("{size} operations");
        let outcome = match &result {
            Ok((_, result)) => Ok(result.results.len() as u64),
            Err(error) => Err(error),
        };
        self.read_took(ReadKind::Txn, result.is_ok(), &times);
        let slow = &self.inner.slow;
        slow.read(times, "read-only txn ", request, outcome);
        result
    }

    async fn read_txn(&self, txn: Txn) -> EngineResult<(Header, TxnResult)> {
        let inline = txn.success.iter().chain(&txn.failure).all(|op| match op {
            Op::Range(op) => is_small(op),
            _ => false,
        });
        // A transaction may read at several revisions. "Compacted" is answered rather than repeated if
        // any of them is pinned, since repeating cannot help.
        let at = txn
            .success
            .iter()
            .chain(&txn.failure)
            .find_map(|op| match op {
                Op::Range(op) => op.revision,
                _ => None,
            });
        self.read(inline, at, move |engine, view| {
            engine.access(view)?.txn(&txn)?;
            mvcc::read::txn(&view.store, view.state, &txn)
        })
        .await
    }

    /// Runs a read on a view, here or on the blocking pool.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        inline: bool,
        at: Option<Revision>,
        read: impl Fn(&Self, &View) -> Result<T, MvccError> + Send + 'static,
    ) -> EngineResult<(Header, T)> {
        let (value, state) = if inline {
            self.inner.views.read(at, |view| read(self, view))?
        } else {
            let engine = self.clone();
            self.blocking(move || engine.inner.views.read(at, |view| read(&engine, view)))
                .await?
        };
        let header = Header {
            revision: state.revision,
            ..self.header()
        };
        Ok((header, value))
    }

    /// Runs what may take long or wait for the disk on the blocking pool.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> EngineResult<T> + Send + 'static,
    ) -> EngineResult<T> {
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|error| Err(EngineError::Internal(error.to_string())))
    }

    /// Starts a streamed range: every chunk is read at one revision.
    pub(super) fn stream_range(
        &self,
        op: RangeOp,
    ) -> EngineResult<mpsc::Receiver<EngineResult<RangeChunk>>> {
        let header = self.header();
        if op.revision.is_some_and(|at| at > header.revision) {
            return Err(EngineError::FutureRevision);
        }
        self.check_read(&op.range)?;
        let (chunks, receiver) = mpsc::channel(CHUNKS_AHEAD);
        let engine = self.as_caller(self.caller.admitted());
        self.inner.life.task("range-stream", async move {
            if let Err(error) = engine.send_chunks(op, header, &chunks).await {
                // The client may be gone; then nobody wants the error.
                let _ = chunks.send(Err(error)).await;
            }
        });
        Ok(receiver)
    }

    async fn send_chunks(
        &self,
        mut op: RangeOp,
        header: Header,
        chunks: &mpsc::Sender<EngineResult<RangeChunk>>,
    ) -> EngineResult<()> {
        op.revision = op.revision.or(Some(header.revision));
        let limit = op.limit;
        let mut sent = 0_u64;
        let mut chunk_keys = FIRST_CHUNK_KEYS;
        loop {
            let left = limit.map(|limit| limit.saturating_sub(sent));
            op.limit = Some(left.map_or(chunk_keys, |left| left.min(chunk_keys)));
            let (_, page) = self.read_range(op.clone()).await?;
            let done = !page.more || op.limit == left || op.count_only;
            let end = done.then_some(RangeEndInfo {
                header,
                more: page.more,
                count: page.count + sent as i64,
            });
            let size: usize = page.kvs.iter().map(Kv::message_len).sum();
            sent += page.kvs.len() as u64;
            if let Some(last) = page.kvs.last() {
                op.range.start = after(&last.key);
            }
            chunk_keys = self.next_chunk_keys(chunk_keys, size);
            let kvs = page.kvs;
            if chunks.send(Ok(RangeChunk { kvs, end })).await.is_err() || done {
                return Ok(());
            }
        }
    }

    /// Doubles chunks while they are small and halves them when they grow past twice the request limit
    /// (the pace of etcd's RangeStream).
    fn next_chunk_keys(&self, keys: u64, size: usize) -> u64 {
        if size < self.inner.max_request_bytes / 2 {
            keys.saturating_mul(2)
        } else if size > self.inner.max_request_bytes * 2 {
            (keys / 2).max(1)
        } else {
            keys
        }
    }
}

/// The smallest key above `key`.
fn after(key: &[u8]) -> bytes::Bytes {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next.into()
}

/// Whether a read is so short that it may run on a runtime thread. A limit does not make it so: the keys
/// beyond the limit are counted.
fn is_small(op: &RangeOp) -> bool {
    op.range.is_point() || op.range.is_empty()
}
