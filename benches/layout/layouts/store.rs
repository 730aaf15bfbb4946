//! The database under every layout: the same memory, files, caches and background work for all.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rocksdb::{
    BlockBasedOptions, BoundColumnFamily, Cache, ColumnFamilyDescriptor, CompactOptions, DB,
    DBCompressionType, FlushOptions, Options, WaitForCompactOptions, WriteBatch, WriteOptions,
};

use super::Result;

/// What may be varied from outside.
#[derive(Debug, Clone)]
pub(crate) struct Tuning {
    /// Memory of all memtables together; reaching it flushes every column family at once. Files and levels
    /// are sized after it, so that a small database has the shape of a large one.
    pub(crate) write_buffers: usize,
    /// Files in level 0 of the key-ordered family that start a compaction.
    pub(crate) level0_files: i32,
    /// Bytes of the block cache.
    pub(crate) cache: usize,
    /// Values from this size on go to blob files.
    pub(crate) blobs_from: Option<u64>,
    /// Compress the revision-ordered column family with zstd in place of LZ4.
    pub(crate) zstd_history: bool,
    /// Delete the part of the oldest history file that is compacted, too.
    pub(crate) range_delete: bool,
}

/// An open database with two column families: one in key order, one in revision order.
pub(crate) struct Store {
    db: DB,
    write: WriteOptions,
    directory: PathBuf,
    range_delete: bool,
}

/// The column family in key order.
pub(super) const KEYS: &str = "keys";
/// The column family in revision order.
pub(super) const REVISIONS: &str = "revisions";

impl Store {
    /// Opens a store whose key-ordered family has what `keys` adds to the common options.
    pub(super) fn open(
        directory: &Path,
        tuning: &Tuning,
        keys: impl FnOnce(&mut Options, &mut BlockBasedOptions),
    ) -> Result<Self> {
        let cache = Cache::new_hyper_clock_cache(tuning.cache, 0);
        let mut key_options = family(tuning, DBCompressionType::Lz4);
        let mut key_blocks = blocks(&cache);
        key_blocks.set_bloom_filter(10.0, false);
        key_options.set_memtable_prefix_bloom_ratio(0.1);
        key_options.set_level_zero_file_num_compaction_trigger(tuning.level0_files);
        key_options.set_level_zero_slowdown_writes_trigger(tuning.level0_files * 5);
        key_options.set_level_zero_stop_writes_trigger(tuning.level0_files * 9);
        keys(&mut key_options, &mut key_blocks);
        key_options.set_block_based_table_factory(&key_blocks);
        let history = if tuning.zstd_history {
            DBCompressionType::Zstd
        } else {
            DBCompressionType::Lz4
        };
        let mut revision_options = family(tuning, history);
        revision_options.set_block_based_table_factory(&blocks(&cache));
        let families = [
            ColumnFamilyDescriptor::new(KEYS, key_options),
            ColumnFamilyDescriptor::new(REVISIONS, revision_options),
        ];
        let mut write = WriteOptions::default();
        write.disable_wal(true);
        Ok(Self {
            db: DB::open_cf_descriptors(&database(tuning), directory, families)?,
            write,
            directory: directory.to_owned(),
            range_delete: tuning.range_delete,
        })
    }

    pub(super) fn db(&self) -> &DB {
        &self.db
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn family(&self, name: &str) -> Result<Arc<BoundColumnFamily<'_>>> {
        self.db
            .cf_handle(name)
            .ok_or_else(|| format!("no column family {name}").into())
    }

    pub(crate) fn write(&self, batch: WriteBatch) -> Result<()> {
        Ok(self.db.write_opt(batch, &self.write)?)
    }

    /// Flushes everything and waits until no background work is left.
    pub(crate) fn settle(&self) -> Result<()> {
        let (keys, revisions) = (self.family(KEYS)?, self.family(REVISIONS)?);
        self.db
            .flush_cfs_opt(&[&keys, &revisions], &FlushOptions::default())?;
        Ok(self
            .db
            .wait_for_compact(&WaitForCompactOptions::default())?)
    }

    /// Drops the files of history that lie below `revision` as a whole.
    pub(super) fn drop_history(&self, revision: i64) -> Result<()> {
        let family = self.family(REVISIONS)?;
        let (from, to) = (0_u64.to_be_bytes(), (revision as u64).to_be_bytes());
        self.db.delete_file_in_range_cf(&family, from, to)?;
        if self.range_delete {
            let mut batch = WriteBatch::default();
            batch.delete_range_cf(&family, from, to);
            self.write(batch)?;
        }
        Ok(())
    }

    /// Rewrites the whole key-ordered family, the last level included, so that its filter sees every record.
    pub(super) fn rewrite_keys(&self) -> Result<()> {
        let mut options = CompactOptions::default();
        options.set_bottommost_level_compaction(rocksdb::BottommostLevelCompaction::Force);
        options.set_exclusive_manual_compaction(false);
        self.db
            .compact_range_cf_opt(&self.family(KEYS)?, None::<&[u8]>, None::<&[u8]>, &options);
        Ok(())
    }
}

fn database(tuning: &Tuning) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_atomic_flush(true);
    options.set_db_write_buffer_size(tuning.write_buffers);
    options.set_max_background_jobs(2);
    options.set_allow_concurrent_memtable_write(false);
    options.set_enable_write_thread_adaptive_yield(false);
    options
}

fn family(tuning: &Tuning, compression: DBCompressionType) -> Options {
    let mut options = Options::default();
    // The common limit flushes; no family reaches this one before.
    options.set_write_buffer_size(tuning.write_buffers * 2);
    options.set_max_write_buffer_number(4);
    // One compression on every level, or files in revision order could not move down unread.
    options.set_compression_type(compression);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_target_file_size_base(tuning.write_buffers as u64 / 4);
    options.set_max_bytes_for_level_base(tuning.write_buffers as u64);
    if let Some(size) = tuning.blobs_from {
        options.set_enable_blob_files(true);
        options.set_min_blob_size(size);
        options.set_blob_compression_type(compression);
        options.set_enable_blob_gc(true);
    }
    options
}

fn blocks(cache: &Cache) -> BlockBasedOptions {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_size(16 << 10);
    blocks.set_block_cache(cache);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_format_version(6);
    blocks
}
