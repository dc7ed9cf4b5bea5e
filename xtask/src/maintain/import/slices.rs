//! Slices: the OpenAPI documents in the fenced blocks of a page, or in a separate file.

use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use crate::generate::lint::check_shape;
use crate::spec::document::Document;
use crate::spec::{read, schema};
use crate::{Error, Result};

/// The part of a document that one page or file has.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) file: PathBuf,
    /// The line of the file in which it begins.
    pub(super) line: usize,
    /// The name of the document on the page, if it has one.
    pub(super) document_name: Option<String>,
    pub(super) document: Document,
}

pub(super) fn read_slices(file: &Path) -> Result<Vec<Slice>> {
    let bytes = std::fs::read(file).map_err(|error| Error::new(format!("cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|error| Error::new(format!("is not UTF-8: {error}")))?;
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let is_document = file
        .extension()
        .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known)));
    let blocks = match is_document {
        true => vec![(1, String::new(), text)],
        false => fenced(&text)?,
    };
    let mut slices = Vec::new();
    for (line, info, text) in blocks {
        // An example in prose may have a word of it, in another language or alone.
        let language = info.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        let may_be =
            is_document || ["", "yaml", "yml", "json"].contains(&language.as_str()) || language.starts_with('/');
        let starts = |line: &str| {
            let line = line.trim_start_matches([' ', '{', '"', '\'']);
            line.starts_with("openapi") || line.starts_with("swagger")
        };
        if !may_be || !is_document && !text.lines().any(starts) {
            continue;
        }
        let in_block = |error: Error| match is_document {
            true => error,
            false => error.help(format!("it is in the fenced block that begins in line {line} of the page")),
        };
        let text = format!("{}\n", text.trim_end_matches('\n'));
        let value = read::yaml(text.as_bytes()).map_err(in_block)?;
        let has = |key: &str| value.get(key).is_some();
        if !is_document && !(has("paths") && (has("openapi") || has("swagger"))) {
            continue;
        }
        check_shape(&value).map_err(in_block)?;
        if schema::operations(&value).is_empty() {
            return Err(in_block(Error::new("describes no operation").at("/paths")));
        }
        if value.pointer("/info/version").is_some_and(|version| !version.is_string()) {
            return Err(in_block(
                Error::new("the version is a number, and must be a text: put it in quotes").at("/info/version"),
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

/// The fenced blocks of a page: the line in which each begins, its info string and its text.
fn fenced(page: &str) -> Result<Vec<(usize, String, String)>> {
    let mut blocks = Vec::new();
    let mut is_open = false;
    for (event, range) in Parser::new(page).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                let line = page.get(..range.start).unwrap_or_default().lines().count().saturating_add(1);
                // Markdown takes the end of a page for the end of its block.
                let block = page.get(range).unwrap_or_default().trim_end();
                let last = block.lines().skip(1).last().unwrap_or_default().trim_start_matches(['>', ' ']);
                if !last.starts_with("```") && !last.starts_with("~~~") {
                    return Err(Error::new(format!("the fenced block that begins in line {line} has no end"))
                        .help("the page may have been cut off: retrieve it again"));
                }
                blocks.push((line, info.into_string(), String::new()));
                is_open = true;
            }
            Event::End(TagEnd::CodeBlock) => is_open = false,
            Event::Text(part) if is_open => blocks.last_mut().into_iter().for_each(|(_, _, text)| text.push_str(&part)),
            _ => {}
        }
    }
    Ok(blocks)
}
