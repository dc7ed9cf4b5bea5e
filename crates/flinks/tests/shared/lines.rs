//! Captures the log lines of one thread, for tests that share a process.

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Mutex, Once};

thread_local! {
    /// The captured lines of this thread. The tasks of a test run on its thread.
    static CAPTURED: RefCell<Option<Lines>> = const { RefCell::new(None) };
}

/// The lines that are logged on one thread during a capture.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

/// Stops the capture when it is dropped.
pub(crate) struct Captured;

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
    /// Captures the lines of this thread until the returned value is dropped.
    pub(crate) fn capture(&self) -> Captured {
        // All threads share one subscriber. With a subscriber for each thread, `tracing` could
        // cache that nobody listens for an event.
        static SUBSCRIBER: Once = Once::new();
        SUBSCRIBER.call_once(|| {
            let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false);
            subscriber.with_writer(|| Writer).init();
        });
        CAPTURED.set(Some(self.clone()));
        Captured
    }

    /// Returns the lines that contain `text`.
    pub(crate) fn with(&self, text: &str) -> Vec<String> {
        let all = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        all.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }
}
