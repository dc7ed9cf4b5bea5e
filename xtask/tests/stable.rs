//! What is added to a document changes no line of code that was there, but for the mark.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // helpers of tests are tests too

use std::path::Path;

use serde_json::{Map, Value, json};
use similar::ChangeTag;
use xtask::Product;
use xtask::generate::output::Header;
use xtask::generate::{SecretNames, generate as generate_code};
use xtask::spec::{overlay, read};

/// The documents as they were when this was written; the real ones go on.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/frozen");

fn generate(document: Value, sha256: &str) -> String {
    let header = Header { document: "d.yaml".into(), overlay: "o.yaml".into(), sha256 };
    generate_code(document, &header, SecretNames::Checked).unwrap_or_else(|error| panic!("{error}")).text
}

/// An operation whose bodies are those of every other: only its names are its own.
fn operation(id: &str) -> Value {
    let body = |schema: Value| json!({"description": "", "content": {"application/json": {"schema": schema}}});
    let inner = json!({"type": "object", "properties": {"id": {"type": "string"}, "kind": {"type": "string", "enum": ["a", "b"]}}});
    json!({
        "operationId": id,
        "parameters": [{"name": "flinks-auth-key", "in": "header", "required": true, "schema": {"type": "string", "format": "password"}}],
        "requestBody": {"content": {"application/json": {"schema": {"type": "object", "properties": {
            "grant_type": {"type": "string", "enum": ["client_credentials"]},
            "Password": {"type": "string", "format": "password"}, "inner": inner}}}}},
        "responses": {
            "200": body(json!({"type": "object", "required": ["access_token"], "properties": {"access_token": {"type": "string", "format": "password"}, "inner": inner}})),
            "202": {"description": ""},
            "4XX": body(json!({"type": "object", "properties": {"error": {"type": "string"}}})),
            "500": body(json!({"$ref": "#/components/schemas/AaaFault"})),
        },
    })
}

/// A document with an operation more, at the start or at the end.
fn with(document: &Value, id: &str, first: bool) -> Value {
    let mut document = document.clone();
    let path = (String::from("/aaa/other"), json!({"post": operation(id)}));
    let paths = document["paths"].as_object().unwrap().clone().into_iter();
    let paths: Map<String, Value> =
        if first { std::iter::once(path).chain(paths).collect() } else { paths.chain([path]).collect() };
    document["paths"] = Value::Object(paths);
    let schemas = document["components"]["schemas"].as_object_mut().unwrap();
    schemas.insert(
        "AaaFault".into(),
        json!({"type": "object", "properties": {"error": {"type": "string"}, "why": {"type": "string"}}}),
    );
    document
}

#[test]
fn an_unrelated_operation_changes_no_line_that_was_there() {
    for product in Product::ALL {
        let document = read::document(Path::new(ROOT), product).unwrap().value;
        let document = overlay::apply(document, &read::overlay(Path::new(ROOT), product).unwrap()).unwrap();
        let before = generate(document.clone(), &"0".repeat(64));
        // Names that sort before, between and after those that are there.
        for (id, first) in [("aaa", true), ("aaa", false), ("getThing", true), ("zzz", false)] {
            let after = generate(with(&document, id, first), &"1".repeat(64));
            let diff = similar::TextDiff::from_lines(&before, &after);
            let gone: Vec<&str> = diff
                .iter_all_changes()
                .filter(|change| change.tag() == ChangeTag::Delete)
                .map(|change| change.value())
                .collect();
            let is_mark = |line: &&str| line.starts_with("// sha256:") || line.contains("SPEC_SHA256");
            assert!(gone.iter().all(is_mark) && gone.len() == 2, "{product:?} {id}: {gone:?}");
            assert!(diff.iter_all_changes().filter(|change| change.tag() == ChangeTag::Insert).count() > 100);
        }
    }
}

/// The same of a field: only the lines of the type that has it may change, where a layout or an argument does.
#[test]
fn an_unrelated_field_changes_no_line_that_was_there() {
    let document = read::document(Path::new(ROOT), Product::Outbound).unwrap().value;
    let document = overlay::apply(document, &read::overlay(Path::new(ROOT), Product::Outbound).unwrap()).unwrap();
    let before = generate(document.clone(), "0");
    for (body, name) in [("requestBody", "device"), ("responses/200", "aaa"), ("responses/200", "zzz")] {
        let mut document = document.clone();
        let pointer = format!("/paths/~1api~1v1~1token/post/{body}/content/application~1json/schema/properties");
        document.pointer_mut(&pointer).unwrap()[name] =
            json!({"type": "object", "properties": {"x": {"type": "boolean"}}});
        let after = generate(document, "0");
        let diff = similar::TextDiff::from_lines(&before, &after);
        let gone = diff.iter_all_changes().filter(|change| change.tag() == ChangeTag::Delete);
        assert_eq!(gone.map(|change| change.value()).collect::<Vec<_>>(), [""; 0], "{body} {name}");
    }
}
