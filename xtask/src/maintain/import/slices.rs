//! Reads slices. A slice is an OpenAPI document in a fenced block on a page, or in a YAML or JSON
//! file.

use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use crate::generate::lint::check_shape;
use crate::spec::document::Document;
use crate::spec::{read, schema};
use crate::{Error, Result};

/// The part of a document that one page or file contains.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) file: PathBuf,
    /// The line in the file where the slice starts.
    pub(super) line: usize,
    /// The document name that the page states, if any.
    pub(super) document_name: Option<String>,
    pub(super) document: Document,
}

pub(super) fn read_slices(file: &Path) -> Result<Vec<Slice>> {
    let bytes = std::fs::read(file).map_err(|error| Error::new(format!("failed to read the file: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|error| Error::new(format!("invalid UTF-8: {error}")))?;
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let is_document = file
        .extension()
        .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known)));
    let blocks = if is_document { vec![Block { line: 1, info: String::new(), text }] } else { fenced_blocks(&text)? };
    let mut slices = Vec::new();
    for Block { line, info, text } in blocks {
        // Other blocks on a page, such as a shell command, can also mention `openapi`. Only blocks
        // that are in YAML or JSON, have no language, or have a document name are considered.
        let language = info.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        let is_candidate =
            is_document || ["", "yaml", "yml", "json"].contains(&language.as_str()) || language.starts_with('/');
        let has_version_key = |line: &str| {
            let line = line.trim_start_matches([' ', '{', '"', '\'']);
            line.starts_with("openapi") || line.starts_with("swagger")
        };
        if !is_candidate || !is_document && !text.lines().any(has_version_key) {
            continue;
        }
        let in_block = |error: Error| {
            if is_document {
                error
            } else {
                error.help(format!("see the fenced block that starts on line {line} of the page"))
            }
        };
        let text = format!("{}\n", text.trim_end_matches('\n'));
        let value = read::yaml(text.as_bytes()).map_err(in_block)?;
        let has = |key: &str| value.get(key).is_some();
        if !is_document && !(has("paths") && (has("openapi") || has("swagger"))) {
            continue;
        }
        check_shape(&value).map_err(in_block)?;
        if schema::operations(&value).is_empty() {
            return Err(in_block(Error::new("the document has no operations").at("/paths")));
        }
        if value.pointer("/info/version").is_some_and(|version| !version.is_string()) {
            return Err(in_block(
                Error::new("the version of the document is not a string: put the version in quotes")
                    .at("/info/version"),
            ));
        }
        let document_name = info.split_whitespace().find(|word| word.starts_with('/') && word.contains('.'));
        slices.push(Slice {
            file: file.to_owned(),
            line,
            document_name: document_name.map(str::to_owned),
            document: Document { text, value },
        });
    }
    Ok(slices)
}

/// A fenced block on a page, or a whole file.
struct Block {
    /// The line where the block starts.
    line: usize,
    /// The info string of the fence.
    info: String,
    text: String,
}

/// Returns the fenced blocks on a page.
fn fenced_blocks(page: &str) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut is_open = false;
    for (event, range) in Parser::new(page).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                let line = page.get(..range.start).unwrap_or_default().lines().count().saturating_add(1);
                // In Markdown, the end of the page closes an open block, so a truncated page would
                // parse without an error.
                let block = page.get(range).unwrap_or_default().trim_end();
                let last = block.lines().skip(1).last().unwrap_or_default().trim_start_matches(['>', ' ']);
                if !last.starts_with("```") && !last.starts_with("~~~") {
                    return Err(Error::new(format!("the fenced block that starts on line {line} is not closed"))
                        .help("the page was probably cut off: retrieve it again"));
                }
                blocks.push(Block { line, info: info.into_string(), text: String::new() });
                is_open = true;
            }
            Event::End(TagEnd::CodeBlock) => is_open = false,
            Event::Text(part) if is_open => {
                if let Some(block) = blocks.last_mut() {
                    block.text.push_str(&part);
                }
            }
            _ => {}
        }
    }
    Ok(blocks)
}
