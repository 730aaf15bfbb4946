//! Tests of the whole hub, stepped by hand except for the last.

mod creation;
mod events;
mod oracle;
mod slow;
mod threads;
