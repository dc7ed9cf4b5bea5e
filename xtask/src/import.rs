//! `cargo xtask import`: from what Flinks publishes to `openapi/*.yaml`.
//!
//! Flinks publishes its documents in slices: a reference page has the part of a document that describes its operation, in a
//! fenced block. Slices that describe all operations of our document replace it, a single one byte for byte. Any other is
//! merged: its operations replace ours of the same method and path, or come last; what the operations share (`info`,
//! `servers`, components, …) is taken over too, and told. What a merge does not touch keeps its bytes, and nothing is taken out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::pipeline::Product;
use crate::read::{self, SOURCES, hex};
use crate::schema::{self, METHODS, escape};
use crate::splice::splice;
use crate::{Error, Result, lint, output, sources};

/// What to import, and how.
#[derive(Debug)]
pub struct Options {
    /// Pages in Markdown, or documents in YAML or JSON.
    pub files: Vec<PathBuf>,
    /// The product of all of them, where it cannot be told from what they say.
    pub product: Option<Product>,
    /// The day on which they were retrieved, such as `2026-11-21`.
    pub retrieved: String,
}

/// What came of an import.
#[derive(Debug, Default)]
pub struct Report {
    /// What was done, a line each.
    pub lines: Vec<String>,
    /// The products whose document is another one now.
    pub changed: Vec<Product>,
}

/// Reads slices, merges them into the documents below `root`, and puts their hashes into `sources.toml`. All of it, or
/// nothing.
///
/// # Errors
///
/// One located error: for a file that cannot be read, a slice that is no OpenAPI 3.0, one whose product cannot be told,
/// and two that disagree.
pub fn import(root: &Path, options: &Options) -> Result<Report> {
    let mut report = Report::default();
    let mut slices: Vec<(Product, Slice)> = Vec::new();
    for file in &options.files {
        let found = read_slices(file).map_err(|error| error.in_file(file))?;
        if found.is_empty() {
            report.lines.push(format!("{}: no OpenAPI in it, so nothing to import", file.display()));
        }
        for slice in found {
            let product = product_of(root, &slice, options.product).map_err(|error| error.in_file(file))?;
            slices.push((product, slice));
        }
    }
    check_agreement(&slices)?;
    let mut sources = sources::Sources::read(root)?;
    let mut texts = Vec::new();
    for product in Product::ALL {
        let own: Vec<&Slice> = slices.iter().filter(|(other, _)| *other == product).map(|(_, slice)| slice).collect();
        if own.is_empty() {
            continue;
        }
        let old = read_document(root, product)?;
        let new = fold(old.clone(), &own, product, &mut report)?;
        if old.as_ref().is_none_or(|old| old.text != new.text) {
            report.changed.push(product);
        }
        for page in sources.accept(product, &new, &own, &options.retrieved)? {
            report.lines.push(format!("{SOURCES}: put the address of the page there for `{page}`"));
        }
        texts.push((product.document(), new.text));
    }
    if !texts.is_empty() {
        texts.push((PathBuf::from(SOURCES), sources.text()));
    }
    let folder = root.join("openapi");
    std::fs::create_dir_all(&folder)
        .map_err(|error| Error::new(format!("cannot be made: {error}")).in_file(&folder))?;
    for (path, text) in texts {
        output::write(&root.join(&path), &text).map_err(|error| error.in_file(&path))?;
    }
    Ok(report)
}

/// A document, or a part of one, as text and as what it means.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) text: String,
    pub(crate) value: Value,
}

impl Document {
    /// Its operations, such as `POST /api/v1/token`.
    pub(crate) fn operations(&self) -> BTreeSet<String> {
        schema::operations(&self.value).iter().map(schema::Place::title).collect()
    }

    pub(crate) fn sha256(&self) -> String {
        hex(&Sha256::digest(self.text.as_bytes()))
    }
}

/// What one page, or one file, says of a document.
#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) file: PathBuf,
    /// The line of the file in which it begins.
    line: usize,
    /// What a page calls the document, if it does.
    document_name: Option<String>,
    pub(crate) document: Document,
}

fn read_slices(file: &Path) -> Result<Vec<Slice>> {
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
        lint::check_shape(&value).map_err(in_block)?;
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
                        .help("the page may have been cut off: retrieve it anew"));
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

