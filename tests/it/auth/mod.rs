//! Users, roles, permissions, tokens.

mod admin;
pub mod calls;
mod certificates;
mod guarded;
mod members;
mod permissions;
mod signed;
mod tokens;
mod ways;
