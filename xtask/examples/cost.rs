//! Measures the time that the generator and the comparison need for documents of several sizes.
//!
//! ```console
//! $ cargo run --release --package xtask --example cost
//! $ cargo run --release --package xtask --example cost -- 1000
//! $ cargo run --release --package xtask --example cost -- --json 1000
//! ```
//!
//! Other programs running at the same time distort the results. A comparison uses two threads.
//!
//! Each document has the given number of operations, each of about 3 kB. If the cost per operation
//! is the same for every document, a stage is linear in the size of the document.

#![allow(clippy::print_stdout)] // the table is the result of this program
#![allow(clippy::indexing_slicing)] // `json!` values

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use xtask::generate::output::{self, Header};
use xtask::generate::{
    SecretNames, completeness, generate, harden, lint, normalize, progenitor, public_api, secret_names,
};
use xtask::maintain::diff::diff;
use xtask::spec::{overlay, read};
use xtask::{Product, Result};

/// The same allocator as in `cargo xtask`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The number of changes in the changed copy of each document.
const CHANGES: usize = 20;

/// The number of schemas that all operations share.
const SHARED: usize = 40;

/// The name of each measured step, with the time that the step took.
type Times = Vec<(&'static str, Duration)>;

fn main() -> Result<()> {
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![125, 250, 500, 1000] } else { sizes };
    let is_json = std::env::args().any(|argument| argument == "--json");
    for (index, operations) in sizes.into_iter().enumerate() {
        let document = document(operations);
        let bytes = document.to_string().len();
        let mut times = whole(&document)?;
        times.extend(stages(&document)?);
        if is_json {
            let seconds: Vec<_> =
                times.iter().map(|(name, time)| json!([name.trim_matches('*'), time.as_secs_f64()])).collect();
            println!("{}", json!({"operations": operations, "bytes": bytes, "seconds": seconds}));
            continue;
        }
        if index == 0 {
            let names: Vec<&str> = times.iter().map(|(name, _)| *name).collect();
            println!("| operations | bytes | {} |", names.join(" | "));
            println!("| --- | --- |{}", " --- |".repeat(names.len()));
        }
        let cells: Vec<String> = times.iter().map(|(_, time)| format!("{:.2} s", time.as_secs_f64())).collect();
        println!("| {operations} | {bytes} | {} |", cells.join(" | "));
    }
    Ok(())
}

/// Runs a step and records the elapsed time.
fn timed<T>(times: &mut Times, name: &'static str, step: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = step();
    times.push((name, start.elapsed()));
    result
}

/// Measures the commands, except for the comparison with the text on disk.
fn whole(document: &Value) -> Result<Times> {
    let mut times = Times::new();
    let (old, new) = (folder(document)?, folder(&changed(document.clone()))?);
    let product = Product::Pay;
    let source = timed(&mut times, "read", || read::any_document(old.path(), product))?;
    let overlay = read::overlay(old.path(), product)?;
    let value = source.map(|source| source.value).unwrap_or_default();
    let corrected = timed(&mut times, "overlay", || overlay::apply(value, &overlay))?;
    timed(&mut times, "**generate**", || generate(corrected, &header(), SecretNames::Checked))?;
    let diffs = timed(&mut times, "**diff**", || diff(old.path(), new.path(), &[product]))?;
    for diff in &diffs {
        if let Some(error) = &diff.refused {
            println!("{error}");
        }
    }
    timed(&mut times, "report", || xtask::maintain::diff::markdown(&diffs));
    Ok(times)
}

/// Measures each stage. The documents need no preparation, so the stages can be called directly.
fn stages(document: &Value) -> Result<Times> {
    let mut times = Times::new();
    let header = header();
    timed(&mut times, "outline", || lint::check_outline(document))?;
    let normalized = timed(&mut times, "normalize", || normalize::normalize(document.clone()))?;
    let openapi = timed(&mut times, "normal form", || lint::check_normal_form(&normalized))?;
    let types = timed(&mut times, "progenitor", || progenitor::types(&openapi, &normalized))?;
    let constants = header.constants(&openapi);
    let file = timed(&mut times, "harden", || harden::harden(types, &normalized, &constants))?;
    timed(&mut times, "completeness", || completeness::check(document, &file))?;
    timed(&mut times, "print", || output::print(&file, &header));
    timed(&mut times, "secret names", || secret_names::check(document))?;
    timed(&mut times, "public API", || public_api::read_generated(&file))?;
    Ok(times)
}