/// Which document a slice is a part of: by what the page calls it, or else by its title and servers, or else by its
/// operations, if we have them. What the caller says holds where none of this tells.
fn product_of(root: &Path, slice: &Slice, said: Option<Product>) -> Result<Product> {
    let value = &slice.document.value;
    let names = |text: &str, product: Product| {
        text.to_ascii_lowercase().split(|c: char| !c.is_alphanumeric()).any(|word| word == product.name())
    };
    let found: Vec<Product> = match &slice.document_name {
        Some(name) => Product::ALL.into_iter().filter(|product| names(name, *product)).collect(),
        None => {
            let title = value.pointer("/info/title").and_then(Value::as_str).unwrap_or_default();
            let servers = value.get("servers").and_then(Value::as_array);
            let servers: Vec<&str> =
                servers.into_iter().flatten().filter_map(|server| server.get("url")?.as_str()).collect();
            let says = |product: &Product| {
                names(title, *product) || product.server().is_some_and(|server| servers.contains(&server))
            };
            let found: Vec<Product> = Product::ALL.into_iter().filter(says).collect();
            if found.is_empty() { by_operations(root, slice)? } else { found }
        }
    };
    let list = |products: &[Product]| products.iter().map(|product| product.name()).collect::<Vec<_>>().join(", ");
    match (found.as_slice(), said) {
        ([product], None) => Ok(*product),
        ([product], Some(said)) if *product != said => {
            Err(Error::new(format!("is of {}, and not of {}", product.name(), said.name()))
                .help("leave --product away: it is for what does not tell"))
        }
        (_, Some(said)) => Ok(said),
        ([], None) => Err(Error::new(match &slice.document_name {
            Some(name) => format!("is a part of `{name}`, which is none of our documents"),
            None => "does not tell which product it is of: neither its title, servers nor operations are known".into(),
        })
        .help("name the product with --product, if it is one of ours")),
        (several, None) => {
            Err(Error::new(format!("could be of several products: {}", list(several))).help("name one with --product"))
        }
    }
}

fn by_operations(root: &Path, slice: &Slice) -> Result<Vec<Product>> {
    let mut found = Vec::new();
    for product in Product::ALL {
        let known = read_document(root, product)?.map(|document| document.operations()).unwrap_or_default();
        if slice.document.operations().iter().any(|operation| known.contains(operation)) {
            found.push(product);
        }
    }
    Ok(found)
}

/// Slices of one product that come together must not disagree: neither is older than the other.
fn check_agreement(slices: &[(Product, Slice)]) -> Result<()> {
    for (index, (product, slice)) in slices.iter().enumerate() {
        for (_, earlier) in slices.iter().take(index).filter(|(other, _)| other == product) {
            let both = [&earlier.document.value, &slice.document.value];
            let place = parts(both[1]).into_iter().find(|path| {
                let pointer = pointer(path);
                let [one, other] = both.map(|value| value.pointer(&pointer));
                one.is_some() && other.is_some() && one != other && path.as_slice() != ["tags"]
            });
            if let Some(path) = place {
                return Err(Error::new(format!(
                    "disagrees, in line {}, with {} in line {} on {}",
                    slice.line,
                    earlier.file.display(),
                    earlier.line,
                    title(&path)
                ))
                .in_file(&slice.file)
                .at(pointer(&path))
                .help("retrieve what is older anew; of two files that are imported one by one, the later one wins"));
            }
        }
    }
    Ok(())
}

fn read_document(root: &Path, product: Product) -> Result<Option<Document>> {
    let source = read::any_document(root, product)?;
    Ok(source.map(|read::Source { text, value, .. }| Document { text, value }))
}

