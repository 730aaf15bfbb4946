//! The check of what clients send as JSON, and of messages as JSON.

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};

use super::json;
use super::split::Objects;
use super::table::Methods;

/// The first byte chooses a method and what the rest is: JSON for it, or a message that it takes or gives.
///
/// What is read as a message is the same when it is written as JSON and read again.
pub fn check(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else {
        return;
    };
    let methods = Methods::all();
    let Some(method) = methods.get(usize::from(choice >> 2) % methods.len()) else {
        return;
    };
    match choice & 3 {
        0 => split(data),
        1 => drop(text(&method.input, data)),
        2 => message(&method.input, data),
        _ => message(&method.output, data),
    }
}

/// JSON that is read is written, and read again as the same message.
fn text(kind: &MessageDescriptor, text: &[u8]) -> Option<DynamicMessage> {
    let message = json::read(kind, text).ok()?;
    let framed = json::decode(kind, text).expect("what was read can be sent");
    let bytes = framed.slice(crate::etcd::grpc::PREFIX_BYTES..);
    assert_eq!(bytes, message.encode_to_vec());
    // JSON is read to a greater depth than messages are.
    let written = json::encode(kind, bytes.clone()).ok()?;
    let again = json::read(kind, &written).expect("what was written can be read");
    // Compared as bytes: a zero that was given is none.
    assert_eq!(again.encode_to_vec(), bytes);
    Some(message)
}

/// What JSON says of a message is all that is known of it.
fn message(kind: &MessageDescriptor, bytes: &[u8]) {
    let Ok(written) = json::encode(kind, Bytes::copy_from_slice(bytes)) else {
        return;
    };
    // Messages are read to a greater depth than JSON is: a message is three values deep.
    let Some(message) = text(kind, &written) else {
        return;
    };
    let again = json::encode(kind, message.encode_to_vec().into());
    assert_eq!(again.ok(), Some(written));
}

/// Objects of a stream are found wherever it is cut, and hold no more than it has.
fn split(data: &[u8]) {
    let find = |step: usize| {
        let mut objects = Objects::new(data.len());
        let mut found = Vec::new();
        for part in data.chunks(step) {
            objects.push(part);
            loop {
                match objects.next() {
                    Ok(Some(object)) => found.push(object),
                    Ok(None) => break,
                    Err(_) => return found,
                }
            }
        }
        found
    };
    let found = find(1);
    assert!(found.iter().map(Bytes::len).sum::<usize>() <= data.len());
    assert_eq!(find(data.len().max(1)), found);
}
