//! A collection of schema and parameter shapes, each in a separate document. The code generated
//! from each document must compile without a warning.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // helpers of tests are test code too

mod support;

use std::path::PathBuf;

use serde_json::{Value, json};
use xtask::generate::output::Header;
use xtask::generate::{SecretNames, generate as generate_code};

/// The name of each shape and the parts of its document. Each document has one operation, which is
/// a POST to `/x` or to another path.
#[rustfmt::skip]
const SHAPES: &[(&str, &str)] = &[
    ("fields named like keywords", r#"{"response": {"type": "object", "properties": {"type": {"type": "string"}, "self": {"type": "string"}, "crate": {"type": "string"}, "gen": {"type": "string"}, "2fa": {"type": "string"}, "a-b": {"type": "string"}, "$id": {"type": "string"}}}}"#),
    ("parameters of all kinds", r#"{"parameters": [{"name": "type", "in": "query", "schema": {"type": "string"}}, {"name": "x[y]", "in": "query", "schema": {"type": "string"}}, {"name": "self", "in": "query", "schema": {"type": "string"}}, {"name": "2x", "in": "query", "schema": {"type": "string"}}, {"name": "n", "in": "query", "schema": {"type": "integer", "minimum": 1}}, {"name": "f", "in": "query", "schema": {"type": "number"}}, {"name": "d", "in": "query", "schema": {"type": "string", "default": "x"}}, {"name": "e", "in": "query", "schema": {"type": "string", "enum": ["a", "b"], "default": "a"}}, {"name": "i", "in": "query", "schema": {"type": "integer", "default": 3}}]}"#),
    ("a list of values with null", r#"{"request": {"type": "object", "properties": {"a": {"type": "string", "enum": ["a", null], "nullable": true}}}}"#),
    ("a list of numerals", r#"{"request": {"type": "object", "properties": {"a": {"type": "string", "enum": ["1", "2"]}}}}"#),
    ("defaults", r#"{"request": {"type": "object", "properties": {"a": {"type": "string", "default": "x"}, "b": {"type": "integer", "default": 5}, "c": {"type": "boolean", "default": true}, "d": {"type": "number", "default": 1.5}, "e": {"type": "string", "enum": ["p", "q"], "default": "q"}, "f": {"type": "array", "items": {"type": "string"}, "default": []}, "g": {"type": "object", "properties": {"z": {"type": "string"}}, "default": {}}}}}"#),
    ("numbers", r#"{"request": {"type": "object", "properties": {"a": {"type": "integer", "format": "int32"}, "b": {"type": "integer", "minimum": 0}, "c": {"type": "integer", "minimum": 1}, "d": {"type": "integer", "format": "uint8"}, "e": {"type": "integer", "minimum": 0, "maximum": 255}, "f": {"type": "number", "format": "float"}, "g": {"type": "integer", "exclusiveMinimum": true, "minimum": 0}}}}"#),
    ("bodies that are lists", r#"{"request": {"type": "array", "items": {"type": "string"}}, "response": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}}"#),
    ("bodies that are strings", r#"{"request": {"type": "string"}, "response": {"type": "string"}}"#),
    ("bodies that are numbers", r#"{"request": {"type": "integer"}, "response": {"type": "boolean"}}"#),
    ("bodies that are anything", r#"{"request": {}, "response": {}}"#),
    ("bodies that are maps", r#"{"request": {"type": "object", "additionalProperties": {"type": "string"}}, "response": {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {"type": "string"}}}}}"#),
    ("bodies that are objects of any form", r#"{"request": {"type": "object"}, "response": {"type": "object"}}"#),
    ("fields next to a map", r#"{"request": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "integer"}}, "response": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "integer"}}}"#),
    ("one of two scalars", r#"{"request": {"type": "object", "properties": {"a": {"oneOf": [{"type": "string"}, {"type": "integer"}]}}}}"#),
    ("one of two or null", r#"{"request": {"type": "object", "properties": {"a": {"oneOf": [{"type": "object", "properties": {"x": {"type": "string"}}}, {"type": "object", "properties": {"y": {"type": "string"}}}], "nullable": true}}}}"#),
    ("any of two", r#"{"request": {"type": "object", "properties": {"a": {"anyOf": [{"type": "object", "properties": {"x": {"type": "string"}}}, {"type": "object", "properties": {"y": {"type": "string"}}}]}}}}"#),
    ("a body that is one of two", r#"{"request": {"oneOf": [{"type": "object", "properties": {"x": {"type": "string"}}}, {"type": "object", "properties": {"y": {"type": "string"}}}]}}"#),
    ("one of two with a discriminator", r##"{"request": {"oneOf": [{"$ref": "#/components/schemas/A"}, {"$ref": "#/components/schemas/B"}], "discriminator": {"propertyName": "t"}}, "schemas": {"A": {"type": "object", "required": ["t"], "properties": {"t": {"type": "string", "enum": ["a"]}, "x": {"type": "string"}}}, "B": {"type": "object", "required": ["t"], "properties": {"t": {"type": "string", "enum": ["b"]}}}}}"##),
    ("allOf with separate requirements", r##"{"request": {"allOf": [{"$ref": "#/components/schemas/A"}, {"required": ["x"]}]}, "response": {"allOf": [{"$ref": "#/components/schemas/A"}, {"type": "object", "required": ["x"], "properties": {"y": {"type": "string"}}}]}, "schemas": {"A": {"type": "object", "properties": {"x": {"type": "string"}}}}}"##),
    ("allOf with one part", r##"{"request": {"type": "object", "properties": {"a": {"allOf": [{"$ref": "#/components/schemas/A"}], "description": "d"}}}, "response": {"type": "object", "properties": {"a": {"allOf": [{"$ref": "#/components/schemas/A"}], "nullable": true}}}, "schemas": {"A": {"type": "object", "properties": {"x": {"type": "string"}}}}}"##),
    ("allOf with a list of values", r##"{"request": {"type": "object", "properties": {"a": {"allOf": [{"$ref": "#/components/schemas/E"}]}}}, "response": {"type": "object", "properties": {"a": {"allOf": [{"$ref": "#/components/schemas/E"}]}}}, "schemas": {"E": {"type": "string", "enum": ["a", "b"]}}}"##),
    ("a tree", r##"{"response": {"$ref": "#/components/schemas/T"}, "schemas": {"T": {"type": "object", "required": ["kids"], "properties": {"kids": {"type": "array", "items": {"$ref": "#/components/schemas/T"}}, "m": {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/T"}}}}}}"##),
    ("a required field of the same type", r##"{"response": {"$ref": "#/components/schemas/T"}, "schemas": {"T": {"type": "object", "required": ["n"], "properties": {"n": {"$ref": "#/components/schemas/T"}}}}}"##),
    ("references to references", r##"{"request": {"$ref": "#/components/schemas/A"}, "response": {"$ref": "#/components/schemas/B"}, "schemas": {"A": {"$ref": "#/components/schemas/C"}, "B": {"$ref": "#/components/schemas/C"}, "C": {"type": "object", "properties": {"x": {"type": "string"}}}}}"##),
    ("required and nullable", r#"{"request": {"type": "object", "required": ["a", "b", "c", "d"], "properties": {"a": {"type": "string", "nullable": true}, "b": {"type": "array", "nullable": true, "items": {"type": "string"}}, "c": {"type": "object", "nullable": true, "properties": {"z": {"type": "string"}}}, "d": {"type": "string", "format": "password", "nullable": true}}}, "response": {"type": "object", "required": ["a", "b", "c", "d"], "properties": {"a": {"type": "string", "nullable": true}, "b": {"type": "array", "nullable": true, "items": {"type": "string"}}, "c": {"type": "object", "nullable": true, "properties": {"z": {"type": "string"}}}, "d": {"type": "string", "format": "password", "nullable": true}}}}"#),
    ("a reference to a nullable object", r##"{"response": {"type": "object", "properties": {"a": {"$ref": "#/components/schemas/N"}}}, "schemas": {"N": {"type": "object", "nullable": true, "properties": {"x": {"type": "string"}}}}}"##),
    ("a form", r##"{"form": {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}, "b": {"type": "integer"}, "c": {"type": "boolean"}, "d": {"type": "string", "enum": ["x"]}, "e": {"$ref": "#/components/schemas/E"}, "p": {"type": "string", "format": "password"}}}, "schemas": {"E": {"type": "string", "enum": ["x", "y"]}}}"##),
    ("a form by reference", r##"{"form": {"$ref": "#/components/schemas/F"}, "schemas": {"F": {"type": "object", "properties": {"a": {"type": "string"}}}}}"##),
    ("names with punctuation", r##"{"request": {"$ref": "#/components/schemas/my.type"}, "response": {"$ref": "#/components/schemas/other_type"}, "schemas": {"my.type": {"type": "object", "properties": {"a": {"$ref": "#/components/schemas/my-Enum"}}}, "my-Enum": {"type": "string", "enum": ["x"]}, "other_type": {"type": "object", "properties": {"b": {"type": "string"}}}}}"##),
    ("names of core types", r##"{"request": {"$ref": "#/components/schemas/Secret"}, "response": {"$ref": "#/components/schemas/Client"}, "schemas": {"Secret": {"type": "object", "properties": {"a": {"type": "string", "format": "password"}}}, "Client": {"type": "object", "properties": {"b": {"type": "string"}}}}}"##),
    ("names of error and response types", r##"{"request": {"$ref": "#/components/schemas/Error"}, "response": {"$ref": "#/components/schemas/ResponseValue"}, "schemas": {"Error": {"type": "object", "properties": {"a": {"type": "string"}}}, "ResponseValue": {"type": "object", "properties": {"b": {"type": "string"}}}}}"##),
    ("names of a map type and an operation", r##"{"request": {"$ref": "#/components/schemas/HashMap"}, "response": {"$ref": "#/components/schemas/DoIt"}, "schemas": {"HashMap": {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": {"type": "string"}}}}, "DoIt": {"type": "object", "properties": {"b": {"type": "string"}}}}}"##),
    ("names of helpers", r##"{"request": {"$ref": "#/components/schemas/Redacted"}, "response": {"$ref": "#/components/schemas/Debug"}, "schemas": {"Redacted": {"type": "object", "properties": {"a": {"type": "string"}}}, "Debug": {"type": "object", "properties": {"b": {"type": "string"}}}}}"##),
    ("names of traits", r##"{"request": {"$ref": "#/components/schemas/Clone"}, "response": {"$ref": "#/components/schemas/Serialize"}, "schemas": {"Clone": {"type": "object", "properties": {"a": {"type": "string"}}}, "Serialize": {"type": "object", "properties": {"b": {"type": "string", "enum": ["a"]}}}}}"##),
    ("names of other crates", r##"{"request": {"$ref": "#/components/schemas/Uuid"}, "response": {"$ref": "#/components/schemas/Fn"}, "schemas": {"Uuid": {"type": "object", "properties": {"a": {"type": "string"}}}, "Fn": {"type": "object", "properties": {"b": {"type": "string"}}}}}"##),
    ("fields named like methods", r#"{"request": {"type": "object", "properties": {"fmt": {"type": "string"}, "clone": {"type": "string"}, "default": {"type": "string"}, "into": {"type": "string"}, "builder": {"type": "string"}}}}"#),
    ("a UUID in a query", r#"{"parameters": [{"name": "id", "in": "query", "schema": {"type": "string", "format": "uuid"}}]}"#),
    ("string formats", r#"{"request": {"type": "object", "properties": {"a": {"type": "string", "format": "byte"}, "b": {"type": "string", "format": "binary"}, "c": {"type": "string", "format": "date"}, "d": {"type": "string", "format": "uri"}, "e": {"type": "string", "format": "ipv4"}}}, "response": {"type": "object", "properties": {"a": {"type": "string", "format": "byte"}}}}"#),
    ("secrets in lists and maps", r#"{"request": {"type": "object", "properties": {"tokens": {"type": "array", "items": {"type": "string", "format": "password"}}, "m": {"type": "object", "additionalProperties": {"type": "string", "format": "password"}}}}, "response": {"type": "array", "items": {"type": "string", "format": "password"}}}"#),
    ("bodies that are secrets", r#"{"request": {"type": "string", "format": "password"}, "response": {"type": "string", "format": "password"}}"#),
    ("objects in objects", r#"{"request": {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "object", "properties": {"c": {"type": "object", "properties": {"d": {"type": "string"}}}}}}}}}, "response": {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "object", "properties": {"c": {"type": "object", "properties": {"d": {"type": "string"}}}}}}}}}}"#),
    ("a list whose items are one of two", r#"{"request": {"type": "object", "properties": {"a": {"type": "array", "items": {"oneOf": [{"type": "string"}, {"type": "integer"}]}}}}}"#),
    ("lists with bounds", r#"{"request": {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": true, "items": {"type": "string"}}, "b": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "string"}}}}}"#),
    ("read-only", r#"{"request": {"type": "object", "properties": {"a": {"type": "string", "readOnly": true}, "b": {"type": "string", "writeOnly": true}}}}"#),
    ("objects without fields", r#"{"request": {"type": "object", "properties": {}}, "response": {"type": "object", "properties": {}, "additionalProperties": false}}"#),
    ("descriptions with markup", r#"{"request": {"type": "object", "description": "``` x\n# h\n<b>", "properties": {"a": {"type": "string", "description": "[x] <y> `z"}}}}"#),
    ("titles", r#"{"request": {"title": "My Thing!", "type": "object", "properties": {"a": {"title": "Inner", "type": "object", "properties": {"x": {"type": "string"}}}}}}"#),
    ("a path with punctuation", r#"{"path": "/x/{a.b}.json", "parameters": [{"name": "a.b", "in": "path", "required": true, "schema": {"type": "string"}}]}"#),
    ("headers of all kinds", r#"{"parameters": [{"name": "X-Int", "in": "header", "required": true, "schema": {"type": "integer"}}, {"name": "X-Enum", "in": "header", "schema": {"type": "string", "enum": ["a"]}}, {"name": "X-Bool", "in": "header", "schema": {"type": "boolean"}}]}"#),
    ("a lifetime", r##"{"request": {"type": "object", "properties": {"expires_in": {"$ref": "#/components/schemas/ExpiresIn"}}}, "response": {"type": "object", "properties": {"expires_in": {"$ref": "#/components/schemas/ExpiresIn"}}}, "schemas": {"ExpiresIn": {"type": "integer"}}}"##),
];

fn document(parts: &Value) -> Value {
    let mut operation = json!({"operationId": "doIt", "responses": {"200": {"description": "Done."}}});
    for (key, media_type) in [("request", "application/json"), ("form", "application/x-www-form-urlencoded")] {
        if let Some(schema) = parts.get(key) {
            operation["requestBody"] = json!({"content": {media_type: {"schema": schema}}});
        }
    }
    if let Some(schema) = parts.get("response") {
        operation["responses"]["200"]["content"] = json!({"application/json": {"schema": schema}});
    }
    if let Some(parameters) = parts.get("parameters") {
        operation["parameters"] = parameters.clone();
    }
    let path = parts.get("path").and_then(Value::as_str).unwrap_or("/x");
    let schemas = parts.get("schemas").cloned().unwrap_or_else(|| json!({}));
    json!({"openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "paths": {path: {"post": operation}}, "components": {"schemas": schemas}})
}

#[test]
fn the_code_for_every_shape_compiles() {
    let modules = SHAPES.iter().map(|(name, parts)| {
        let parts = serde_json::from_str(parts).unwrap();
        let header = Header { document: PathBuf::from("d.yaml"), overlay: PathBuf::from("o.yaml"), sha256: "0" };
        let generated = generate_code(document(&parts), &header, SecretNames::Checked)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        (words.collect::<Vec<_>>().join("_").to_lowercase(), generated.text)
    });
    support::compile("shapes", &modules.collect::<Vec<_>>());
}
