//! Writes every error message to `snapshots/*messages.snap`, so that all messages can be reviewed
//! together. The snapshot for `xtask/tests/messages.rs` covers the reasons in store errors.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use flinks::{Settings, outbound};

use crate::envelope::{EnvelopeError, InvalidKey, KeyError};
use crate::error::{ConsentError, Kind};
use crate::keep_alive::{StopReason, Stopped, Summary};
use crate::shutdown::ShutdownError;
use crate::store::conformance::Violation;
use crate::store::{ConsentId, OwnerId, StoreError};

/// Defines the `KINDS` list and the `name` function, which does not compile if a kind is missing
/// from the list.
macro_rules! kinds {
    ($($kind:ident)*) => {
        const KINDS: &[&str] = &[$(stringify!($kind)),*];

        fn name(error: &ConsentError) -> &'static str {
            match error.kind() {
                $(Kind::$kind { .. } => stringify!($kind),)*
            }
        }
    };
}

kinds! {
    Store InvalidId NotFound Ended Suspected Abandoned TimedOut NoRuntime Expired NoRefreshToken Call
}

fn each_kind() -> Vec<ConsentError> {
    vec![
        STORE_ERROR.into(),
        "".parse::<ConsentId>().unwrap_err().into(),
        ConsentError::not_found(),
        ConsentError::ended(),
        ConsentError::suspected(403, Duration::from_secs(60), Duration::from_secs(60)),
        ConsentError::abandoned(),
        ConsentError::timed_out(),
        ConsentError::no_runtime(),
        ConsentError::expired(),
        ConsentError::no_refresh_token(),
        call_error().into(),
    ]
}

const STORE_ERROR: StoreError = StoreError::unavailable("did not respond in time");

/// Returns the error from a call that fails before it sends a request.
fn call_error() -> flinks::Error {
    let credentials = outbound::ClientCredentials::new("id", "secret").unwrap();
    let builder = outbound::Client::builder("https://ob.flinksapp.com".parse().unwrap(), credentials);
    let client = builder.settings(&Settings::new()).build().unwrap();
    let started = client.authorization("1000", &"https://app.example/back".parse().unwrap()).unwrap().start();
    client.verify(started.pending, "").err().unwrap()
}

fn summaries() -> Vec<(&'static str, Summary)> {
    let summary = |change: fn(&mut Summary)| {
        let mut summary = Summary { refreshed: 7, ..Summary::default() };
        change(&mut summary);
        summary
    };
    vec![
        ("all refreshed", summary(|_| {})),
        ("some failed", summary(|summary| summary.failed = 2)),
        ("some suspected", summary(|summary| summary.suspected = 2)),
        ("some unreadable", summary(|summary| summary.unreadable = 2)),
        ("some leased elsewhere", summary(|summary| summary.shards_leased_elsewhere = 2)),
        ("pending write", summary(|summary| summary.unstored = Some(STORE_ERROR.into()))),
        (
            "stopped after failures",
            summary(|summary| {
                summary.stopped = Some(Stopped { reason: StopReason::Failed(ConsentError::timed_out()) });
            }),
        ),
        (
            "stopped by a gateway",
            summary(|summary| {
                summary.stopped = Some(Stopped { reason: StopReason::Suspected(ConsentError::timed_out()) });
            }),
        ),
    ]
}

fn write_section<M: Display>(table: &mut String, title: &str, rows: impl IntoIterator<Item = (&'static str, M)>) {
    let _ = writeln!(table, "\n{title}");
    for (name, message) in rows {
        let _ = writeln!(table, "  {name}: {message}");
    }
}

#[test]
fn messages() {
    let kinds = each_kind();
    for kind in KINDS {
        assert!(kinds.iter().any(|error| name(error) == *kind), "no row for kind `{kind}`");
    }
    let mut table = String::new();
    write_section(&mut table, "kinds", kinds.iter().map(|error| (name(error), error)));
    let shutdown = [
        ("tasks are running", ShutdownError::new(2, Vec::new(), None)),
        ("the store failed", ShutdownError::new(0, vec!["user-7".parse().unwrap()], Some(STORE_ERROR.into()))),
    ];
    write_section(&mut table, "shutdown", shutdown);
    let stores = [
        ("Unavailable", StoreError::unavailable("did not respond in time")),
        ("Busy", StoreError::busy("has a record that other processes keep changing")),
        ("Misconfigured", StoreError::misconfigured("denied a command")),
        ("Damaged", StoreError::damaged("contains a value that is not a record")),
        ("with a path", STORE_ERROR.at("/var/lib/consents".as_ref(), Some(&std::io::ErrorKind::StorageFull.into()))),
    ];
    write_section(&mut table, "stores", stores);
    let ids = [
        ("blank", " ".parse::<ConsentId>().unwrap_err()),
        ("control character", "a\nb".parse::<ConsentId>().unwrap_err()),
        ("too long", "a".repeat(513).parse::<OwnerId>().unwrap_err()),
    ];
    write_section(&mut table, "ids", ids);
    let envelope = [
        ("Damaged", EnvelopeError::Damaged),
        ("NewerVersion", EnvelopeError::NewerVersion),
        ("UnknownKey", EnvelopeError::UnknownKey { id: 7 }),
        ("NoKeyProvider", EnvelopeError::NoKeyProvider),
        ("DataKey, unavailable", EnvelopeError::DataKey(KeyError::Unavailable)),
        ("DataKey, refused", EnvelopeError::DataKey(KeyError::Refused)),
        ("DataKey, damaged", EnvelopeError::DataKey(KeyError::Damaged)),
        ("NoRandomness", EnvelopeError::NoRandomness),
        ("NotEncrypted", EnvelopeError::NotEncrypted),
        ("Record", EnvelopeError::Record(STORE_ERROR)),
    ];
    write_section(&mut table, "envelope", envelope);
    write_section(
        &mut table,
        "keys",
        [("Encoding", InvalidKey::Encoding), ("DuplicateId", InvalidKey::DuplicateId(7))],
    );
    write_section(&mut table, "conformance", [("a store that fails", Violation::from(STORE_ERROR))]);
    write_section(&mut table, "keep-alive", summaries());
    insta::assert_snapshot!("messages", table);
}
