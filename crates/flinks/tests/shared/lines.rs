//! Captures the log lines that one thread writes, for tests that share a process.

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Mutex, Once};

thread_local! {
    /// The lines captured on this thread. Each test runs its tasks on its own thread.
    static CAPTURED: RefCell<Option<Lines>> = const { RefCell::new(None) };
}

/// The lines logged on one thread during a capture.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

/// A guard that stops the capture when dropped.
pub(crate) struct Captured;

impl Drop for Captured {
    fn drop(&mut self) {
        CAPTURED.set(None);
    }
}

/// A writer that appends to the current thread's lines if a capture is active.
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
    /// Captures the lines logged on this thread until the returned guard is dropped.
    pub(crate) fn capture(&self) -> Captured {
        // All threads share one subscriber. With one subscriber per thread, `tracing` could cache
        // that no subscriber is interested in an event.
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
