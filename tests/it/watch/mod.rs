//! Watch streams (invariant I6).

mod cancel;
mod catch_up;
mod compacted;
mod create;
mod events;
mod filters;
mod fragment;
mod progress;
mod streams;
