//! Broken and unusual documents. Each document must produce either code or one error with a
//! location, and must never cause a panic.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // helpers of tests are test code too

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use xtask::Product;
use xtask::generate::output::Header;
use xtask::generate::{SecretNames, generate as generate_code};
use xtask::spec::read::yaml;

fn generate(document: Value) -> xtask::Result<String> {
    let header = Header { document: PathBuf::from("d.yaml"), overlay: PathBuf::from("o.yaml"), sha256: "0" };
    generate_code(document, &header, SecretNames::Checked).map(|generated| generated.text)
}

/// Creates a document whose only operation, `POST /x/{id}`, is built from `parts`.
fn around(parts: &str) -> Value {
    let parts = yaml(parts.as_bytes()).unwrap();
    let mut operation = json!({
        "operationId": "doIt",
        "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
        "responses": {"200": {"description": "", "content": {"application/json": {"schema": {"type": "object"}}}}},
    });
    let mut components = json!({});
    for (key, part) in parts.as_object().unwrap() {
        match key.as_str() {
            "components" => components = part.clone(),
            "parameters" => {
                let own = operation["parameters"].as_array_mut().unwrap();
                own.extend(part.as_array().unwrap().iter().cloned());
            }
            _ => operation[key] = part.clone(),
        }
    }
    json!({"openapi": "3.0.3", "info": {"title": "t", "version": "1"},
        "paths": {"/x/{id}": {"post": operation}}, "components": components})
}

/// Operations that make progenitor panic or lose information, and operations for which no client
/// can be generated.
const BROKEN: &[(&str, &str)] = &[
    ("id of an existing method", "operationId: new"),
    ("multipart", "requestBody: {content: {multipart/form-data: {schema: {type: object}}}}"),
    (
        "encoding in a request",
        "requestBody: {content: {application/x-www-form-urlencoded: {schema: {type: object, properties: {a: {type: string}}}, encoding: {a: {style: spaceDelimited}}}}}",
    ),
    (
        "form with an object",
        "requestBody: {content: {application/x-www-form-urlencoded: {schema: {type: object, properties: {a: {type: array, items: {type: object}}}}}}}",
    ),
    ("request without content", "requestBody: {description: d}"),
    ("request in another file", "requestBody: {$ref: 'other.yaml#/x'}"),
    ("no success", "responses: {'400': {description: ''}}"),
    ("status of four digits", "responses: {'200': {description: ''}, '1000': {description: ''}}"),
    ("status in words", "responses: {'200': {description: ''}, ok: {description: ''}}"),
    ("reference to a missing response", "responses: {'200': {$ref: '#/components/responses/Gone'}}"),
    ("path parameter not required", "parameters: [{name: id2, in: path, schema: {type: string}}]"),
    ("path parameter not in path", "parameters: [{name: id2, in: path, required: true, schema: {type: string}}]"),
    (
        "parameter without schema",
        "parameters: [{name: q, in: query, content: {application/json: {schema: {type: object}}}}]",
    ),
    ("deep object in a query", "parameters: [{name: q, in: query, style: deepObject, schema: {type: string}}]"),
    ("cookie", "parameters: [{name: c, in: cookie, schema: {type: string}}]"),
    ("invalid header name", "parameters: [{name: 'a b', in: header, schema: {type: string}}]"),
    ("secret in a query", "parameters: [{name: q, in: query, schema: {type: string, format: password}}]"),
    (
        "reference to a missing schema",
        "requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Gone'}}}}",
    ),
    (
        "unknown type",
        "requestBody: {content: {application/json: {schema: {type: object, properties: {a: {type: text}}}}}}",
    ),
    ("id that starts with a digit", "operationId: 2faAuthorize"),
    ("id with a character that is not ASCII", "operationId: a²"),
    ("id that the generated code uses", "operationId: header-map"),
    ("id that is a type keyword", "operationId: self"),
    (
        "secret number",
        "requestBody: {content: {application/json: {schema: {type: object, properties: {pin: {type: integer, format: password}}}}}}",
    ),
    (
        "secret without a type",
        "responses: {'200': {description: '', content: {application/json: {schema: {type: object, properties: {t: {format: password}}}}}}}",
    ),
    (
        "mark next to a reference",
        "components: {schemas: {T: {type: string}}}\nresponses: {'200': {description: '', content: {application/json: {schema: {type: object, properties: {t: {$ref: '#/components/schemas/T', format: password}}}}}}}",
    ),
    (
        "name of a core type",
        "requestBody: {content: {application/json: {schema: {title: expires in, type: object, properties: {at: {type: string}}}}}}",
    ),
    ("security requirement", "security: [{key: []}]"),
    (
        "unsupported Accept",
        "parameters: [{name: Accept, in: header, schema: {type: string, default: application/vnd.v3+json}}]",
    ),
    (
        "form with an object",
        "requestBody: {content: {application/x-www-form-urlencoded: {schema: {type: object, properties: {a: {type: object, properties: {b: {type: string}}}}}}}}",
    ),
    ("form without fields", "requestBody: {content: {application/x-www-form-urlencoded: {schema: {type: string}}}}"),
    (
        "form with a map of objects",
        "requestBody: {content: {application/x-www-form-urlencoded: {schema: {type: object, properties: {a: {type: string}}, additionalProperties: {type: object}}}}}",
    ),
    (
        "allOf with two different schemas of one field",
        "responses: {'200': {description: '', content: {application/json: {schema: {allOf: [{type: object, properties: {a: {type: string}}}, {type: object, properties: {a: {type: integer}}}]}}}}}",
    ),
    (
        "field that looks like a secret",
        "responses: {'200': {description: '', content: {application/json: {schema: {type: object, properties: {Token: {type: object, properties: {value: {type: string}}}}}}}}}",
    ),
];

