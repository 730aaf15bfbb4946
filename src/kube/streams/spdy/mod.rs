//! SPDY/3.1, in which kubelets speak of the streams of a process: frames, and connections made of them.
//!
//! HTTP has left it behind; `exec`, `attach` and `port-forward` have not, since clients and kubelets of
//! every release know it. There is no library for it. It is as much of the protocol as the one that
//! kubelets use has: streams that both sides close on their own, pings, no windows, no push.

mod block;
mod dictionary;
mod frame;
mod session;

pub use block::Headers;
pub use frame::{Decoder, Encoder, Frame};
pub use session::{Opened, Opener, Role, Session, Stream, StreamReader, StreamWriter};

/// Why a connection cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpdyError {
    #[error("a control frame of {0} bytes")]
    TooLong(usize),
    #[error("a control frame without its content")]
    TooShort,
    #[error("version {0} of the protocol")]
    Version(u32),
    #[error("headers that cannot be inflated")]
    Packed,
    #[error("headers that cannot be read")]
    Headers,
    #[error("more headers than anyone has")]
    TooManyHeaders,
    #[error("more streams than anyone has")]
    TooManyStreams,
    #[error("the connection ended within a frame")]
    CutOff,
    #[error("the connection broke: {0}")]
    Broken(String),
}
