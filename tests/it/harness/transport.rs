//! Whether servers and their clients speak plain text or TLS.
//!
//! Plain text, unless `HOLDFAST_TEST_TLS` is set: then every server that a test starts has certificates for clients
//! and members and demands theirs, and whatever the harness says to it goes through TLS. [`also_over_tls`] runs
//! single tests a second time so in every run.

use std::cell::Cell;
use std::sync::{Arc, OnceLock};

use super::Pki;

thread_local! {
    /// Set while a test runs for the second time. What starts servers runs on the thread of its test.
    static SECOND_TIME: Cell<bool> = const { Cell::new(false) };
}

fn is_tls_everywhere() -> bool {
    std::env::var_os("HOLDFAST_TEST_TLS").is_some()
}

/// Whether this test runs over TLS.
pub fn is_tls() -> bool {
    is_tls_everywhere() || SECOND_TIME.get()
}

/// The authority of this process's servers and clients, if they speak TLS.
pub(super) fn pki() -> Option<Arc<Pki>> {
    static PKI: OnceLock<Arc<Pki>> = OnceLock::new();
    is_tls().then(|| Arc::clone(PKI.get_or_init(Pki::new)))
}

/// Runs a test once more, over TLS.
pub fn over_tls(test: fn()) {
    struct Done;
    impl Drop for Done {
        fn drop(&mut self) {
            SECOND_TIME.set(false);
        }
    }
    if is_tls_everywhere() {
        eprintln!("skipped: the test itself runs over TLS already");
        return;
    }
    SECOND_TIME.set(true);
    let _done = Done;
    test();
}

/// Tests of this module that run a second time over TLS, as `over_tls::NAME`.
macro_rules! also_over_tls {
    ($($test:ident),* $(,)?) => {
        mod over_tls {
            $(#[test]
            fn $test() {
                $crate::harness::over_tls(super::$test);
            })*
        }
    };
}
pub(crate) use also_over_tls;
