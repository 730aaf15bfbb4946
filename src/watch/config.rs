//! What a hub is told at its start.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::base::ids::{ClusterId, MemberId};

/// Default of [`HubConfig::key_bytes`]: a million distinct ranges of Kubernetes' length (two keys of about a
/// hundred bytes) fit, while a key may be as long as a request: without this limit the one on watchers would
/// allow terabytes.
const KEY_BYTES: usize = 256 << 20;

/// Identity and limits of a [`Hub`](super::Hub).
#[derive(Debug, Clone)]
pub struct HubConfig {
    /// Goes into every response header.
    pub cluster_id: ClusterId,
    /// Goes into every response header.
    pub member_id: MemberId,
    /// The current raft term, for the response headers.
    pub term: Arc<AtomicU64>,
    /// Dispatcher threads; at least one.
    pub dispatchers: usize,
    /// Threads that read history for watchers that are behind; at least one.
    pub history_threads: usize,
    /// Bytes of changes that the ring keeps.
    pub ring_bytes: usize,
    /// Segments that the ring keeps, whatever their bytes.
    pub ring_segments: usize,
    /// Changes in one segment.
    pub segment_changes: usize,
    /// Time between periodic progress notifications; raised to 100 ms, stretched by up to 10 % for
    /// each stream so that they do not come all at once.
    pub progress_interval: Duration,
    /// Size from which responses of watchers that allow it are split.
    pub fragment_bytes: usize,
    /// While events come without pause, a dispatcher sends at most this often.
    pub coalesce: Duration,
    /// The same for each response of a sending: a large audience is told less often and more at once. A response
    /// takes about 3 us of CPU on its way out, so each dispatcher's audience takes a twenty-fifth of a core.
    pub coalesce_per_response: Duration,
    /// The same while most readers have not taken yet what they were given last, since sending them more responses
    /// would not let them see anything sooner; and for an audience of any size.
    pub coalesce_crowded: Duration,
    /// Responses that may wait for one stream's reader.
    pub stream_buffer_frames: usize,
    /// Bytes that may wait for one stream's reader.
    pub stream_buffer_bytes: usize,
    /// Bytes that may wait for all readers together; beyond it each stream keeps one response.
    pub buffer_bytes: usize,
    /// Open streams.
    pub max_streams: usize,
    /// Watchers of one stream.
    pub max_stream_watchers: usize,
    /// Watchers of all streams.
    pub max_watchers: usize,
    /// Bytes of the keys that all watchers name. Watchers of one dispatcher that name the same ones share
    /// them.
    pub key_bytes: usize,
}

impl HubConfig {
    /// The defaults: a dispatcher for each core. The ring keeps 32 MiB or 256 Ki changes:
    /// seconds of a heavy load, enough for a stream that was slow for a moment. A stream may fall 1 MiB or 4,096 responses behind before it is left to catch-up,
    /// all streams together 256 MiB. The limits on streams and watchers only stop what cannot be meant.
    pub fn new(cluster_id: ClusterId, member_id: MemberId, term: Arc<AtomicU64>) -> Self {
        Self {
            cluster_id,
            member_id,
            term,
            dispatchers: std::thread::available_parallelism().map_or(1, NonZero::get),
            history_threads: 2,
            ring_bytes: 32 << 20,
            ring_segments: 256,
            segment_changes: 1024,
            progress_interval: Duration::from_secs(600),
            fragment_bytes: 2 << 20,
            coalesce: Duration::from_micros(200),
            coalesce_per_response: Duration::from_micros(80),
            coalesce_crowded: Duration::from_millis(20),
            stream_buffer_frames: 4096,
            stream_buffer_bytes: 1 << 20,
            buffer_bytes: 256 << 20,
            max_streams: 1 << 20,
            max_stream_watchers: 1 << 20,
            max_watchers: 4 << 20,
            key_bytes: KEY_BYTES,
        }
    }
}
