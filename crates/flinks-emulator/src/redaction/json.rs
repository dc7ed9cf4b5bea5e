//! Redacts a JSON text in place, so that its layout, the order of its fields and duplicate fields
//! stay as the client sent them.

use super::{Author, Piece, Pieces, Redactor, names};

/// Redacts a JSON text, or returns `None` if the text is not valid JSON.
pub(super) fn redact(redactor: Redactor<'_>, text: &str, author: Author) -> Option<Pieces> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    let mut scanner = Scanner { redactor, author, pieces: Vec::new(), field: String::new() };
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_length(rest)?,
            '{' | '}' | '[' | ']' | ':' | ',' => 1,
            character if character.is_ascii_whitespace() => 1,
            _ => rest.find(['{', '}', '[', ']', ':', ',', ' ', '\t', '\r', '\n']).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at_checked(length)?;
        match first {
            '"' if after.trim_start().starts_with(':') => scanner.name(token)?,
            '"' => scanner.string(token)?,
            '-' | '0'..='9' => scanner.number(token),
            _ => scanner.plain(token),
        }
        rest = after;
    }
    Some(scanner.pieces)
}

/// Returns the length, in bytes, of the string literal at the start of a valid JSON text.
fn string_length(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return index.checked_add(1),
            _ => {}
        }
    }
    None
}

struct Scanner<'a> {
    redactor: Redactor<'a>,
    author: Author,
    pieces: Pieces,
    /// The name of the field that the next value belongs to. For a value in an array, this is the
    /// field that contains the array.
    field: String,
}

impl Scanner<'_> {
    fn plain(&mut self, token: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Text(text)) => text.push_str(token),
            _ => self.pieces.push(Piece::Text(token.to_owned())),
        }
    }

    fn name(&mut self, literal: &str) -> Option<()> {
        self.field = serde_json::from_str(literal).ok()?;
        if self.author == Author::Emulator || names::is_field(&self.field) {
            self.plain(literal);
        } else {
            let piece = self.redactor.value(&self.field, &self.field);
            self.quoted(vec![piece]);
        }
        Some(())
    }

    fn string(&mut self, literal: &str) -> Option<()> {
        let decoded: String = serde_json::from_str(literal).ok()?;
        let raw = literal.strip_prefix('"')?.strip_suffix('"')?;
        let pieces = self.redactor.field(&self.field, &decoded, raw, self.author);
        self.quoted(pieces);
        Some(())
    }

    fn quoted(&mut self, pieces: Pieces) {
        self.plain("\"");
        for piece in pieces {
            match piece {
                Piece::Text(text) => self.plain(&text),
                piece => self.pieces.push(piece),
            }
        }
        self.plain("\"");
    }

    fn number(&mut self, token: &str) {
        let is_plain = match self.author {
            Author::Client => names::PLAIN_FIELDS.contains(&self.field.as_str()) && names::is_phrase(token),
            Author::Emulator => true,
        };
        if is_plain {
            self.plain(token);
        } else {
            // The quotation marks keep the body valid JSON.
            let piece = self.redactor.value(token, token);
            self.quoted(vec![piece]);
        }
    }
}
