//! The part of the PostgreSQL protocol that a proxy between a store and its server needs.
//!
//! A message consists of its kind (one byte), its length (four bytes, which count themselves) and
//! its content. The first message on a connection has no kind.

use std::io::{BufReader, Read};
use std::net::TcpStream;

use flinks_store_tests::Request;

/// Reads messages until the client expects a response.
pub(crate) fn read_request(client: &mut BufReader<&TcpStream>, number: usize) -> Option<Request> {
    let mut bytes = Vec::new();
    if number == 0 {
        read_content(client, &mut bytes)?;
        return Some(Request { bytes, is_about_a_record: false });
    }
    let mut is_about_a_record = false;
    loop {
        let start = bytes.len();
        let kind = read_message(client, &mut bytes)?;
        // `Parse` and `Query` contain the text of a statement.
        if matches!(kind, b'P' | b'Q') {
            let text = String::from_utf8_lossy(&bytes[start..]);
            is_about_a_record |= text.contains(CONSENTS) && (text.contains("WHERE name =") || text.contains("INSERT"));
        }
        // `Sync`, `Query`, a password and `Terminate` end a request.
        if matches!(kind, b'S' | b'Q' | b'p' | b'X') {
            return Some(Request { bytes, is_about_a_record });
        }
    }
}

/// The table of consents, as the statements write it. The statements that list consents are not
/// about a record.
const CONSENTS: &str = "\"flinks\".consents";

/// Reads messages until the server is waiting for the client. Returns the messages so far if the
/// server closes the connection after an error.
pub(crate) fn read_response(server: &mut BufReader<&TcpStream>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let start = bytes.len();
        let Some(kind) = read_message(server, &mut bytes) else {
            return (start > 0).then_some(bytes);
        };
        let is_complete = match kind {
            // `ReadyForQuery`
            b'Z' => true,
            // All kinds of `Authentication` expect a response, except `Ok` and `SASLFinal`.
            b'R' => !matches!(bytes[start + 5..], [0, 0, 0, 0 | 12, ..]),
            _ => false,
        };
        if is_complete {
            return Some(bytes);
        }
    }
}

/// Encodes an error with a SQLSTATE code, followed by `ReadyForQuery`.
pub(crate) fn error_response(code: &str) -> Vec<u8> {
    let fields = format!("SERROR\0VERROR\0C{code}\0Minjected\0\0");
    let length = u32::try_from(fields.len() + 4).unwrap();
    [b"E", &length.to_be_bytes()[..], fields.as_bytes(), b"Z\0\0\0\x05I"].concat()
}

/// Reads a message, appends it and returns its kind. Returns `None` if the connection was closed.
fn read_message(reader: &mut impl Read, bytes: &mut Vec<u8>) -> Option<u8> {
    let mut kind = [0];
    reader.read_exact(&mut kind).ok()?;
    let start = bytes.len();
    bytes.extend(kind);
    if read_content(reader, bytes).is_none() {
        bytes.truncate(start);
        return None;
    }
    Some(kind[0])
}

/// Reads the length and the content of a message and appends both.
fn read_content(reader: &mut impl Read, bytes: &mut Vec<u8>) -> Option<()> {
    let mut length = [0; 4];
    reader.read_exact(&mut length).ok()?;
    bytes.extend(length);
    let start = bytes.len();
    let count = usize::try_from(u32::from_be_bytes(length)).ok()?.checked_sub(4)?;
    bytes.resize(start + count, 0);
    reader.read_exact(&mut bytes[start..]).ok()
}
