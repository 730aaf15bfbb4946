//! How the generated servers and clients put messages on the wire.
//!
//! tonic's own codec begins every call with 8 KiB buffers for each direction, which an idle watch stream
//! keeps for its life. This one begins small and reserves a message's exact size before encoding it, so a
//! large answer is not copied while its buffer grows.

use std::marker::PhantomData;

use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, EncodeBuf, Encoder};
use tonic_prost::{ProstCodec, ProstDecoder};

/// Room for most requests and small answers.
const BUFFER_BYTES: usize = 1024;

/// Messages of a stream are sent together until this many bytes are encoded.
pub(super) const YIELD_BYTES: usize = 32 * 1024;

/// Encodes `T` and decodes `U`.
#[derive(Debug, Clone)]
pub(super) struct WireCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for WireCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for WireCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = WireEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        WireEncoder(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        decoder()
    }
}

/// Encodes messages into buffers of the right size.
#[derive(Debug, Clone)]
pub(super) struct WireEncoder<T>(PhantomData<T>);

impl<T: Message> Encoder for WireEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, message: T, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buf.reserve(message.encoded_len());
        message.encode_raw(buf);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffer_settings()
    }
}

/// Decodes the messages of a stream.
pub(super) fn decoder<U: Message + Default + Send + 'static>() -> ProstDecoder<U> {
    ProstCodec::<U, U>::raw_decoder(buffer_settings())
}

fn buffer_settings() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
}
