//! Three members: what any of them must answer, and what must survive when some of them do not.

mod changes;
mod corruption;
mod discovery;
mod healthy;
mod kill;
mod load;
mod membership;
mod pause;
mod quorum;
mod registers;
mod snapshot;

pub use load::check_hashes;
