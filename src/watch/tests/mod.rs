//! Tests of the whole hub, stepped by hand except for the last.

mod oracle;
mod semantics;
mod slow;
mod threads;
