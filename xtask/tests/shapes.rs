//! Documents that each have one operation and show one construct. Either the code generated from a
//! document must compile without warnings and read the example, or the document must be refused
//! with a location and with help text, whose advice a test follows.
//!
//! The files in `tests/shapes` contain the shapes. Each shape describes a POST to `/x`, with these
//! keys:
//!
//! | key | meaning |
//! | --- | --- |
//! | `request`, `form`, `response` | the schema of a JSON body, of a form, and of a JSON response |
//! | `parameters`, `security` | the members of the operation with these names |
//! | `operation` | other members of the operation |
//! | `path` | a path other than `/x` |
//! | `schemas`, `securitySchemes` | named schemas and security schemes |
//! | `document` | other parts that are merged into the document |
//! | `example` | a response that the code must read; a string `canary` in it must not appear in `Debug` output |
//! | `contains` | a part of the generated code |
//! | `refused`, `at` | a part of the message, and the location of the problem |
//! | `cure` | the overlay actions that make the document acceptable |

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // helpers of tests are test code too

mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use xtask::generate::output::Header;
use xtask::generate::{SecretNames, generate as generate_code};
use xtask::spec::overlay;
use xtask::spec::read::yaml;

struct Shape {
    name: String,
    parts: Value,
}

fn shapes(file: &str) -> Vec<Shape> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/shapes")).join(file);
    let list = yaml(&std::fs::read(&path).unwrap()).unwrap();
    let shapes = list.as_array().unwrap().iter();
    shapes.map(|parts| Shape { name: parts["name"].as_str().unwrap().to_owned(), parts: parts.clone() }).collect()
}

impl Shape {
    fn document(&self) -> Value {
        let part = |key: &str| self.parts.get(key).cloned();
        let mut operation = json!({"operationId": "doIt", "responses": {"200": {"description": "Done."}}});
        for (key, media_type) in [("request", "application/json"), ("form", "application/x-www-form-urlencoded")] {
            if let Some(schema) = part(key) {
                operation["requestBody"] = json!({"content": {media_type: {"schema": schema}}});
            }
        }
        if let Some(schema) = part("response") {
            operation["responses"]["200"]["content"] = json!({"application/json": {"schema": schema}});
        }
        for key in ["parameters", "security"] {
            if let Some(value) = part(key) {
                operation[key] = value;
            }
        }
        for (key, value) in part("operation").iter().filter_map(Value::as_object).flatten() {
            operation[key] = value.clone();
        }
        let path = part("path").map_or_else(|| "/x".to_owned(), |path| path.as_str().unwrap().to_owned());
        let mut document = json!({
            "openapi": "3.0.3",
            "info": {"title": "t", "version": "1"},
            "paths": {path: {"post": operation}},
            "components": {"schemas": part("schemas").unwrap_or_else(|| json!({}))},
        });
        if let Some(schemes) = part("securitySchemes") {
            document["components"]["securitySchemes"] = schemes;
        }
        merge(&mut document, &part("document").unwrap_or(Value::Null));
        document
    }

    fn generate(&self, document: Value) -> xtask::Result<String> {
        let header = Header { document: PathBuf::from("d.yaml"), overlay: PathBuf::from("o.yaml"), sha256: "0" };
        generate_code(document, &header, SecretNames::Checked).map(|generated| generated.text)
    }

    /// Returns the name of the shape's module.
    fn module(&self) -> String {
        let words = self.name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        format!("shape_{}", words.collect::<Vec<_>>().join("_").to_lowercase())
    }

    /// Returns the generated code, with a test that reads the example.
    fn module_text(&self, code: &str) -> String {
        let Some(example) = self.parts.get("example") else { return code.to_owned() };
        let example = example.to_string();
        let mut text = code.to_owned();
        // The success type is the argument of `ResponseValue` in the return type of `send`.
        let ty = code.split("ResponseValue<").nth(1).and_then(|rest| rest.split(">, Error<").next()).unwrap();
        write!(
            text,
            "\n#[cfg(test)]\n#[test]\nfn the_example_is_read() {{\n    \
                 let value: {ty} = ::flinks_core::generated::serde_json::from_str({example:?}).unwrap();\n    \
                 assert!(!format!(\"{{value:?}}\").contains(\"canary\"));\n}}\n"
        )
        .unwrap();
        text
    }
}

fn merge(target: &mut Value, update: &Value) {
    match (target, update) {
        (Value::Object(target), Value::Object(update)) => {
            for (key, value) in update {
                merge(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (target, update) => *target = update.clone(),
    }
}

#[test]
fn the_code_for_every_shape_compiles_and_reads_its_example() {
    let mut modules = Vec::new();
    let mut problems = String::new();
    for file in ["schemas.yaml", "names.yaml", "tolerated.yaml", "composition.yaml", "operations.yaml"] {
        for shape in shapes(file) {
            match shape.generate(shape.document()) {
                Ok(text) => {
                    let contains = shape.parts.get("contains").and_then(Value::as_str).unwrap_or_default();
                    if !without_spaces(&text).contains(&without_spaces(contains)) {
                        writeln!(problems, "{}: the code does not contain `{contains}`:\n{text}", shape.name).unwrap();
                    }
                    modules.push((shape.module(), shape.module_text(&text)));
                }
                Err(error) => writeln!(problems, "{}: {error}", shape.name).unwrap(),
            }
        }
    }
    for shape in shapes("refused.yaml").iter().filter(|shape| shape.parts.get("cure").is_some()) {
        let actions: Vec<Value> = shape.parts["cure"].as_array().unwrap().iter().map(with_description).collect();
        let overlay = json!({"overlay": "1.0.0", "info": {"title": "t", "version": "1"}, "actions": actions});
        let cured =
            overlay::apply(shape.document(), &overlay).unwrap_or_else(|error| panic!("{}: {error}", shape.name));
        match shape.generate(cured) {
            Ok(text) => modules.push((shape.module(), text)),
            Err(error) => writeln!(problems, "{}, cured: {error}", shape.name).unwrap(),
        }
    }
    assert!(problems.is_empty(), "{problems}");
    assert!(modules.len() >= 150, "{}", modules.len());
    support::test("shapes", &modules);
}

#[test]
fn every_other_shape_is_refused_with_its_location() {
    let mut problems = String::new();
    for shape in shapes("refused.yaml") {
        let text = |key: &str| shape.parts[key].as_str().unwrap();
        match shape.generate(shape.document()) {
            Ok(_) => writeln!(problems, "{}: code was generated", shape.name).unwrap(),
            Err(error) => {
                let message = error.to_string();
                let is_right = message.contains(text("refused")) && error.pointer() == Some(text("at"));
                if !is_right
                    || !message.contains("help: ")
                    || shape.document().pointer(text("at")).is_none() && !text("at").ends_with("parameters")
                {
                    writeln!(problems, "{}: {error}\n", shape.name).unwrap();
                }
            }
        }
    }
    assert!(problems.is_empty(), "{problems}");
}

fn without_spaces(text: &str) -> String {
    text.split_whitespace().collect()
}

fn with_description(action: &Value) -> Value {
    let mut action = action.clone();
    action["description"] = json!("The generator refuses this part.");
    action
}
