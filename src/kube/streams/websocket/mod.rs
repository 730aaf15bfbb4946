//! WebSocket, the server's side of it: the handshake, frames, and connections that carry channels.

mod connection;
mod frame;
mod handshake;

pub use connection::{Connection, Piece, Reader, Writer};
pub use frame::{Decoder, Event, FrameError, Kind, NORMAL, Role, encode};
pub use handshake::{accept, accept_key, is_websocket, protocols};