fn header() -> Header<'static> {
    Header { document: "d".into(), overlay: "o".into(), sha256: "0" }
}

/// Writes a document and an overlay to a temporary project folder.
fn folder(document: &Value) -> Result<tempfile::TempDir> {
    let failed = |error: std::io::Error| xtask::Error::new(format!("failed to write the project: {error}"));
    let folder = tempfile::tempdir().map_err(failed)?;
    let product = Product::Pay;
    let actions: Vec<Value> = (0..100)
        .map(|index| {
            json!({"target": format!("$.paths['/r0/{{id}}/get'].get.responses['200'].content['application/json'].schema"),
                "description": "An example of a correction.", "update": {"properties": {format!("extra{index}"): {"type": "string"}}}})
        })
        .collect();
    let overlay = json!({"overlay": "1.0.0", "info": {"title": "o", "version": "1"}, "actions": actions});
    let files: [(PathBuf, String); 3] = [
        (product.document(), document.to_string()),
        (product.overlay(), overlay.to_string()),
        (Path::new(&product.folder()).join("Cargo.toml"), "[package]\nversion = \"1.2.3\"\n".into()),
    ];
    for (path, text) in files {
        let path = folder.path().join(path);
        path.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(failed)?;
        std::fs::write(path, text).map_err(failed)?;
    }
    Ok(folder)
}

/// Creates a document with this number of operations. Every group of four operations belongs to one
/// resource.
fn document(operations: usize) -> Value {
    let mut paths = Map::new();
    let mut schemas = shared_schemas();
    for number in 0..operations {
        let resource = number / 4;
        let (verb, method) = [("get", "get"), ("list", "get"), ("create", "post"), ("change", "put")][number % 4];
        if number % 4 == 0 {
            schemas.extend(resource_schemas(resource));
        }
        let item = json!({
            "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
            method: operation(resource, verb),
        });
        paths.insert(format!("/r{resource}/{{id}}/{verb}"), item);
    }
    json!({
        "openapi": "3.0.3",
        "info": {"title": "Cost", "version": "1"},
        "servers": [{"url": "https://x.example"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "parameters": {
                "Trace": {"name": "X-Trace", "in": "header", "description": PROSE, "schema": {"type": "string"}},
                "Limit": {"name": "limit", "in": "query", "description": PROSE, "schema": {"type": "integer"}},
                "Tags": {"name": "tags", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
            },
            "responses": {"Problem": reply(&reference("Problem"))},
        },
    })
}

const PROSE: &str = "A sentence that describes this part of the document for the reader of the generated code.";

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn reply(schema: &Value) -> Value {
    json!({"description": PROSE, "content": {"application/json": {"schema": schema}}})
}

fn operation(resource: usize, verb: &str) -> Value {
    let parameter = |name: &str| json!({"$ref": format!("#/components/parameters/{name}")});
    let problem = || json!({"$ref": "#/components/responses/Problem"});
    let success = match verb {
        "list" => json!({
            "type": "object",
            "required": ["entries"],
            "properties": {
                "entries": {"type": "array", "items": reference(&format!("Resource{resource}"))},
                "page": {"type": "object", "properties": {"next": {"type": "string"}, "total": {"type": "integer"}}},
            },
        }),
        "get" => json!({
            "description": PROSE,
            "allOf": [reference(&format!("Resource{resource}")), {"type": "object", "properties": {
                "history": {"type": "array", "items": {"type": "object", "properties": {
                    "at": {"type": "string", "format": "date-time"},
                    "by": {"type": "object", "properties": {"name": {"type": "string"}, "address": reference("Shared0")}},
                }}},
            }}],
        }),
        _ => reference(&format!("Reply{resource}")),
    };
    let mut operation = json!({
        "operationId": format!("{verb}_resource_{resource}"),
        "summary": PROSE,
        "description": PROSE,
        "parameters": [parameter("Trace"), parameter("Limit"), parameter("Tags"),
            {"name": "sort", "in": "query", "description": PROSE, "schema": {"type": "string", "enum": ["up", "down"]}}],
        "responses": {"200": reply(&success), "400": problem(), "404": problem(), "409": reply(&json!({
            "type": "object", "required": ["message"],
            "properties": {"message": {"type": "string", "description": PROSE}, "details": reference("Detail")},
        })), "500": problem()},
    });
    if matches!(verb, "create" | "change") {
        operation["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": {
            "type": "object",
            "required": ["name", "amount"],
            "properties": {
                "name": {"type": "string", "description": PROSE},
                "amount": reference("Shared1"),
                "kind": {"type": "string", "enum": ["plain", "split", "bulk"], "description": PROSE},
                "owner": {"type": "object", "description": PROSE, "required": ["given"], "properties": {
                    "given": {"type": "string"}, "family": {"type": "string"},
                    "contact": {"type": "object", "properties": {"mail": {"type": "string"}, "phone": {"type": "string"}}},
                }},
                "parts": {"type": "array", "items": {"type": "object", "properties": {
                    "share": {"type": "number"}, "note": {"type": "string", "description": PROSE},
                    "target": reference(&format!("Shared{}", 2 + resource % (SHARED - 2))),
                }}},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        }}}});
    }
    operation
}

