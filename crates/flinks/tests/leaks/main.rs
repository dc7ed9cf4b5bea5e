//! Puts a canary into every secret and checks that neither the log nor any printed text contains a
//! canary, whether a call succeeds or fails (A3, T4).
//!
//! This test is a separate binary, because it captures the log of the whole process.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // test helpers are tests too

#[path = "../shared/canaries.rs"]
mod canaries;
mod facade;
mod generated;
#[path = "../shared/log.rs"]
mod log;
#[path = "../../../flinks-core/tests/support/raw_server.rs"]
#[allow(dead_code)] // shared with the other tests
mod raw_server;

use std::collections::BTreeSet;
use std::time::Duration;

use {flinks_connect as connect, flinks_outbound as outbound, flinks_pay as pay};

use crate::canaries::Canaries;
use crate::log::Log;

#[tokio::test]
async fn a3_t04_no_secret_is_in_any_text() {
    let log = Log::capture();
    let mut canaries = Canaries::default();
    let all = async {
        generated::pay(&mut canaries).await;
        generated::pay_session(&mut canaries).await;
        generated::connect_generate(&mut canaries).await;
        generated::connect_authorize(&mut canaries).await;
        generated::outbound(&mut canaries).await;
        generated::outbound_revoke(&mut canaries).await;
        // Each operation succeeds with status 200 and with status 203. The `token` operation does
        // so for each kind of credentials. A 200 response that repeats the request is an error,
        // because the response body contains an error code.
        assert_eq!(canaries.successes, 12);
        facade::facade(&mut canaries).await;
    };
    // Only a client without a timeout would take longer than this.
    tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();

    let log = log.text();
    assert!(log.contains("127.0.0.1:"), "the log of the HTTP client was not captured");
    assert!(log.contains("operation=\"generateAuthorizeToken\""), "the log of the facade was not captured");
    assert!(log.contains("failed attempt=1"), "the log of the facade was not captured");
    canaries.assert_not_in(&log);

    // Each marked secret has a canary, and each canary belongs to a marked secret.
    let marks = [("pay", pay::SECRETS), ("connect", connect::SECRETS), ("outbound", outbound::SECRETS)];
    let marks = marks.iter().flat_map(|(product, marks)| marks.iter().map(move |mark| format!("{product} {mark}")));
    let planted = canaries.planted.into_keys().filter(|mark| !mark.ends_with("encoded"));
    assert_eq!(planted.collect::<BTreeSet<_>>(), marks.collect::<BTreeSet<_>>());
}
