//! TLS: clients, members, and files that change while they are in use.

mod clients;
mod etcdctl;
mod listeners;
mod peers;
mod reload;

use std::sync::Arc;

use crate::harness::*;

/// The flags that serve clients with the authority's `server` certificate, and no demand for theirs.
fn certified(pki: &Arc<Pki>) -> Settings {
    Settings::plain()
        .flag("cert-file", pki.path("server.crt"))
        .flag("key-file", pki.path("server.key"))
}

/// A server whose client port is `https` and whose peer port is not.
async fn serve(settings: Settings, tls: ClientTls) -> Server {
    let mut server = Server::prepare("default");
    server.set_client_tls(Some(tls));
    let cluster = format!("default={}", server.peer_url());
    server.configure(&settings, &cluster);
    server.spawn();
    server.ready().await;
    server
}

/// Whether a client with this gets through: it writes and reads.
async fn is_let_in(server: &Server, tls: &ClientTls) -> bool {
    let client = Client::with_tls(server.address(), Some(tls));
    let put = client.put(put("let-in", "1")).await;
    if put.is_err() {
        // It is about this client and not about the server.
        server.client().revision().await;
    }
    put.is_ok()
}
