//! Tells systemd that the member serves, as units of `Type=notify` wait for.
//!
//! etcd's packaged unit is of that type; without the word systemd would take a member that serves for one
//! that never got up, and kill it.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Names the socket that listens for the word.
const VARIABLE: &str = "NOTIFY_SOCKET";

/// Says so, if anybody listens. Nobody who does not is no reason to fail.
pub(super) fn notify_ready() {
    let Some(socket) = std::env::var_os(VARIABLE) else {
        return;
    };
    if let Err(error) = send(&socket, b"READY=1") {
        tracing::warn!(%error, "cannot notify systemd");
    }
}

/// A name that begins with `@` is in Linux's abstract namespace, any other is a path.
fn send(socket: &OsStr, message: &[u8]) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?
        .send_to_addr(message, &address)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> Vec<u8> {
        let mut message = [0u8; 64];
        let len = socket.recv(&mut message).unwrap();
        message[..len].to_vec()
    }

    #[test]
    fn paths_and_abstract_names_are_reached() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), b"READY=1").unwrap();
        assert_eq!(heard(&listener), b"READY=1");

        let name = format!("holdfast-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        send(OsStr::new(&format!("@{name}")), b"READY=1").unwrap();
        assert_eq!(heard(&listener), b"READY=1");

        assert!(send(OsStr::new("/nonexistent/notify"), b"READY=1").is_err());
    }
}
