//! Canaries for every secret, and server responses for the calls that send these canaries.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use crate::raw_server::{RawResponse, http_response};

/// The canaries for the secrets marked in the overlays, and all the text that was printed.
#[derive(Default)]
pub(crate) struct Canaries {
    pub(crate) planted: BTreeMap<String, String>,
    pub(crate) printed: Vec<String>,
    pub(crate) successes: usize,
}

impl Canaries {
    /// Returns the canary for a marked secret, such as `pay AuthorizeRequest.Password`.
    pub(crate) fn plant(&mut self, mark: &str) -> String {
        let canary = || format!("canary-{}", uuid::Uuid::new_v4());
        self.planted.entry(mark.to_owned()).or_insert_with(canary).clone()
    }

    /// Records the `Debug` output of a value.
    pub(crate) fn print(&mut self, value: &dyn Debug) {
        self.printed.push(format!("{value:?}\n{value:#?}"));
    }

    /// Records the `Debug` output of a successful outcome, or the `Display` and `Debug` output of
    /// an error and its sources.
    pub(crate) fn print_outcome<T: Debug, E: Error>(&mut self, outcome: Result<T, E>) {
        match outcome {
            Ok(value) => {
                self.successes += 1;
                self.print(&value);
            }
            Err(error) => {
                self.printed.push(format!("{error}\n{error:#}\n{error:?}\n{error:#?}"));
                let mut source = error.source();
                while let Some(error) = source {
                    self.printed.push(format!("{error}\n{error:?}"));
                    source = error.source();
                }
            }
        }
    }

    /// Asserts that neither the log nor the printed text contains a canary.
    pub(crate) fn assert_not_in(&self, log: &str) {
        assert_eq!(self.found(log), Vec::<&str>::new());
        assert!(self.printed.len() > 50);
        for text in &self.printed {
            assert_eq!(self.found(text), Vec::<&str>::new(), "{text}");
        }
    }

    /// Returns the marked secrets whose canaries appear in `text`.
    pub(crate) fn found<'a>(&'a self, text: &str) -> Vec<&'a str> {
        let found = self.planted.iter().filter(|(_, canary)| text.contains(canary.as_str()));
        found.map(|(mark, _)| mark.as_str()).collect()
    }
}

/// Returns the responses that a test server sends: `success`, malformed variants of `success`, and
/// echoes of the request.
pub(crate) fn responses(success: &str) -> Vec<RawResponse> {
    let json = "content-type: application/json\r\n";
    let mut cut = http_response("200 OK", json, success);
    cut.truncate(cut.len() - 2);
    vec![
        RawResponse::Bytes(http_response("200 OK", json, success)),
        RawResponse::Bytes(http_response("203 N", json, success)),
        RawResponse::Bytes(http_response("200 OK", json, &success.replacen(':', ":7,", 1))),
        RawResponse::Bytes(http_response("200 OK", json, &format!("{success}{success}"))),
        RawResponse::Bytes(cut.clone()),
        RawResponse::ThenSilence(cut),
        RawResponse::Bytes(Vec::new()),
        RawResponse::Bytes(success.as_bytes().to_vec()),
        RawResponse::Echo("200 OK"),
        RawResponse::Echo("302 Found"),
        RawResponse::Echo("400 Bad Request"),
        RawResponse::Echo("401 Unauthorized"),
        RawResponse::Echo("418 T"),
        RawResponse::Echo("502 Bad Gateway"),
    ]
}

/// The timeout for a call to a server that never completes its response.
pub(crate) const SHORT: Duration = Duration::from_millis(200);
