//! Tests that an addition to a document leaves every existing line of the generated code unchanged,
//! except for the hash.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // helpers of tests are test code too

use std::path::Path;

use serde_json::{Map, Value, json};
use similar::ChangeTag;
use xtask::Product;
use xtask::generate::output::Header;
use xtask::generate::{SecretNames, generate as generate_code};
use xtask::spec::{overlay, read};

/// Frozen copies of the documents, which do not change when the real documents change.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/frozen");

fn generate(document: Value, sha256: &str) -> String {
    let header = Header { document: "d.yaml".into(), overlay: "o.yaml".into(), sha256 };
    generate_code(document, &header, SecretNames::Checked).unwrap_or_else(|error| panic!("{error}")).text
}

/// Creates an operation whose bodies use the same field names as the bodies of the other
/// operations.
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

/// The position where a test adds an operation to a document.
#[derive(Clone, Copy, Debug)]
enum Position {
    First,
    Last,
}

/// Returns a copy of a document with one more operation.
fn with_operation(document: &Value, id: &str, position: Position) -> Value {
    let mut document = document.clone();
    let path = (String::from("/aaa/other"), json!({"post": operation(id)}));
    let paths = document["paths"].as_object().unwrap().clone().into_iter();
    let paths: Map<String, Value> = match position {
        Position::First => std::iter::once(path).chain(paths).collect(),
        Position::Last => paths.chain([path]).collect(),
    };
    document["paths"] = Value::Object(paths);
    let schemas = document["components"]["schemas"].as_object_mut().unwrap();
    schemas.insert(
        "AaaFault".into(),
        json!({"type": "object", "properties": {"error": {"type": "string"}, "why": {"type": "string"}}}),
    );
    document
}

#[test]
fn an_additional_operation_changes_no_existing_line() {
    for product in Product::ALL {
        let document = read::document(Path::new(ROOT), product).unwrap().value;
        let document = overlay::apply(document, &read::overlay(Path::new(ROOT), product).unwrap()).unwrap();
        let before = generate(document.clone(), &"0".repeat(64));
        // The names sort before, between and after the existing names.
        for (id, position) in
            [("aaa", Position::First), ("aaa", Position::Last), ("getThing", Position::First), ("zzz", Position::Last)]
        {
            let after = generate(with_operation(&document, id, position), &"1".repeat(64));
            let diff = similar::TextDiff::from_lines(&before, &after);
            let removed: Vec<&str> = diff
                .iter_all_changes()
                .filter(|change| change.tag() == ChangeTag::Delete)
                .map(|change| change.value())
                .collect();
            let is_hash = |line: &&str| line.starts_with("// sha256:") || line.contains("SPEC_SHA256");
            assert!(removed.iter().all(is_hash), "{product:?} {id}: {removed:?}");
            assert_eq!(removed.len(), 2, "{product:?} {id}: {removed:?}");
            assert!(diff.iter_all_changes().filter(|change| change.tag() == ChangeTag::Insert).count() > 100);
        }
    }
}

#[test]
fn an_additional_optional_field_changes_no_existing_line() {
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
        let removed = diff.iter_all_changes().filter(|change| change.tag() == ChangeTag::Delete);
        assert_eq!(removed.map(|change| change.value()).collect::<Vec<_>>(), [""; 0], "{body} {name}");
    }
}