fn fold(old: Option<Document>, slices: &[&Slice], product: Product, report: &mut Report) -> Result<Document> {
    let arrived: BTreeSet<String> = slices.iter().flat_map(|slice| slice.document.operations()).collect();
    // As they come, whatever the order in which they were named.
    let known: Vec<String> =
        old.iter().flat_map(|old| schema::operations(&old.value)).map(|place| place.title()).collect();
    let mut slices = slices.to_vec();
    slices.sort_by_key(|slice| {
        let operations = slice.document.operations();
        let first = known.iter().position(|title| operations.contains(title)).unwrap_or(usize::MAX);
        (first, operations.first().cloned())
    });
    // Where all that we have arrives anew, what does not is gone from what is published.
    let is_whole = old.as_ref().is_some_and(|old| old.operations().is_subset(&arrived));
    let mut document = if is_whole { None } else { old.clone() };
    for slice in slices {
        let new = &slice.document;
        let mut say = |what: &str| {
            report.lines.push(format!("{}: {what} ({})", product.document().display(), slice.file.display()));
        };
        // With what was there at first, or with what has come of it.
        let compared = if is_whole { old.as_ref() } else { document.as_ref() };
        match compared {
            None => new.operations().iter().for_each(|operation| say(&format!("adds {operation}"))),
            Some(old) => {
                let changes = changes(&old.value, &new.value);
                if changes.is_empty() {
                    let is_layout = is_whole && arrived == new.operations() && old.text != new.text;
                    say(if is_layout { "changes nothing but the layout" } else { "changes nothing" });
                }
                let reach = Reach::of(&old.value, &changes);
                for path in &changes {
                    let verb = if old.value.pointer(&pointer(path)).is_some() { "replaces" } else { "adds" };
                    say(&format!("{verb} {}{}", title(path), reach.others(path, &arrived)));
                }
            }
        }
        document = Some(match document {
            None => new.clone(),
            Some(document) => {
                let changes = changes(&document.value, &new.value);
                merge(&document, new, &changes, product, report)?
            }
        });
    }
    let document = document.ok_or_else(|| Error::new("there is nothing to import"))?;
    if let Some(old) = old.filter(|_| is_whole) {
        for path in parts(&old.value).iter().filter(|path| document.value.pointer(&pointer(path)).is_none()) {
            report.lines.push(format!("{}: leaves out {}", product.document().display(), title(path)));
        }
    }
    Ok(document)
}

/// Which operations use which components.
struct Reach(Vec<(String, BTreeSet<(String, String)>)>);

impl Reach {
    /// That of all operations; of none, where no component changes.
    fn of(document: &Value, changes: &[Vec<String>]) -> Self {
        let is_asked = changes.iter().any(|path| path.first().is_some_and(|key| key == "components"));
        let places = schema::operations(document).into_iter().filter(|_| is_asked);
        let reach = |place: schema::Place| {
            let mut queue = vec![document.pointer(&place.pointer()), document.pointer(&place.path_pointer())];
            let mut seen = BTreeSet::new();
            while let Some(value) = queue.pop() {
                let mut names = Vec::new();
                value.into_iter().for_each(|value| component_names(value, &mut names));
                for (kind, name) in names {
                    let component = document.pointer(&pointer(&["components", &kind, &name]));
                    if seen.insert((kind, name)) {
                        queue.push(component);
                    }
                }
            }
            (place.title(), seen)
        };
        Self(places.map(reach).collect())
    }

    /// The operations of earlier imports that a part describes too.
    fn others(&self, path: &[String], arrived: &BTreeSet<String>) -> String {
        let [_, kind, name] = path else { return String::new() };
        let key = (kind.clone(), name.clone());
        let others = self.0.iter().filter(|(title, seen)| seen.contains(&key) && !arrived.contains(title));
        let others: Vec<&str> = others.map(|(title, _)| title.as_str()).collect();
        match others.is_empty() {
            true => String::new(),
            false => format!(", which describes {} too: look at its page", others.join(", ")),
        }
    }
}

/// The components that a value refers to, by kind and name.
fn component_names(value: &Value, names: &mut Vec<(String, String)>) {
    match value {
        Value::Object(object) => {
            let target = object.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix("#/components/"));
            if let Some((kind, name)) = target.and_then(|target| target.split_once('/')) {
                names.push((schema::unescape(kind), schema::unescape(name)));
            }
            object.values().for_each(|value| component_names(value, names));
        }
        Value::Array(array) => array.iter().for_each(|value| component_names(value, names)),
        _ => {}
    }
}

/// The parts of a document that are merged as wholes, each by the keys that lead to it.
fn parts(document: &Value) -> Vec<Vec<String>> {
    let mut parts = Vec::new();
    for (key, value) in document.as_object().into_iter().flatten() {
        match (key.as_str(), value.as_object()) {
            ("paths", Some(paths)) => {
                for (path, item) in paths {
                    let keys = item.as_object().into_iter().flatten();
                    parts.extend(keys.map(|(method, _)| vec![key.clone(), path.clone(), method.clone()]));
                }
            }
            ("components", Some(kinds)) => {
                for (kind, named) in kinds {
                    let names = named.as_object().into_iter().flatten();
                    parts.extend(names.map(|(name, _)| vec![key.clone(), kind.clone(), name.clone()]));
                }
            }
            _ => parts.push(vec![key.clone()]),
        }
    }
    parts
}

