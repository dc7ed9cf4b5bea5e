//! The log lines of a call and of a consent, as an operator reads them (A3).

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Mutex, Once};

use flinks::outbound::ConsentsBuilder;
use flinks_emulator::{Fault, Operation};

use crate::Local;
use crate::consents::{SECOND, TOKEN, builder, id, start};
use crate::outbound::refresh_token;

thread_local! {
    /// Where this thread logs to, which is where the tasks of a test run.
    static CAPTURED: RefCell<Option<Lines>> = const { RefCell::new(None) };
}

/// The lines that are logged on a thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

/// Ends the capture.
struct Captured;

impl Drop for Captured {
    fn drop(&mut self) {
        CAPTURED.set(None);
    }
}

/// Writes to the lines of the current thread, if it captures them.
struct Writer;

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        CAPTURED.with_borrow(|lines| {
            if let Some(lines) = lines {
                lines.0.lock().unwrap().extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn capture(&self) -> Captured {
        // One subscriber for the process: with one for each thread, a place in the code that another thread reaches first could be
        // taken for one that nobody listens to.
        static SUBSCRIBER: Once = Once::new();
        SUBSCRIBER.call_once(|| {
            let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false);
            subscriber.with_writer(|| Writer).init();
        });
        CAPTURED.set(Some(self.clone()));
        Captured
    }

    /// The lines that contain `text`.
    fn with(&self, text: &str) -> Vec<String> {
        let all = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        all.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn a_warning_about_another_try_says_why() {
    let local = start().await;
    let lines = Lines::default();
    let _guard = lines.capture();
    local.emulator.fail_next(Operation::PayAuthorize, Fault::status(503));
    let _ = local.pay.authorize().await.unwrap();
    let again = lines.with("trying again");
    assert_eq!(again.len(), 1);
    assert!(again[0].contains("503"), "{again:?}");
}

#[tokio::test]
async fn the_duration_of_a_call_is_measured_in_microseconds() {
    let local = start().await;
    let lines = Lines::default();
    let _guard = lines.capture();
    let _ = local.pay.authorize().await.unwrap();
    let done = lines.with("took_microseconds=");
    let micros = done[0].split("took_microseconds=").nth(1).unwrap().split(' ').next().unwrap();
    // On loopback it takes less than the tick of a coarse clock, and more than nothing.
    assert!(micros.parse::<u64>().unwrap() > 0, "{done:?}");
}

async fn failing(local: &Local, consents: ConsentsBuilder) -> (Lines, String) {
    let lines = Lines::default();
    let consents = consents.build();
    let consent = consents.insert(&id("user-canary"), refresh_token(), local.now()).await.unwrap();
    let name = consent.log_name();
    {
        let _guard = lines.capture();
        local.emulator.clear_faults();
        local.emulator.fail_always(TOKEN, Fault::status(500));
        assert!(consent.access_token().await.is_err());
        // The task of the exchange logs the event.
        consents.shutdown(SECOND * 500).await.unwrap();
    }
    (lines, name)
}

#[tokio::test]
async fn a3_an_event_names_its_consent_by_a_hash_unless_the_caller_wants_the_id() {
    let local = start().await;
    let (lines, name) = failing(&local, builder(&local)).await;
    let events = lines.with("could not refresh");
    assert_eq!(events.len(), 1);
    assert!(events[0].contains(&format!("consent=\"{name}\"")), "{events:?}");
    assert_eq!(name.len(), 8);
    assert!(lines.with("canary").is_empty());

    let (lines, name) = failing(&local, builder(&local).log_ids()).await;
    assert_eq!(name, "user-canary");
    assert!(lines.with("could not refresh")[0].contains("consent=\"user-canary\""));
}

#[tokio::test]
async fn a3_the_hash_of_a_consent_is_another_one_in_each_process() {
    let local = start().await;
    let one = builder(&local).build();
    let other = builder(&local).build();
    let name = one.consent(&id("user-7")).log_name();
    assert_eq!(one.consent(&id("user-7")).log_name(), name);
    assert_ne!(one.consent(&id("user-8")).log_name(), name);
    assert_ne!(other.consent(&id("user-7")).log_name(), name);
}
