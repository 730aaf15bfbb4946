//! The requests that kube-apiserver makes, on objects like those it stores.

mod churn;
mod compactor;
mod fixtures;
mod lists;
mod objects;
mod shapes;
mod soak;
mod store;