/// The parts that a slice has, and the document has not or has otherwise.
fn changes(old: &Value, new: &Value) -> Vec<Vec<String>> {
    let differs = |path: &Vec<String>| {
        let pointer = pointer(path);
        let (old, new) = (old.pointer(&pointer), new.pointer(&pointer));
        match path.as_slice() {
            // A slice may have the tags of its operation only.
            [key] if key == "tags" => old.is_none_or(|old| new.is_some_and(|new| united(old, new) != *old)),
            _ => old.map(Value::to_string) != new.map(Value::to_string),
        }
    };
    parts(new).into_iter().filter(differs).collect()
}

/// Two lists of tags as one, in which the newer description holds.
fn united(old: &Value, new: &Value) -> Value {
    let mut tags = old.as_array().cloned().unwrap_or_default();
    for tag in new.as_array().into_iter().flatten() {
        match tags.iter_mut().find(|other| other.get("name") == tag.get("name")) {
            Some(other) => *other = tag.clone(),
            None => tags.push(tag.clone()),
        }
    }
    Value::Array(tags)
}

fn merge(
    old: &Document,
    new: &Document,
    changes: &[Vec<String>],
    product: Product,
    report: &mut Report,
) -> Result<Document> {
    let mut value = old.value.clone();
    let mut text = Some(old.text.clone());
    for path in changes {
        // A branch that is not there yet comes as a whole, as the slice writes it.
        let missing = (1..path.len()).find_map(|depth| {
            let branch = path.get(..depth)?;
            value.pointer(&pointer(branch)).is_none().then_some(branch)
        });
        let branch = missing.unwrap_or(path);
        let Some(part) = new.value.pointer(&pointer(branch)) else { continue };
        let part = match branch {
            [key] if key == "tags" => united(old.value.get(key).unwrap_or(&Value::Null), part),
            _ => part.clone(),
        };
        if value.pointer(&pointer(branch)).map(Value::to_string) == Some(part.to_string()) {
            continue;
        }
        let is_as_written = new.value.pointer(&pointer(branch)) == Some(&part);
        set(&mut value, branch, part.clone());
        let keys: Vec<&str> = branch.iter().map(String::as_str).collect();
        text = text.and_then(|text| match is_as_written {
            true => splice(&text, &new.text, &keys),
            false => {
                let alone = |inner, key: &&str| Value::Object(Map::from_iter([((*key).to_owned(), inner)]));
                splice(&text, &emit(&keys.iter().rev().fold(part, alone)).ok()?, &keys)
            }
        });
    }
    // The text must mean what was merged, in the same order.
    let wanted = value.to_string();
    let meant =
        |text: &String| read::yaml(text.as_bytes()).map(|read| read.to_string()).is_ok_and(|read| read == wanted);
    let text = match text.filter(meant) {
        Some(text) => text,
        None => {
            report
                .lines
                .push(format!("{}: written anew, for its layout is not known here", product.document().display()));
            Some(emit(&value)?).filter(meant).ok_or_else(|| {
                Error::new("cannot be merged: its YAML would mean something else").in_file(&product.document())
            })?
        }
    };
    Ok(Document { text, value })
}

/// YAML in the layout of what Flinks publishes.
fn emit(value: &Value) -> Result<String> {
    let options = serde_saphyr::ser_options! { compact_list_indent: false };
    serde_saphyr::to_string_with_options(value, options)
        .map_err(|error| Error::new(format!("cannot be written: {error}")))
}

fn set(document: &mut Value, path: &[String], value: Value) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut slot = document;
    for key in parents {
        let Some(object) = slot.as_object_mut() else { return };
        slot = object.entry(key).or_insert_with(|| Value::Object(Map::new()));
    }
    slot.as_object_mut().map(|object| object.insert(last.clone(), value));
}

fn pointer(path: &[impl AsRef<str>]) -> String {
    path.iter().map(|key| format!("/{}", escape(key.as_ref()))).collect()
}

/// How a report calls a part.
fn title(path: &[String]) -> String {
    match path {
        [paths, path, method] if paths == "paths" && METHODS.contains(&method.as_str()) => {
            format!("{} {path}", method.to_uppercase())
        }
        path => format!("`{}`", path.join("/")),
    }
}
