//! KV: Range, RangeStream, Put, DeleteRange, Compact, HashKV.

mod compact;
mod delete;
mod filters;
mod hash;
mod history;
mod put;
mod range;
mod range_stream;
mod revisions;
mod sort;
