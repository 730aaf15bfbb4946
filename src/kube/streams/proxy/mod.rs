//! What a proxy changes in what it passes on: headers, and the links of pages.

pub mod headers;
pub mod html;
pub mod links;
