//! Users, roles, permissions, tokens.

mod admin;
pub mod calls;
mod guarded;
mod members;
mod permissions;
mod signed;
mod tokens;
mod ways;
