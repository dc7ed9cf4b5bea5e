//! Splits a file into human-readable paragraphs.

use std::ops::Range;
use std::path::Path;
use std::str::FromStr as _;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// A paragraph, a heading, a table cell, a comment or a message. The lines are joined with
/// spaces.
#[derive(Default)]
pub(super) struct Paragraph {
    pub(super) text: String,
    /// The start of each line in `text`, and the line's number in the file.
    lines: Vec<(usize, usize)>,
}

impl Paragraph {
    fn line(number: usize, text: &str) -> Self {
        let mut paragraph = Self::default();
        paragraph.push(number, text);
        paragraph
    }

    fn push(&mut self, number: usize, text: &str) {
        self.lines.push((self.text.len(), number));
        self.text.push_str(text);
    }

    fn push_line(&mut self, number: usize, text: &str) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.push(number, text);
    }

    /// Returns the number of the line that contains the byte at `at`.
    pub(super) fn line_of(&self, at: usize) -> usize {
        line_at(&self.lines, at)
    }
}

/// Returns the number of the line that contains the byte at `at`. Each entry of `lines` contains
/// the start of a line and the line's number.
fn line_at(lines: &[(usize, usize)], at: usize) -> usize {
    lines.iter().rev().find(|(start, _)| *start <= at).map_or(1, |(_, number)| *number)
}

/// Returns the paragraphs in a file. The extension determines how the file is read. For a file with
/// an unknown extension, the result is empty.
pub(super) fn paragraphs(path: &Path, source: &str) -> Vec<Paragraph> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("md") => markdown(numbered(source)),
        Some("rs") => rust(source),
        Some("yaml" | "yml") => yaml(source),
        Some("toml" | "sh") | None => comments(source),
        _ => Vec::new(),
    }
}

/// Returns the phrase with up to 60 characters of context on either side.
pub(super) fn around(text: &str, phrase: Range<usize>) -> String {
    const CONTEXT: usize = 60;
    let (before, after) = (text.get(..phrase.start).unwrap_or_default(), text.get(phrase.end..).unwrap_or_default());
    let skipped = before.chars().count().saturating_sub(CONTEXT);
    let before: String = before.chars().skip(skipped).collect();
    let after: String = after.chars().take(CONTEXT).collect();
    format!("{before}{}{after}", text.get(phrase).unwrap_or_default()).trim().to_owned()
}

fn numbered(source: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(source.lines())
}

/// Returns the blocks in a Markdown document, except for its code blocks.
fn markdown<'a>(lines: impl Iterator<Item = (usize, &'a str)>) -> Vec<Paragraph> {
    let mut source = String::new();
    let mut starts = Vec::new();
    for (number, line) in lines {
        starts.push((source.len(), number));
        source.push_str(line);
        source.push('\n');
    }

    let mut paragraphs = Vec::new();
    let mut current = Paragraph::default();
    let mut is_code_block = false;
    for (event, range) in Parser::new_ext(&source, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Text(text) if !is_code_block => current.push(line_at(&starts, range.start), &text),
            Event::Code(code) => current.push(line_at(&starts, range.start), &format!("`{code}`")),
            Event::SoftBreak | Event::HardBreak => current.text.push(' '),
            Event::Start(Tag::Emphasis | Tag::Strong | Tag::Link { .. } | Tag::Image { .. }) => {}
            Event::Start(tag) => {
                is_code_block = matches!(tag, Tag::CodeBlock(_));
                paragraphs.push(std::mem::take(&mut current));
            }
            Event::End(TagEnd::CodeBlock) => is_code_block = false,
            _ => {}
        }
    }
    paragraphs.push(current);
    paragraphs.retain(|paragraph| !paragraph.text.is_empty());
    paragraphs
}

/// Returns the comments and the messages in a Rust file.
fn rust(source: &str) -> Vec<Paragraph> {
    let mut paragraphs = comment_blocks(source);
    // If the file is not valid Rust, only its comments are returned.
    if let Ok(tokens) = TokenStream::from_str(source) {
        messages(tokens, &mut Position { source, offset: 0 }, &mut paragraphs);
    }
    paragraphs
}

