//! Records requests and responses in a HAR file (HTTP Archive 1.2), which can be attached to a bug
//! report.
//!
//! The text in the file is redacted: known values are replaced with their names, and unknown values
//! with their hashes. The file is a complete JSON document after each request, because the recorder
//! writes each entry over the end of the document and then writes that end again.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::ledger::Request;
use crate::observer::{Outcome, StoredBody};
use crate::redaction::{Piece, Pieces, Redactor, Reveal, text};

/// The end of the document.
const END: &str = "\n]}}\n";

pub(crate) struct Recorder {
    file: File,
    /// The scheme of the recorded URLs.
    scheme: &'static str,
    /// The position at which the next entry starts.
    position: u64,
    is_empty: bool,
    has_failed: bool,
}

/// A request and its outcome.
pub(crate) struct Entry<'a> {
    pub(crate) redactor: Redactor<'a>,
    pub(crate) request: &'a Request,
    pub(crate) outcome: &'a Outcome,
}

impl Recorder {
    /// Creates the file, or replaces its content. On Unix, a new file is readable only by its owner.
    pub(crate) fn create(path: &Path, scheme: &'static str) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let creator = json!({"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")});
        let start = format!("{{\"log\": {{\"version\": \"1.2\", \"creator\": {creator}, \"entries\": [");
        let mut file = options.open(path)?;
        file.write_all(start.as_bytes())?;
        let position = file.stream_position()?;
        file.write_all(END.as_bytes())?;
        Ok(Self { file, scheme, position, is_empty: true, has_failed: false })
    }

    /// Appends an entry. After the first error, the recorder logs a warning and appends nothing
    /// more.
    pub(crate) fn append(&mut self, entry: &Entry<'_>) {
        let scheme = self.scheme;
        self.append_text(|| har_entry(entry, scheme).to_string());
    }

    fn append_text(&mut self, entry: impl FnOnce() -> String) {
        if self.has_failed {
            return;
        }
        let separator = if self.is_empty { "\n" } else { ",\n" };
        if let Err(error) = self.write(&format!("{separator}{}", entry())) {
            self.has_failed = true;
            // Remove the part of the entry that was written, so that the file stays valid JSON.
            let _ = self.file.set_len(self.position);
            let _ = self.write("");
            tracing::warn!(%error, "failed to write the recording; no more requests are recorded");
        }
    }

    fn write(&mut self, entry: &str) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.position))?;
        self.file.write_all(format!("{entry}{END}").as_bytes())?;
        self.position = self.file.stream_position()?.saturating_sub(END.len().try_into().unwrap_or_default());
        self.is_empty = false;
        Ok(())
    }
}

fn shown(pieces: &[Piece]) -> String {
    text(pieces, Reveal::Names)
}

fn har_entry(Entry { redactor, request, outcome }: &Entry<'_>, scheme: &str) -> Value {
    let redacted = redactor.request(request);
    let header = |(name, value): &(String, Pieces)| json!({"name": name, "value": shown(value)});
    let host = redacted.headers.iter().find(|(name, _)| name == "host").map(|(_, value)| shown(value));
    let media_type = request.header("content-type").next().unwrap_or_default();
    let post_data = (!request.body.is_empty())
        .then(|| json!({"mimeType": media_type, "params": [], "text": shown(&redacted.body)}));
    let query = redacted.query.as_deref().map(shown).unwrap_or_default();
    let query: Vec<Value> = query.split('&').filter(|pair| !pair.is_empty()).map(query_parameter).collect();
    let milliseconds = outcome.elapsed.as_secs_f64() * 1000.0;
    let mut har_request = json!({
        "method": redacted.method,
        "url": format!("{scheme}://{}{}", host.as_deref().unwrap_or("unknown"), shown(&redacted.target())),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": redacted.headers.iter().map(header).collect::<Vec<_>>(),
        "queryString": query,
        "headersSize": -1,
        "bodySize": request.body.len(),
    });
    if let (Some(post_data), Some(fields)) = (post_data, har_request.as_object_mut()) {
        fields.insert("postData".to_owned(), post_data);
    }
    json!({
        "startedDateTime": timestamp(request.at),
        "time": milliseconds,
        "request": har_request,
        "response": har_response(*redactor, request, outcome),
        "cache": {},
        "timings": {"send": 0, "wait": milliseconds, "receive": 0},
        "comment": comment(request),
    })
}

