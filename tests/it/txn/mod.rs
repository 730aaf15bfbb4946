//! Transactions.

mod atomicity;
mod compare;
mod duplicates;
mod execution;
mod nested;
mod read_only;
mod validation;