/// Returns the blocks of lines that start with `//`, `///` or `//!`, parsed as Markdown.
fn comment_blocks(source: &str) -> Vec<Paragraph> {
    let mut paragraphs = Vec::new();
    let mut block: Vec<(usize, &str)> = Vec::new();
    let mut marker = None;
    for (number, line) in numbered(source).chain([(usize::MAX, "")]) {
        let line = line.trim_start();
        let here = ["//!", "///", "//"].into_iter().find(|marker| line.starts_with(marker));
        if here != marker {
            paragraphs.append(&mut markdown(block.drain(..)));
            marker = here;
        }
        if let Some(text) = here.and_then(|marker| line.strip_prefix(marker)) {
            block.push((number, text.strip_prefix(' ').unwrap_or(text)));
        } else if let Some((_, text)) = line.split_once("; // ").or_else(|| line.split_once(", // ")) {
            paragraphs.push(Paragraph::line(number, text));
        }
    }
    paragraphs
}

/// A position in a Rust file.
struct Position<'a> {
    source: &'a str,
    offset: usize,
}

impl Position<'_> {
    /// Moves to the end of the next occurrence of a literal and returns the number of the line on
    /// which the literal starts.
    ///
    /// `proc-macro2` spans contain line numbers only if the `span-locations` feature is enabled.
    /// That feature makes the generator's syntax trees a quarter larger, and processing them takes
    /// longer.
    fn next(&mut self, literal: &str) -> usize {
        let rest = self.source.get(self.offset..).unwrap_or_default();
        let start = self.offset.saturating_add(rest.find(literal).unwrap_or_default());
        self.offset = start.saturating_add(literal.len());
        let lines = self.source.get(..start).unwrap_or_default().matches('\n').count();
        lines.saturating_add(1)
    }
}

/// Adds to `paragraphs` each string literal in `tokens` that contains a space. Skips doc comments,
/// which also appear as string literals in `tokens`.
fn messages(tokens: TokenStream, position: &mut Position<'_>, paragraphs: &mut Vec<Paragraph>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) if !is_doc(&group) => messages(group.stream(), position, paragraphs),
            TokenTree::Literal(literal) => {
                let literal = literal.to_string();
                let Ok(text) = syn::parse_str::<syn::LitStr>(&literal) else { continue };
                let number = position.next(&literal);
                let text = text.value();
                if text.contains(' ') {
                    paragraphs.push(Paragraph::line(number, &text.split_whitespace().collect::<Vec<_>>().join(" ")));
                }
            }
            _ => {}
        }
    }
}

/// Returns whether a group is the content of a doc comment, such as `[doc = "text"]`.
fn is_doc(group: &Group) -> bool {
    let first = group.stream().into_iter().next();
    group.delimiter() == Delimiter::Bracket && matches!(first, Some(TokenTree::Ident(name)) if name == "doc")
}

/// Returns the comments that start with `#`. Consecutive lines form one comment.
fn comments(source: &str) -> Vec<Paragraph> {
    let mut paragraphs = Vec::new();
    let mut current = Paragraph::default();
    for (number, line) in numbered(source) {
        match line.trim_start().strip_prefix('#').or_else(|| line.split_once(" # ").map(|(_, text)| text)) {
            Some(text) => current.push_line(number, text.trim()),
            None => paragraphs.push(std::mem::take(&mut current)),
        }
    }
    paragraphs.push(current);
    paragraphs.retain(|paragraph| !paragraph.text.is_empty());
    paragraphs
}

/// Returns the lines of a YAML file without their keys. These lines include the descriptions in
/// overlays.
fn yaml(source: &str) -> Vec<Paragraph> {
    let line = |(number, line): (usize, &str)| {
        let text = line.split_once(": ").map_or(line, |(_, value)| value);
        Paragraph::line(number, text.trim().trim_start_matches('#').trim_start())
    };
    numbered(source).map(line).filter(|paragraph| !paragraph.text.is_empty()).collect()
}
