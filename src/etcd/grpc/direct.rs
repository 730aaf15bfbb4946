//! The calls that clients make most, on a shorter way than the generated servers'.
//!
//! Reading one message, calling the handler and sending one answer costs a generated server more than the
//! handler itself: streams of messages, boxed futures, buffers, routing by patterns. This way knows one
//! message in each direction, and the frames of a watch stream. Whatever is not plain (a compressed or cut
//! message, one that is too large or does not decode) goes to the generated server with all that was read of
//! it, so that one place words the refusals.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method as Verb, Request, Response, Version, header};
use http_body::{Body, Frame};
use prost::{DecodeError, Message as _};
use tonic::{Code, Status, Streaming};

use super::access::Doorkeeper;
use super::admission::Admission;
use super::gate;
use super::kv::KvCalls;
use super::leader;
use super::meter::{Call, Metered};
use super::methods::{Method, Methods};
use super::received::{self, PREFIX_BYTES, Received};
use super::watch::{WatchReply, WatchService};
use crate::base::trace;
use crate::engine::Caller;
use crate::etcd::codec;
use crate::etcd::identity;
use crate::etcd::pb::etcdserverpb as pb;

/// What gRPC clients call a body of protocol buffers.
const CONTENT_TYPES: [&[u8]; 2] = [b"application/grpc", b"application/grpc+proto"];

const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");
const OK: HeaderValue = HeaderValue::from_static("0");

/// The calls served here.
pub(in crate::etcd) struct DirectCalls {
    kv: Arc<KvCalls>,
    watch: WatchService,
    admission: Admission,
    doorkeeper: Arc<dyn Doorkeeper>,
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
    Watch,
}

const HOT: [(Hot, &str); 5] = [
    (Hot::Range, "/etcdserverpb.KV/Range"),
    (Hot::Put, "/etcdserverpb.KV/Put"),
    (Hot::DeleteRange, "/etcdserverpb.KV/DeleteRange"),
    (Hot::Txn, "/etcdserverpb.KV/Txn"),
    (Hot::Watch, "/etcdserverpb.Watch/Watch"),
];

/// The one message of a unary call.
enum Message {
    Range(pb::RangeRequest),
    Put(pb::PutRequest),
    DeleteRange(pb::DeleteRangeRequest),
    Txn(pb::TxnRequest),
}

impl Message {
    /// Reads the message of a call that has one.
    fn decode(hot: Hot, bytes: Bytes) -> Result<Option<Self>, DecodeError> {
        Ok(Some(match hot {
            Hot::Range => Self::Range(pb::RangeRequest::decode(bytes)?),
            Hot::Put => Self::Put(pb::PutRequest::decode(bytes)?),
            Hot::DeleteRange => Self::DeleteRange(pb::DeleteRangeRequest::decode(bytes)?),
            Hot::Txn => Self::Txn(pb::TxnRequest::decode(bytes)?),
            Hot::Watch => return Ok(None),
        }))
    }
}

impl DirectCalls {
    pub(super) fn new(
        kv: Arc<KvCalls>,
        watch: WatchService,
        admission: Admission,
        doorkeeper: Arc<dyn Doorkeeper>,
        methods: &Methods,
        limit: usize,
    ) -> Self {
        let methods = HOT.iter().filter_map(|&(hot, path)| {
            let method = methods.get(path)?;
            Some((hot, path, Arc::clone(method)))
        });
        Self {
            kv,
            watch,
            admission,
            doorkeeper,
            methods: methods.collect(),
            limit,
        }
    }

