//! Merges slices into a document. Everything that the slices do not replace is kept byte for byte.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::parts::{changes, merge_tags, mergeable_parts, pointer, title};
use super::slices::Slice;
use crate::maintain::yaml_patch::replace_entry;
use crate::product::Product;
use crate::spec::document::Document;
use crate::spec::{read, schema};
use crate::{Error, Result};

/// Merges slices into a product's document and reports each change as one line. If the slices
/// contain all operations in the old document, the slices replace the old document.
pub(super) fn merge_slices(
    old: Option<Document>,
    slices: &[&Slice],
    product: Product,
    lines: &mut Vec<String>,
) -> Result<Document> {
    let arrived: BTreeSet<String> = slices.iter().flat_map(|slice| slice.document.operations()).collect();
    // Merge in document order so that the order of the files does not matter.
    let known: Vec<String> =
        old.iter().flat_map(|old| schema::operations(&old.value)).map(|place| place.title()).collect();
    let mut slices = slices.to_vec();
    slices.sort_by_key(|slice| {
        let operations = slice.document.operations();
        let first = known.iter().position(|title| operations.contains(title)).unwrap_or(usize::MAX);
        (first, operations.first().cloned())
    });
    // If the slices contain all operations that the old document has, Flinks has removed every part
    // that the slices do not contain.
    let is_whole = old.as_ref().is_some_and(|old| old.operations().is_subset(&arrived));
    let mut document = if is_whole { None } else { old.clone() };
    for slice in slices {
        let new = &slice.document;
        let mut report = |what: &str| {
            lines.push(format!("{}: {what} ({})", product.document().display(), slice.file.display()));
        };
        // Compare with the document before the import, or with the slices merged so far.
        let compared = if is_whole { old.as_ref() } else { document.as_ref() };
        match compared {
            None => new.operations().iter().for_each(|operation| report(&format!("adds {operation}"))),
            Some(old) => {
                let changes = changes(&old.value, &new.value);
                if changes.is_empty() {
                    let is_layout = is_whole && arrived == new.operations() && old.text != new.text;
                    report(if is_layout { "changes only the layout" } else { "changes nothing" });
                }
                for path in &changes {
                    let verb = if old.value.pointer(&pointer(path)).is_some() { "replaces" } else { "adds" };
                    report(&format!("{verb} {}", title(path)));
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
    let document = document.ok_or_else(|| Error::new("nothing to import"))?;
    if let Some(old) = old
        && is_whole
    {
        for path in mergeable_parts(&old.value).iter().filter(|path| document.value.pointer(&pointer(path)).is_none()) {
            lines.push(format!("{}: removes {}", product.document().display(), title(path)));
        }
    }
    Ok(document)
}

/// Copies the changed parts of `new` into `old`, both in the YAML text and in the parsed value.
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
        // If the document lacks a parent of the part, copy the whole parent from the slice.
        let missing = (1..path.len()).find_map(|depth| {
            let branch = path.get(..depth)?;
            value.pointer(&pointer(branch)).is_none().then_some(branch)
        });
        let branch = missing.unwrap_or(path);
        let Some(part) = new.value.pointer(&pointer(branch)) else { continue };
        let part = match branch {
            [key] if key == "tags" => merge_tags(old.value.get(key).unwrap_or(&Value::Null), part),
            _ => part.clone(),
        };
        if value.pointer(&pointer(branch)).map(Value::to_string) == Some(part.to_string()) {
            continue;
        }
        let is_as_written = new.value.pointer(&pointer(branch)) == Some(&part);
        set(&mut value, branch, part.clone());
        let keys: Vec<&str> = branch.iter().map(String::as_str).collect();
        text = text.and_then(|text| {
            if is_as_written {
                return replace_entry(&text, &new.text, &keys);
            }
            let wrap = |inner, key: &&str| Value::Object(Map::from_iter([((*key).to_owned(), inner)]));
            replace_entry(&text, &emit(&keys.iter().rev().fold(part, wrap)).ok()?, &keys)
        });
    }
    // Parsing the text must give the merged value, with its members in the same order.
    let expected = value.to_string();
    let is_equivalent =
        |text: &String| read::yaml(text.as_bytes()).map(|read| read.to_string()).is_ok_and(|read| read == expected);
    let text = match text.filter(is_equivalent) {
        Some(text) => text,
        None => {
            lines.push(format!(
                "{}: re-serialized, because the layout of the document is not supported",
                product.document().display()
            ));
            Some(emit(&value)?).filter(is_equivalent).ok_or_else(|| {
                Error::new(
                    "failed to merge the document: the serialized text does not parse back into the merged value",
                )
                .in_file(&product.document())
            })?
        }
    };
    Ok(Document { text, value })
}

/// Serializes a value as YAML in the layout of the documents that Flinks publishes.
fn emit(value: &Value) -> Result<String> {
    let options = serde_saphyr::ser_options! { compact_list_indent: false };
    serde_saphyr::to_string_with_options(value, options)
        .map_err(|error| Error::new(format!("failed to serialize the document: {error}")))
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