/// Creates the schemas that all operations share. Each refers to the next two, so expanding a
/// schema at each reference would take exponential space.
fn shared_schemas() -> Map<String, Value> {
    let mut schemas = Map::new();
    for number in 0..SHARED {
        let mut properties = json!({
            "line": {"type": "string", "description": PROSE},
            "count": {"type": "integer", "minimum": 0},
            "state": {"type": "string", "enum": ["open", "closed"]},
        });
        // Chains of ten schemas.
        for step in 1..=2 {
            if number % 10 + step < 10 {
                properties[format!("next{step}")] = reference(&format!("Shared{}", number + step));
            }
        }
        schemas.insert(format!("Shared{number}"), json!({"type": "object", "properties": properties}));
    }
    schemas.insert(
        "Detail".into(),
        json!({"type": "object", "properties": {
            "field": {"type": "string"}, "reason": {"type": "string"}, "inner": reference("Detail"),
            "place": reference("Shared10"),
        }}),
    );
    schemas.insert(
        "Problem".into(),
        json!({"type": "object", "required": ["type"], "properties": {
            "type": {"type": "string", "description": PROSE}, "title": {"type": "string"},
            "details": {"type": "array", "items": reference("Detail")},
        }}),
    );
    schemas
}

/// Creates the schemas for one resource.
fn resource_schemas(number: usize) -> Map<String, Value> {
    let name = |part: &str| format!("{part}{number}");
    let mut schemas = Map::new();
    let base = json!({"type": "object", "required": ["id"], "properties": {
        "id": {"type": "string", "description": PROSE},
        "created": {"type": "string", "format": "date-time", "description": PROSE},
        "state": {"type": "string", "enum": ["open", "closed", "waiting"], "description": PROSE},
    }});
    schemas.insert(name("Base"), base);
    let own = json!({"type": "object", "properties": {
        "amount": reference("Shared1"),
        "address": reference("Shared0"),
        "limits": {"type": "object", "description": PROSE, "properties": {
            "daily": {"type": "integer"}, "monthly": {"type": "integer", "description": PROSE},
        }},
        "source": {"oneOf": [reference(&name("Card")), reference(&name("Account"))]},
        "parent": reference(&name("Resource")),
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    }});
    schemas.insert(name("Resource"), json!({"description": PROSE, "allOf": [reference(&name("Base")), own]}));
    let card = json!({"type": "object", "required": ["brand"], "properties": {
        "brand": {"type": "string"}, "last": {"type": "string", "description": PROSE}, "billing": reference("Shared20"),
    }});
    schemas.insert(name("Card"), card);
    let account = json!({"type": "object", "required": ["branch"], "properties": {
        "branch": {"type": "string"}, "holder": {"type": "string", "description": PROSE}, "home": reference("Shared30"),
    }});
    schemas.insert(name("Account"), account);
    let reply = json!({"type": "object", "properties": {
        "result": reference(&name("Resource")), "warnings": {"type": "array", "items": reference("Detail")},
        "links": {"type": "object", "properties": {"self": {"type": "string"}, "next": {"type": "string"}}},
    }});
    schemas.insert(name("Reply"), reply);
    schemas
}

/// Makes [`CHANGES`] changes to a document. Half of these concern one resource, and half concern
/// schemas that all operations share.
fn changed(mut document: Value) -> Value {
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    let Some(schemas) = schemas else { return document };
    let resources = schemas.keys().filter(|name| name.starts_with("Resource")).count();
    for number in 0..CHANGES {
        let name = if number % 2 == 0 {
            format!("Card{}", number.saturating_mul(resources) / CHANGES)
        } else {
            format!("Shared{}", number * 2)
        };
        if let Some(schema) = schemas.get_mut(&name) {
            schema["properties"][format!("added{number}")] = json!({"type": "string"});
        }
    }
    document
}
