//! What leads through this server to a kubelet, a pod or a service: logs, processes, ports and proxies.
//!
//! Here are the parts that know no HTTP server: where a request leads ([`location`], [`options`], [`dial`]), the two
//! protocols in which streams are spoken of ([`spdy`], [`websocket`]) and what stands between them ([`translate`],
//! [`tunnel`]), and what a proxy changes in what it passes on ([`proxy`]). `rest::connect` puts them together.

pub mod dial;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod location;
pub mod options;
pub mod proxy;
pub mod spdy;
pub mod translate;
pub mod tunnel;
pub mod upgrade;
mod verdict;
pub mod websocket;