fn query_parameter(pair: &str) -> Value {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    json!({"name": name, "value": value})
}

/// Returns the response. In HAR, status 0 means that there was no response.
fn har_response(redactor: Redactor<'_>, request: &Request, outcome: &Outcome) -> Value {
    let ReplyText { headers, media_type, body, size } = reply_text(redactor, request, outcome);
    let status = request.status.unwrap_or_default();
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    json!({
        "status": status,
        "statusText": reason.unwrap_or_default(),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": headers
            .iter()
            .map(|(name, value)| json!({"name": name, "value": shown(value)}))
            .collect::<Vec<_>>(),
        "content": {"size": size, "mimeType": media_type, "text": shown(&body)},
        "redirectURL": headers.iter().find(|(name, _)| name == "location").map_or(String::new(), |(_, to)| shown(to)),
        "headersSize": -1,
        "bodySize": size,
    })
}

/// The redacted text of a response.
pub(crate) struct ReplyText {
    pub(crate) headers: Vec<(String, Pieces)>,
    media_type: String,
    pub(crate) body: Pieces,
    size: usize,
}

/// Redacts the response to a request. A response that was scheduled as a fault is redacted like a
/// request, because a test chose the text.
pub(crate) fn reply_text(redactor: Redactor<'_>, request: &Request, outcome: &Outcome) -> ReplyText {
    if let Some(reply) = &outcome.reply {
        let headers = reply.headers.iter().map(|(name, value)| (name.clone(), redactor.reply_header(name, value)));
        let (body, size) = match &reply.body {
            StoredBody::Complete(body) => (redactor.reply_body(&reply.media_type, body), body.len()),
            StoredBody::Omitted(size) => (vec![Piece::Text(format!("(a body of {size} bytes, not stored)"))], *size),
        };
        return ReplyText { headers: headers.collect(), media_type: reply.media_type.clone(), body, size };
    }
    let (headers, body) = match &request.fault {
        Some(Fault::Reply { headers, body, .. }) => (headers.clone(), body.as_str()),
        Some(Fault::Redirect { location, .. }) => (vec![("location".to_owned(), location.clone())], ""),
        _ => (Vec::new(), ""),
    };
    let headers = headers.into_iter().map(|(name, value)| {
        let name = name.to_ascii_lowercase();
        let value = redactor.header(&name, &value);
        (name, value)
    });
    let body_text = redactor.fault_body(body.as_bytes());
    ReplyText { headers: headers.collect(), media_type: String::new(), body: body_text, size: body.len() }
}

fn comment(request: &Request) -> String {
    let operation = request.operation.map_or_else(|| "no operation".to_owned(), |operation| operation.to_string());
    let fault = request.fault.as_ref().map_or_else(String::new, |fault| format!(", fault: {}", fault.kind()));
    format!("request {}, {operation}{fault}", request.number)
}

/// Formats a time on the emulator's clock according to RFC 3339. A time after the year 9999 is
/// replaced with the last moment of that year.
pub(crate) fn timestamp(at: Duration) -> String {
    const YEAR_10000: u64 = 253_402_300_800;
    match UNIX_EPOCH.checked_add(at) {
        Some(time) if at.as_secs() < YEAR_10000 => humantime::format_rfc3339_millis(time).to_string(),
        _ => "9999-12-31T23:59:59.999Z".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_an_error_nothing_more_is_written() {
        // The file is open for reading only, so each write fails.
        let file = File::open(file!().replace("crates/flinks-emulator/", "")).unwrap();
        let mut recorder = Recorder { file, scheme: "http", position: 0, is_empty: true, has_failed: false };
        assert!(recorder.write("{}").is_err());
        recorder.append_text(|| "{}".to_owned());
        assert!(recorder.has_failed);
        recorder.append_text(|| panic!("the entry must not be created"));
    }

    #[test]
    fn timestamps_end_with_the_year_9999() {
        for (at, expected) in [
            (Duration::ZERO, "1970-01-01T00:00:00.000Z"),
            (Duration::from_millis(253_402_300_799_999), "9999-12-31T23:59:59.999Z"),
            (Duration::from_secs(253_402_300_800), "9999-12-31T23:59:59.999Z"),
            (Duration::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(timestamp(at), expected);
        }
    }
}
