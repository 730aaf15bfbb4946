//! Snapshots as `etcdctl snapshot save` expects them: blobs, then the checksum of all of them.

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tonic::Status;

use crate::engine::EngineResult;
use crate::etcd::pb::etcdserverpb::SnapshotResponse;
use crate::etcd::version;

/// The size of every blob but the last two.
const BLOB_BYTES: usize = 32 * 1024;

/// A snapshot on its way to a client.
///
/// It ends after the checksum, or with an error: when the engine reports one, or when the stream is not
/// as long as announced. Without a checksum the client knows that what it has is not a snapshot.
pub(super) struct SnapshotCall {
    source: mpsc::Receiver<EngineResult<Bytes>>,
    /// Received, not yet sent.
    ready: Bytes,
    /// Bytes not yet sent.
    left: u64,
    digest: Sha256,
}

type Part = Result<SnapshotResponse, Status>;

impl SnapshotCall {
    pub(super) fn new(total: u64, source: mpsc::Receiver<EngineResult<Bytes>>) -> Self {
        Self {
            source,
            ready: Bytes::new(),
            left: total,
            digest: Sha256::new(),
        }
    }

    /// The next message, and what comes after it.
    pub(super) async fn next(call: Option<Self>) -> Option<(Part, Option<Self>)> {
        let mut call = call?;
        if call.left == 0 {
            return Some((call.checksum().await, None));
        }
        match call.blob().await {
            Ok(part) => Some((Ok(part), Some(call))),
            Err(status) => Some((Err(status), None)),
        }
    }

    async fn blob(&mut self) -> Part {
        let size = usize::try_from(self.left).map_or(BLOB_BYTES, |left| left.min(BLOB_BYTES));
        let blob = self.take(size).await?;
        self.left -= blob.len() as u64;
        self.digest.update(&blob);
        Ok(message(self.left, blob))
    }

    /// Exactly `size` bytes; copies only where a blob spans what was received at different times.
    async fn take(&mut self, size: usize) -> Result<Bytes, Status> {
        if self.ready.is_empty() {
            self.ready = self.receive().await?;
        }
        if self.ready.len() >= size {
            return Ok(self.ready.split_to(size));
        }
        let mut blob = BytesMut::with_capacity(size);
        while blob.len() < size {
            if self.ready.is_empty() {
                self.ready = self.receive().await?;
            }
            let missing = self.ready.len().min(size - blob.len());
            blob.extend_from_slice(&self.ready.split_to(missing));
        }
        Ok(blob.freeze())
    }

    async fn receive(&mut self) -> Result<Bytes, Status> {
        match self.source.recv().await {
            Some(chunk) => Ok(chunk?),
            None => Err(Status::unknown("snapshot is shorter than announced")),
        }
    }

    /// Only once the engine has nothing more to say, which may be that it failed.
    async fn checksum(mut self) -> Part {
        let excess = match self.source.recv().await {
            Some(chunk) => chunk?,
            None => self.ready,
        };
        if !excess.is_empty() {
            return Err(Status::unknown("snapshot is longer than announced"));
        }
        Ok(message(0, Bytes::copy_from_slice(&self.digest.finalize())))
    }
}

fn message(remaining_bytes: u64, blob: Bytes) -> SnapshotResponse {
    SnapshotResponse {
        header: None,
        remaining_bytes,
        blob,
        version: version::STORAGE.into(),
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};
    use proptest::prelude::*;

    use super::*;
    use crate::engine::EngineError;

    fn run(total: u64, chunks: Vec<EngineResult<Bytes>>) -> Vec<Part> {
        let (sender, receiver) = mpsc::channel(chunks.len().max(1));
        for chunk in chunks {
            sender.try_send(chunk).unwrap();
        }
        drop(sender);
        let call = SnapshotCall::new(total, receiver);
        let parts = stream::unfold(Some(call), SnapshotCall::next).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(parts)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn blobs_and_checksum_are_etcds_however_the_engine_cuts(
            sizes in proptest::collection::vec(0_usize..90_000, 0..6),
        ) {
            let data: Vec<u8> = (0..sizes.iter().sum()).map(|i| (i % 251) as u8).collect();
            let mut rest = Bytes::from(data.clone());
            let chunks = sizes.iter().map(|&size| Ok(rest.split_to(size))).collect();
            let mut parts: Vec<_> = run(data.len() as u64, chunks).into_iter().map(Result::unwrap).collect();

            let last = parts.pop().unwrap();
            prop_assert_eq!(last.remaining_bytes, 0);
            let digest = Sha256::digest(&data);
            prop_assert_eq!(last.blob.as_ref(), digest.as_slice());
            let mut sent = Vec::new();
            for part in &parts {
                sent.extend_from_slice(&part.blob);
                prop_assert_eq!(part.remaining_bytes, (data.len() - sent.len()) as u64);
                prop_assert!(part.blob.len() == BLOB_BYTES || part.remaining_bytes == 0);
                prop_assert_eq!(&part.header, &None);
            }
            prop_assert_eq!(sent, data);
        }
    }

    #[test]
    fn a_stream_of_another_length_never_gets_a_checksum() {
        let chunk = || Ok(Bytes::from_static(b"12345"));
        let short = run(6, vec![chunk()]);
        assert_eq!(short.len(), 1);
        assert!(short[0].is_err());
        for long in [run(4, vec![chunk()]), run(5, vec![chunk(), chunk()])] {
            assert!(long[0].is_ok());
            assert!(long[1].is_err());
            assert_eq!(long.len(), 2);
        }
        let failed = run(5, vec![Err(EngineError::Internal("disk".into()))]);
        assert_eq!(failed[0].as_ref().unwrap_err().message(), "disk");
    }
}
