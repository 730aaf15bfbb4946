//! How RocksDB is set up, and why.

use rocksdb::{BlockBasedOptions, Cache, DBCompressionType, Options};

use super::gc::Removal;
use super::store::Family;

const MIB: usize = 1 << 20;

/// Bits of bloom filter for each key of `current`: one useless block read in a hundred lookups.
const BLOOM_BITS: f64 = 10.0;
/// Part of a write buffer of `current` that its bloom filter takes.
const MEMTABLE_BLOOM_RATIO: f64 = 0.02;
/// Blocks of `current` are read for one key: a small one is decompressed sooner.
const CURRENT_BLOCK_SIZE: usize = 4 << 10;
/// Blocks of `event` are read in runs: a large one compresses better.
const EVENT_BLOCK_SIZE: usize = 16 << 10;
/// Smaller than RocksDB's 64 MiB, so that dropping history frees space in finer steps.
const EVENT_FILE_SIZE: u64 = 32 << 20;
/// Files of `current` in level 0 at which compaction begins. RocksDB's 4 costs a third more: families are
/// flushed together, `event` fills the common memory, and so the files of `current` are small
/// (`docs/decisions/0001-storage-layout.md`).
const CURRENT_LEVEL0_FILES: i32 = 12;
/// Once a day every file of `current` is rewritten, so that tombstones in quiet ranges go too.
const REWRITE_AFTER_SECONDS: u64 = 24 * 60 * 60;
/// Files kept open; more than that and the least used are closed. Opening then loads only a few.
const OPEN_FILES: i32 = 1024;
/// RocksDB's own log files: size and number kept.
const LOG_FILE_SIZE: usize = 4 * MIB;
const LOG_FILES: usize = 2;
/// Dirty pages are written back in steps of this size instead of in one burst at the end of a file.
const WRITE_BACK_STEP: u64 = 1 << 20;

/// What an operator or a test may want to set. The default is for a machine with two cores and a store
/// of millions of keys: about 120 MiB, and some 3 bytes for each key for indexes and filters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// Bytes of cached blocks.
    pub block_cache: usize,
    /// Bytes of a column family's write buffer. When one is full, all are flushed.
    pub write_buffer: usize,
    /// Bytes of all write buffers together, those being flushed included.
    pub write_buffers: usize,
    /// Threads for flushes and compactions.
    pub background_jobs: i32,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            block_cache: 64 * MIB,
            write_buffer: 16 * MIB,
            write_buffers: 48 * MIB,
            background_jobs: 2,
        }
    }
}

impl StoreOptions {
    pub(super) fn block_cache(&self) -> Cache {
        Cache::new_lru_cache(self.block_cache)
    }

    pub(super) fn database(&self) -> Options {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_atomic_flush(true);
        options.set_paranoid_checks(true);
        options.set_max_background_jobs(self.background_jobs);
        options.set_db_write_buffer_size(self.write_buffers);
        // One thread writes: what helps several writers only costs here.
        options.set_allow_concurrent_memtable_write(false);
        options.set_enable_pipelined_write(false);
        // Opening must not depend on the size of the store.
        options.set_max_open_files(OPEN_FILES);
        options.set_skip_stats_update_on_db_open(true);
        options.set_bytes_per_sync(WRITE_BACK_STEP);
        // A reader that drops the last reference to an old file leaves its removal to the background.
        options.set_avoid_unnecessary_blocking_io(true);
        options.set_max_log_file_size(LOG_FILE_SIZE);
        options.set_keep_log_file_num(LOG_FILES);
        options.set_stats_dump_period_sec(0);
        options.set_stats_persist_period_sec(0);
        options
    }

    pub(super) fn family(&self, family: Family, cache: &Cache, removal: &Removal) -> Options {
        let mut options = Options::default();
        options.set_write_buffer_size(self.write_buffer);
        // LZ4 on every level: events are then moved down the levels as they are, without a rewrite, and
        // are dropped long before a denser coding would pay for itself.
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_level_compaction_dynamic_level_bytes(true);
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(cache);
        // Indexes and filters stay in memory: they are a few bytes for each key, and a lookup that has to read
        // a file's whole filter back costs as much as a hundred others.
        blocks.set_cache_index_and_filter_blocks(false);
        match family {
            Family::Current => {
                blocks.set_block_size(CURRENT_BLOCK_SIZE);
                blocks.set_bloom_filter(BLOOM_BITS, false);
                blocks.set_optimize_filters_for_memory(true);
                // A key that is new to a memtable is not looked for in it.
                options.set_memtable_whole_key_filtering(true);
                options.set_memtable_prefix_bloom_ratio(MEMTABLE_BLOOM_RATIO);
                options.set_compaction_filter("holdfast.tombstones", removal.filter());
                options.set_level_zero_file_num_compaction_trigger(CURRENT_LEVEL0_FILES);
                options.set_periodic_compaction_seconds(REWRITE_AFTER_SECONDS);
            }
            // A lookup of an event never misses, so a filter would only take memory.
            Family::Event => {
                blocks.set_block_size(EVENT_BLOCK_SIZE);
                options.set_target_file_size_base(EVENT_FILE_SIZE);
            }
            Family::Lease | Family::Auth | Family::Meta => {}
        }
        options.set_block_based_table_factory(&blocks);
        options
    }
}
