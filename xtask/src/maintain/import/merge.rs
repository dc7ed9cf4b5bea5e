//! Merging slices into a document, so that whatever they do not replace keeps its bytes.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::parts::{changes, parts, pointer, title, united};
use super::slices::Slice;
use crate::maintain::yaml_patch::replace_entry;
use crate::product::Product;
use crate::spec::document::Document;
use crate::spec::{read, schema};
use crate::{Error, Result};

pub(super) fn fold(
    old: Option<Document>,
    slices: &[&Slice],
    product: Product,
    lines: &mut Vec<String>,
) -> Result<Document> {
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
    // If all our operations arrive again, a part that does not arrive was removed by Flinks.
    let is_whole = old.as_ref().is_some_and(|old| old.operations().is_subset(&arrived));
    let mut document = if is_whole { None } else { old.clone() };
    for slice in slices {
        let new = &slice.document;
        let mut say = |what: &str| {
            lines.push(format!("{}: {what} ({})", product.document().display(), slice.file.display()));
        };
        // Compared with the document before the import, or as merged so far.
        let compared = if is_whole { old.as_ref() } else { document.as_ref() };
        match compared {
            None => new.operations().iter().for_each(|operation| say(&format!("adds {operation}"))),
            Some(old) => {
                let changes = changes(&old.value, &new.value);
                if changes.is_empty() {
                    let is_layout = is_whole && arrived == new.operations() && old.text != new.text;
                    say(if is_layout { "changes nothing but the layout" } else { "changes nothing" });
                }
                for path in &changes {
                    let verb = if old.value.pointer(&pointer(path)).is_some() { "replaces" } else { "adds" };
                    say(&format!("{verb} {}", title(path)));
                }
            }
        }
        document = Some(match document {
            None => new.clone(),
            Some(document) => {
                let changes = changes(&document.value, &new.value);
                merge(&document, new, &changes, product, lines)?
            }
        });
    }
    let document = document.ok_or_else(|| Error::new("there is nothing to import"))?;
    if let Some(old) = old.filter(|_| is_whole) {
        for path in parts(&old.value).iter().filter(|path| document.value.pointer(&pointer(path)).is_none()) {
            lines.push(format!("{}: leaves out {}", product.document().display(), title(path)));
        }
    }
    Ok(document)
}

fn merge(
    old: &Document,
    new: &Document,
    changes: &[Vec<String>],
    product: Product,
    lines: &mut Vec<String>,
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
            true => replace_entry(&text, &new.text, &keys),
            false => {
                let alone = |inner, key: &&str| Value::Object(Map::from_iter([((*key).to_owned(), inner)]));
                replace_entry(&text, &emit(&keys.iter().rev().fold(part, alone)).ok()?, &keys)
            }
        });
    }
    // Parsing the text must give the merged value, in the same order.
    let wanted = value.to_string();
    let meant =
        |text: &String| read::yaml(text.as_bytes()).map(|read| read.to_string()).is_ok_and(|read| read == wanted);
    let text = match text.filter(meant) {
        Some(text) => text,
        None => {
            lines.push(format!("{}: re-serialized, because its layout is not supported", product.document().display()));
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