#[test]
fn broken_operations_are_located() {
    let mut report = String::new();
    for (name, parts) in BROKEN {
        let Err(error) = generate(around(parts)) else { panic!("{name}: code was generated") };
        // An early stage does not know the operation, but the error's pointer leads to the
        // operation.
        let names_operation =
            error.operation().is_some() || error.pointer().is_some_and(|at| at.starts_with("/paths/~1x~1{id}/post"));
        assert!(error.pointer().is_some(), "{name}: {error}");
        assert!(names_operation, "{name}: {error}");
        assert!(!error.to_string().contains("panicked"), "{name}: the lint did not find the problem: {error}");
        assert!(error.to_string().contains("help: "), "{name}: {error}");
        writeln!(report, "# {name}\n{error}\n").unwrap();
    }
    insta::assert_snapshot!("broken_operations", report);
}

#[test]
fn broken_documents_are_located() {
    let with = |pointer: &str, value: Value| {
        let mut document = around("{}");
        *document.pointer_mut(pointer).unwrap() = value;
        document
    };
    let twice = {
        let mut document = around("{}");
        let mut other = document["paths"]["/x/{id}"].clone();
        other["post"]["operationId"] = json!("do_it");
        document["paths"]["/y/{id}"] = other;
        document
    };
    let documents = [
        ("not an object", json!([1])),
        ("null", Value::Null),
        ("no version", json!({"paths": {}})),
        ("swagger", json!({"swagger": "2.0", "paths": {}})),
        ("3.1", with("/openapi", json!("3.1.0"))),
        ("no paths", json!({"openapi": "3.0.3"})),
        ("no operation", with("/paths", json!({}))),
        ("no info", with("/info", json!(7))),
        ("path item by reference", with("/paths/~1x~1{id}", json!({"$ref": "x.yaml"}))),
        ("path item is text", with("/paths/~1x~1{id}", json!("x"))),
        ("operation is a list", with("/paths/~1x~1{id}/post", json!([]))),
        ("parameters are text", with("/paths/~1x~1{id}/post/parameters", json!("x"))),
        ("responses are text", with("/paths/~1x~1{id}/post/responses", json!("x"))),
        ("two ids with one Rust name", twice),
        (
            "reference to itself",
            around(
                "responses: {'200': {$ref: '#/components/responses/A'}}\ncomponents: {responses: {A: {$ref: '#/components/responses/A'}}}",
            ),
        ),
        ("method that clients do not send", {
            let mut document = around("{}");
            document["paths"]["/x/{id}"] = json!({"trace": document["paths"]["/x/{id}"]["post"]});
            document
        }),
        ("path with an unmatched brace", {
            let mut document = around("{}");
            document["paths"] = json!({"/x/{id": document["paths"]["/x/{id}"]});
            document
        }),
    ];
    let mut report = String::new();
    for (name, document) in documents {
        let Err(error) = generate(document) else { panic!("{name}: code was generated") };
        assert!(error.pointer().is_some(), "{name}: {error}");
        assert!(!error.to_string().contains("panicked"), "{name}: {error}");
        assert!(error.to_string().contains("help: "), "{name}: {error}");
        writeln!(report, "# {name}\n{error}\n").unwrap();
    }
    insta::assert_snapshot!("broken_documents", report);
}

/// The tests in `unusual.rs` run the generated code.
#[test]
fn the_code_for_the_unusual_document_is_fresh() {
    check_freshness("unusual");
}

/// The tests in `features.rs` run the generated code.
#[test]
fn the_code_for_the_document_with_all_features_is_fresh() {
    check_freshness("features");
}

/// Checks that the code in a folder of `tests` is the code generated from the document there.
fn check_freshness(folder: &str) {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests")).join(folder);
    let document = yaml(&std::fs::read(folder.join("document.yaml")).unwrap()).unwrap();
    let code = generate(document).unwrap_or_else(|error| panic!("{error}"));
    let path = folder.join("generated.rs");
    if std::env::var_os("UPDATE").is_some() {
        xtask::generate::output::write(&path, &code).unwrap();
    }
    assert!(std::fs::read_to_string(path).unwrap() == code, "the code is stale: run this test with UPDATE=1");
}

/// Damages each part of the real documents in turn. Each damaged document must produce an error or
/// valid code.
#[test]
fn no_damaged_document_causes_a_panic() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let damages = [Value::Null, json!({}), json!([]), json!("x"), json!(-7), json!([{"$ref": "#/x"}])];
    for product in Product::ALL {
        let source = xtask::spec::read::document(root, product).unwrap();
        let document =
            xtask::spec::overlay::apply(source.value, &xtask::spec::read::overlay(root, product).unwrap()).unwrap();
        let mut pointers = Vec::new();
        all_pointers(&document, String::new(), &mut pointers);
        assert!(pointers.len() > 50);
        for (index, pointer) in pointers.iter().enumerate() {
            // Damage each place in one way, and use the next kind of damage for the next place.
            let mut damaged = document.clone();
            *damaged.pointer_mut(pointer).unwrap() = damages.get(index % damages.len()).unwrap().clone();
            if let Ok(text) = generate(damaged) {
                assert!(syn::parse_file(&text).is_ok(), "{product:?} {pointer}");
            }
        }
    }
}

fn all_pointers(value: &Value, pointer: String, pointers: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let key = key.replace('~', "~0").replace('/', "~1");
                all_pointers(value, format!("{pointer}/{key}"), pointers);
            }
        }
        Value::Array(array) => {
            for (index, value) in array.iter().enumerate() {
                all_pointers(value, format!("{pointer}/{index}"), pointers);
            }
        }
        _ => {}
    }
    pointers.push(pointer);
}
