//! The state machine's data on disk, in RocksDB; the only module that names it.