    /// Answers a call. `pending` is dropped with the answer, or once it waits for a client that may never speak.
    ///
    /// # Errors
    /// Gives back every request that is not a plain one of these calls, to be answered elsewhere.
    pub(in crate::etcd) async fn answer<B, P>(
        &self,
        request: Request<B>,
        pending: P,
    ) -> Result<Response<DirectBody>, (Request<Received<B>>, P)>
    where
        B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + Unpin + 'static,
    {
        let (head, body) = request.into_parts();
        let body = Received::untouched(body);
        let Some((hot, method)) = self.find(&head) else {
            return Err((Request::from_parts(head, body), pending));
        };
        if hot == Hot::Watch {
            drop(pending);
            return Ok(self.watch(method, &head, body).await);
        }
        let (bytes, body) = match body.message(self.limit).await {
            Ok(message) => message,
            Err(body) => return Err((Request::from_parts(head, body), pending)),
        };
        let size = bytes.len();
        let Ok(Some(message)) = Message::decode(hot, bytes) else {
            return Err((Request::from_parts(head, body), pending));
        };
        let call = gate::begin(method, &head.headers);
        method.received_bytes.add((PREFIX_BYTES + size) as u64);
        method.calls.received.inc();
        if let Err(status) = self.admission.check(method, &head.headers) {
            return Ok(refuse(status, call));
        }
        let caller = if self.doorkeeper.is_guarded() {
            let credentials = identity::credentials(&head.headers, &head.extensions);
            match self.doorkeeper.admit(credentials, method.demand).await {
                Ok(caller) => Some(caller),
                Err(status) => return Ok(refuse(status, call)),
            }
        } else {
            None
        };
        let answer = self.handle(caller.as_ref(), message);
        Ok(match trace::over(call.span(), answer).await {
            Ok(message) => {
                call.sent(1, message.len());
                accept(DirectBody::Message(Some(message), call))
            }
            Err(status) => refuse(status, call),
        })
    }

    /// Begins a watch stream. Messages that the client compresses end it: it said that it would not.
    async fn watch<B>(&self, method: &Arc<Method>, head: &Parts, body: B) -> Response<DirectBody>
    where
        B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + Unpin + 'static,
    {
        let call = gate::begin(method, &head.headers);
        if let Err(status) = self.admission.check(method, &head.headers) {
            return refuse(status, call);
        }
        let body = Metered::received(body, method);
        let requests = Streaming::new_request(codec::decoder(), body, None, Some(self.limit));
        let credentials = identity::credentials(&head.headers, &head.extensions);
        let leader_required = leader::is_required(&head.headers);
        let opened = self.watch.open(requests, credentials, leader_required);
        match opened.await {
            Ok(watch) => accept(DirectBody::Watch(Box::new(WatchReply::new(watch, call)))),
            Err(status) => refuse(status, call),
        }
    }

    fn find(&self, head: &Parts) -> Option<(Hot, &Arc<Method>)> {
        let path = head.uri.path();
        let (hot, _, method) = self.methods.iter().find(|(_, known, _)| *known == path)?;
        is_plain(head).then_some((*hot, method))
    }

    /// Runs the handler; its answer is ready to be sent.
    async fn handle(&self, caller: Option<&Caller>, message: Message) -> Result<Bytes, Status> {
        let kv = &self.kv;
        match message {
            Message::Range(request) => kv.range(caller, request).await.map(|m| framed(&m)),
            Message::Put(request) => kv.put(caller, request).await.map(|m| framed(&m)),
            Message::DeleteRange(request) => {
                kv.delete_range(caller, request).await.map(|m| framed(&m))
            }
            Message::Txn(request) => kv.txn(caller, request).await.map(|m| framed(&m)),
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

fn framed(message: &impl prost::Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX_BYTES + length);
    received::put_prefix(&mut bytes, length);
    message.encode_raw(&mut bytes);
    bytes.freeze()
}

fn accept(body: DirectBody) -> Response<DirectBody> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, CONTENT_TYPE);
    response
}

/// An answer that is only headers.
fn refuse(status: Status, mut call: Call) -> Response<DirectBody> {
    call.end(status.code());
    status.into_http::<()>().map(|()| DirectBody::Nothing)
}

/// The body of an answer.
pub(in crate::etcd) enum DirectBody {
    /// All was said in the headers, or has been said since.
    Nothing,
    /// One message, then trailers that say that the call went well.
    Message(Option<Bytes>, Call),
    /// A watch stream.
    Watch(Box<WatchReply>),
}

impl DirectBody {
    /// The next part of a unary answer.
    fn next(&mut self) -> Option<Frame<Bytes>> {
        let Self::Message(message, call) = self else {
            return None;
        };
        if let Some(message) = message.take() {
            return Some(Frame::data(message));
        }
        call.end(Code::Ok);
        *self = Self::Nothing;
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert(Status::GRPC_STATUS, OK);
        Some(Frame::trailers(trailers))
    }
}

impl Body for DirectBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Watch(watch) => Pin::new(watch).poll_frame(cx),
            unary => Poll::Ready(unary.next().map(Ok)),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}
