//! The calls that clients make most, on a shorter way than the generated servers'.
//!
//! Reading one message, calling the handler and sending one answer costs a generated server more than the
//! handler itself: streams of messages, boxed futures, buffers, routing by patterns. This way knows one
//! message in each direction. Whatever is not plain (a compressed or cut message, one that is too large or
//! does not decode) goes to the generated server with all that was read of it, so that one place words the
//! refusals.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method as Verb, Request, Response, Version, header};
use http_body::{Body, Frame};
use prost::{DecodeError, Message as _};
use tonic::{Code, Status};

use super::gate::{API_VERSION, HasLeader};
use super::kv::KvCalls;
use super::leader;
use super::meter::Call;
use super::methods::{Method, Methods};
use super::received::{PREFIX_BYTES, Received};
use crate::etcd::pb::etcdserverpb as pb;
use crate::etcd::status;

/// What gRPC clients call a body of protocol buffers.
const CONTENT_TYPES: [&[u8]; 2] = [b"application/grpc", b"application/grpc+proto"];

const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");
const OK: HeaderValue = HeaderValue::from_static("0");

/// The calls served here.
pub(in crate::etcd) struct UnaryCalls {
    kv: Arc<KvCalls>,
    has_leader: HasLeader,
    methods: Vec<(Hot, &'static str, Arc<Method>)>,
    /// The largest message in bytes.
    limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hot {
    Range,
    Put,
    DeleteRange,
    Txn,
}

const HOT: [(Hot, &str); 4] = [
    (Hot::Range, "/etcdserverpb.KV/Range"),
    (Hot::Put, "/etcdserverpb.KV/Put"),
    (Hot::DeleteRange, "/etcdserverpb.KV/DeleteRange"),
    (Hot::Txn, "/etcdserverpb.KV/Txn"),
];

enum Message {
    Range(pb::RangeRequest),
    Put(pb::PutRequest),
    DeleteRange(pb::DeleteRangeRequest),
    Txn(pb::TxnRequest),
}

impl Message {
    fn decode(hot: Hot, bytes: Bytes) -> Result<Self, DecodeError> {
        Ok(match hot {
            Hot::Range => Self::Range(pb::RangeRequest::decode(bytes)?),
            Hot::Put => Self::Put(pb::PutRequest::decode(bytes)?),
            Hot::DeleteRange => Self::DeleteRange(pb::DeleteRangeRequest::decode(bytes)?),
            Hot::Txn => Self::Txn(pb::TxnRequest::decode(bytes)?),
        })
    }
}

impl UnaryCalls {
    pub(super) fn new(
        kv: Arc<KvCalls>,
        has_leader: HasLeader,
        methods: &Methods,
        limit: usize,
    ) -> Self {
        let methods = HOT.iter().filter_map(|&(hot, path)| {
            let method = methods.get(path)?;
            Some((hot, path, Arc::clone(method)))
        });
        Self {
            kv,
            has_leader,
            methods: methods.collect(),
            limit,
        }
    }

    /// Answers a call.
    ///
    /// # Errors
    /// Gives back every request that is not a plain one of these calls, to be answered elsewhere.
    pub(in crate::etcd) async fn answer<B>(
        &self,
        request: Request<B>,
    ) -> Result<Response<Reply>, Request<Received<B>>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (head, body) = request.into_parts();
        let body = Received::untouched(body);
        let Some((hot, method)) = self.find(&head) else {
            return Err(Request::from_parts(head, body));
        };
        let (bytes, body) = match body.message(self.limit).await {
            Ok(message) => message,
            Err(body) => return Err(Request::from_parts(head, body)),
        };
        let size = bytes.len();
        let Ok(message) = Message::decode(hot, bytes) else {
            return Err(Request::from_parts(head, body));
        };
        let call = begin(method, &head, size);
        if leader::is_required(&head.headers) && !(self.has_leader)() {
            return Ok(refuse(status::no_leader(), call));
        }
        Ok(match self.handle(message).await {
            Ok(message) => {
                method.sent_bytes.add(message.len() as u64);
                method.calls.sent.inc();
                accept(message, call)
            }
            Err(status) => refuse(status, call),
        })
    }

    fn find(&self, head: &Parts) -> Option<(Hot, &Arc<Method>)> {
        let path = head.uri.path();
        let (hot, _, method) = self.methods.iter().find(|(_, known, _)| *known == path)?;
        is_plain(head).then_some((*hot, method))
    }

    /// Runs the handler; its answer is ready to be sent.
    async fn handle(&self, message: Message) -> Result<Bytes, Status> {
        match message {
            Message::Range(request) => self.kv.range(request).await.map(|m| framed(&m)),
            Message::Put(request) => self.kv.put(request).await.map(|m| framed(&m)),
            Message::DeleteRange(request) => {
                self.kv.delete_range(request).await.map(|m| framed(&m))
            }
            Message::Txn(request) => self.kv.txn(request).await.map(|m| framed(&m)),
        }
    }
}

/// Whether a call's headers ask for nothing that only the generated server knows.
fn is_plain(head: &Parts) -> bool {
    let content = head.headers.get(header::CONTENT_TYPE);
    let encoding = head.headers.get("grpc-encoding");
    head.method == Verb::POST
        && head.version == Version::HTTP_2
        && content.is_some_and(|value| CONTENT_TYPES.contains(&value.as_bytes()))
        && encoding.is_none_or(|value| value == "identity")
}

/// Counts a call whose message of `size` bytes was read.
fn begin(method: &Arc<Method>, head: &Parts, size: usize) -> Call {
    let call = Call::begin(method);
    let version = head.headers.get(API_VERSION);
    method.requests.of(version.map(HeaderValue::as_bytes)).inc();
    method.received_bytes.add((PREFIX_BYTES + size) as u64);
    method.calls.received.inc();
    call
}

fn framed(message: &impl prost::Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX_BYTES + length);
    bytes.put_u8(0);
    // No answer comes near the 4 GiB that gRPC can say: reads end far below.
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    message.encode_raw(&mut bytes);
    bytes.freeze()
}

fn accept(message: Bytes, call: Call) -> Response<Reply> {
    let mut response = Response::new(Reply {
        message: Some(message),
        call: Some(call),
    });
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, CONTENT_TYPE);
    response
}

/// An answer that is only headers.
fn refuse(status: Status, mut call: Call) -> Response<Reply> {
    call.end(status.code());
    status.into_http::<()>().map(|()| Reply {
        message: None,
        call: None,
    })
}

/// The body of an answer: a message, and trailers that say it went well; or nothing.
#[derive(Debug)]
pub struct Reply {
    message: Option<Bytes>,
    call: Option<Call>,
}

impl Reply {
    /// The next part, if there is one.
    fn next(&mut self) -> Option<Frame<Bytes>> {
        if let Some(message) = self.message.take() {
            return Some(Frame::data(message));
        }
        self.call.take()?.end(Code::Ok);
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert("grpc-status", OK);
        Some(Frame::trailers(trailers))
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.next().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.call.is_none() && self.message.is_none()
    }
}
