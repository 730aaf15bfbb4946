//! Users, roles, permissions, tokens.

mod admin;
mod calls;
mod guarded;
mod permissions;
mod tokens;
