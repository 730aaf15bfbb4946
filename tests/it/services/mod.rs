//! Services on top of the store: locks, elections, and JSON over HTTP.

mod election;
mod gateway;
mod gateway_rules;
mod lock;
