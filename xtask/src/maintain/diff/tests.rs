use serde_json::{Value, json};

use super::*;
use crate::generate::output::Header;

/// Creates a document with the operation `POST /x`, built from `parts`.
fn document(parts: &Value) -> Value {
    let part = |key: &str| parts.get(key).cloned().unwrap_or_else(|| json!({}));
    let mut operation = json!({"operationId": "x", "responses": {"200": {"description": ""}}});
    if let Some(schema) = parts.get("request") {
        operation["requestBody"] = json!({"content": {"application/json": {"schema": schema}}});
    }
    if let Some(responses) = parts.get("responses").and_then(Value::as_object) {
        let response = |schema: &Value| json!({"description": "", "content": {"application/json": {"schema": schema}}});
        operation["responses"] = responses.iter().map(|(status, schema)| (status.clone(), response(schema))).collect();
    }
    if let Some(parameters) = parts.get("parameters") {
        operation["parameters"] = parameters.clone();
    }
    let path = parts.get("path").and_then(Value::as_str).unwrap_or("/x");
    let mut paths = json!({path: {"post": operation}});
    for (path, id) in parts.get("others").and_then(Value::as_object).into_iter().flatten() {
        paths[path] = json!({"post": {"operationId": id, "responses": {"204": {"description": ""}}}});
    }
    json!({"openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "paths": paths, "security": parts.get("security").cloned().unwrap_or_else(|| json!([])),
        "components": {"schemas": part("schemas"), "securitySchemes": part("schemes")}})
}

fn generated(parts: &Value) -> Generated {
    let header = Header { document: "d".into(), overlay: "o".into(), sha256: "0" };
    generate::generate(document(parts), &header, SecretNames::Unchecked).unwrap_or_else(|error| panic!("{error}"))
}

fn lines(old: &Value, new: &Value) -> Vec<String> {
    let (changes, _) = effective(Some(&generated(old)), Some(&generated(new)));
    changes.iter().map(|change| format!("{} [{}]", change.text(), change.effect.words())).collect()
}

fn object(fields: &[&str]) -> Value {
    let properties: serde_json::Map<String, Value> =
        fields.iter().map(|field| ((*field).to_owned(), json!({"type": "string"}))).collect();
    json!({"type": "object", "properties": properties})
}

#[test]
fn a_removed_public_item_breaks_even_if_the_document_change_is_compatible() {
    // In the document, only a status changes, but a type and a field disappear from the generated
    // code.
    let nested = json!({"type": "object", "properties": {"a": {"type": "string"}, "n": object(&["k"])}});
    let (old, new) = (json!({"responses": {"200": nested}}), json!({"responses": {"201": object(&["a"])}}));
    let (changes, interface) = effective(Some(&generated(&old)), Some(&generated(&new)));
    assert!(!changes.iter().any(|change| change.effect.is_breaking()), "{changes:#?}");
    let step = required_step(&changes, &interface, false);
    assert_eq!(step, Step::Major);
    let diff = ProductDiff {
        product: Product::Pay,
        sha256: [None, None],
        version: Version::new(0, 1, 0),
        is_released: true,
        changes,
        reworded: 0,
        interface,
        step,
        refused: None,
    };
    let text = changelog(&diff);
    let (_, listed) = text.split_once("### Breaking changes in Rust\n\n").unwrap();
    for item in ["`struct types::XResponseN: non_exhaustive`", "`field types::XResponse.n: "] {
        assert!(listed.contains(item), "{listed}");
    }
    for item in diff.interface.iter().filter(|item| !item.is_breaking()) {
        assert!(!listed.contains(&item.text()), "{listed}");
    }
}

#[test]
fn a_removed_field_and_a_removed_operation_are_both_reported() {
    // Both operations use the type whose field is removed.
    let shared = |fields: &[&str]| json!({"schemas": {"S": object(fields)}, "responses": {"200": {"$ref": "#/components/schemas/S"}}, "others": {"/y": "y"}});
    let mut new = shared(&["a"]);
    new["others"] = json!({});
    assert_eq!(
        lines(&shared(&["a", "b"]), &new),
        [
            "response 200 field `b` removed [breaking for code that reads it]",
            "operation `y` removed [breaking for callers]"
        ]
    );
}

#[test]
fn changes_within_all_of_are_reported_field_by_field() {
    let schemas = json!({"A": object(&["a", "b"])});
    let request =
        |more: Value| json!({"schemas": schemas, "request": {"allOf": [{"$ref": "#/components/schemas/A"}, more]}});
    assert_eq!(
        lines(
            &request(object(&["c"])),
            &request(json!({"type": "object", "required": ["a"], "properties": {"c": {"type": "string"}}}))
        ),
        ["request field `a` is now required [breaking for callers]"]
    );
}

#[test]
fn alternatives_are_reported_by_type_name() {
    let schemas = |fields: &[&str]| json!({"Aa": object(fields), "Bb": object(&["b"]), "Cc": object(&["c"])});
    let one_of = |names: &[&str], fields: &[&str]| {
        let parts: Vec<Value> =
            names.iter().map(|name| json!({"$ref": format!("#/components/schemas/{name}")})).collect();
        json!({"schemas": schemas(fields), "request": {"type": "object", "properties": {"v": {"oneOf": parts}}}})
    };
    assert_eq!(lines(&one_of(&["Aa", "Bb"], &["a"]), &one_of(&["Bb", "Aa"], &["a"])), Vec::<String>::new());
    assert_eq!(
        lines(&one_of(&["Aa", "Bb"], &["a", "z"]), &one_of(&["Aa", "Bb", "Cc"], &["a"])),
        ["request field `v(Aa).z` removed [breaking for callers]", "request field `v(Cc)` added: object [compatible]"]
    );
    assert_eq!(
        lines(&one_of(&["Aa", "Bb"], &["a"]), &one_of(&["Aa", "Cc"], &["a"])),
        ["request field `v(Bb)` removed [breaking for callers]", "request field `v(Cc)` added: object [compatible]"]
    );
}

#[test]
fn path_parameters_that_swap_positions_are_reported() {
    let parameter = |name: &str| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}});
    let path = |path: &str| json!({"path": path, "parameters": [parameter("a"), parameter("b")]});
    assert_eq!(
        lines(&path("/x/{a}/{b}"), &path("/x/{b}/{a}")),
        [
            "path parameter `b` takes the position of `a` [breaking for callers]",
            "path parameter `a` takes the position of `b` [breaking for callers]"
        ]
    );
}

#[test]
fn changed_credentials_are_reported() {
    let scheme = |scheme: &str| json!({"security": [{"s": []}], "schemes": {"s": {"type": "http", "scheme": scheme}}});
    assert_eq!(
        lines(&scheme("bearer"), &scheme("basic")),
        [
            "the security scheme `s` changed from http bearer to http basic [documentation only]",
            "the credentials changed from a bearer token in `Authorization` to a name and a password in `Authorization` [breaking for callers]",
        ]
    );
    // The name of a scheme does not matter, and neither does a scheme that no operation requires.
    let mut two = scheme("Bearer");
    two["schemes"]["t"] = json!({"type": "http", "scheme": "basic"});
    let mut other = two.clone();
    other["security"] = json!([{"t": []}]);
    assert_eq!(lines(&scheme("bearer"), &two), Vec::<String>::new());
    let changed = lines(&two, &other);
    assert!(changed.contains(&"the credentials changed from a bearer token in `Authorization` to a name and a password in `Authorization` [breaking for callers]".to_owned()), "{changed:?}");
    other["security"] = json!([{"s": []}]);
    other["schemes"]["t"]["scheme"] = json!("digest");
    assert_eq!(
        lines(&two, &other),
        ["the security scheme `t` changed from http basic to http digest [documentation only]"]
    );
    let mut free = scheme("bearer");
    free["security"] = json!([]);
    let added = lines(&free, &scheme("bearer"));
    assert!(
        added.contains(
            &"header `Authorization` added: secret `Authorization`, required [breaking for callers]".to_owned()
        ),
        "{added:?}"
    );
}

#[test]
fn the_effect_of_a_keyword_depends_only_on_its_own_place() {
    let list = |more: Value, fields: &[&str]| {
        let mut request = object(fields);
        request["properties"]["l"] = json!({"type": "array", "items": {"type": "string"}});
        request["properties"]["l"].as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        json!({"request": request})
    };
    assert_eq!(
        lines(&list(json!({}), &["a", "b"]), &list(json!({"default": []}), &["a"])),
        [
            "request field `b` removed [breaking for callers]",
            "request field `l` changed its `default` from none to [] [compatible]"
        ]
    );
    // The map of additional properties is an argument of the constructor.
    let more = json!({"request": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "integer"}},
        "responses": {"200": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "integer"}}}});
    assert_eq!(
        lines(&json!({"request": object(&["a"]), "responses": {"200": object(&["a"])}}), &more),
        [
            "request field `{}` added: integer [breaking for callers]",
            "response 200 field `{}` added: integer [compatible]"
        ]
    );
}

#[test]
fn operations_are_matched_by_method_and_path_before_their_id() {
    let old = json!({"others": {"/a": "foo", "/b": "bar"}});
    let new = json!({"others": {"/b": "foo"}});
    assert_eq!(
        lines(&old, &new),
        [
            "operation `foo` removed [breaking for callers]",
            "operation `foo` was previously named `bar` [breaking for callers]"
        ]
    );
}

#[test]
fn changes_of_types_and_bodies_are_reported() {
    let schemas = json!({
        "S": {"type": "object", "properties": {"a": {"type": "string"}, "n": {"$ref": "#/components/schemas/N"}}},
        "N": object(&["k"]), "Aa": object(&["a"]), "Ea": object(&["a"]), "Eb": object(&["a"]),
    });
    let parts = |more: Value| {
        let mut parts = json!({"schemas": schemas});
        parts.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        parts
    };
    let s = json!({"$ref": "#/components/schemas/S"});
    let field = |schema: &Value| json!({"type": "object", "properties": {"s": schema, "z": {"type": "string"}}});
    let titled = |title: &str| json!({"title": title, "type": "object", "properties": {"b": {"type": "string"}}});
    let errors = |error: Value| parts(json!({"responses": {"200": s, "400": error, "404": object(&["c"])}}));
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    for (old, new, expected) in [
        (
            parts(json!({"request": field(&s), "responses": {"200": s}})),
            parts(json!({"request": object(&["z"]), "responses": {"200": s}})),
            "request field `s` removed",
        ),
        (
            parts(json!({"request": s, "responses": {"200": s}})),
            parts(json!({"responses": {"200": s}})),
            "request body removed",
        ),
        (
            parts(json!({"request": s, "responses": {"200": field(&s)}})),
            parts(json!({"request": s, "responses": {"200": object(&["z"])}})),
            "response 200 field `s` removed",
        ),
        (
            parts(json!({"request": s, "responses": {"200": s}})),
            parts(json!({"request": s})),
            "response 200 changed from object to no body",
        ),
        (errors(titled("One")), errors(titled("Two")), "error 400 now has the type `Two`, previously `One`"),
        (errors(reference("Ea")), errors(reference("Eb")), "error 400 now has the type `Eb`, previously `Ea`"),
        (errors(object(&["a"])), errors(reference("Ea")), "error 400 now has the type `Ea`"),
        (
            parts(json!({"request": {"allOf": [reference("Aa")]}})),
            parts(json!({"request": {"allOf": [reference("Aa"), object(&["b"])]}})),
            "request body now has the type `XRequest`, previously `Aa`",
        ),
        (
            parts(json!({"request": field(&json!({"description": "d", "allOf": [reference("Aa")]}))})),
            parts(json!({"request": field(&json!({"allOf": [reference("Aa"), object(&["b"])]}))})),
            "request field `s` now has the type `XRequestS`, previously `Aa`",
        ),
        (
            parts(json!({"request": field(&json!({"oneOf": [{"type": "string"}, {"type": "integer"}]}))})),
            parts(json!({"request": field(&json!({"oneOf": [{"type": "integer"}, {"type": "string"}]}))})),
            "",
        ),
    ] {
        let lines = lines(&old, &new);
        if expected.is_empty() {
            assert_eq!(lines, Vec::<String>::new());
        } else {
            assert!(lines.iter().any(|line| line.starts_with(expected)), "{expected}: {lines:#?}");
        }
    }
    // The operation that sends a type is removed, and another operation still returns that type.
    let other = json!({"/y": "y"});
    let old = parts(json!({"request": s, "responses": {"200": s}, "others": other}));
    let mut before = document(&old);
    before["paths"]["/y"]["post"]["responses"] = before["paths"]["/x"]["post"]["responses"].clone();
    let mut after = before.clone();
    after["paths"].as_object_mut().unwrap().shift_remove("/x");
    let header = Header { document: "d".into(), overlay: "o".into(), sha256: "0" };
    let [before, after] =
        [before, after].map(|document| generate::generate(document, &header, SecretNames::Unchecked).unwrap());
    let (changes, _) = effective(Some(&before), Some(&after));
    assert_eq!(changes.iter().map(Change::text).collect::<Vec<_>>(), ["operation `x` removed"]);
}

#[test]
fn a_change_is_reported_once() {
    let old = json!({"responses": {"200": object(&["a"]), "404": object(&["b"])}});
    let new = json!({"responses": {"200": object(&["a"]), "404": object(&["b"]), "default": object(&["b"])}});
    let (changes, _) = effective(Some(&generated(&old)), Some(&generated(&new)));
    let mut published = compare::published(&Model::published(&document(&old)), &Model::published(&document(&new)));
    published.retain(|change| !changes.iter().any(|reported| reported.covers(change)));
    assert_eq!(published.iter().map(Change::text).collect::<Vec<_>>(), Vec::<String>::new());
    let mut renamed = document(&old);
    renamed["paths"]["/x"]["post"]["operationId"] = json!("X");
    let header = Header { document: "d".into(), overlay: "o".into(), sha256: "0" };
    let (changes, _) =
        effective(Some(&generated(&old)), Some(&generate::generate(renamed, &header, SecretNames::Unchecked).unwrap()));
    assert_eq!(changes.len(), 0);
}

#[test]
fn a_dot_in_a_field_name_does_not_separate_fields() {
    let request = |inner: &str| {
        json!({"request": {"type": "object", "properties": {
        "a.b": {"type": "string"}, "a": {"type": "object", "properties": {"b": {"type": inner}}}}}})
    };
    assert_eq!(
        lines(&request("string"), &request("boolean")),
        ["request field `a.b` changed from text to boolean [breaking for callers]"]
    );
}

#[test]
fn keywords_that_do_not_reach_the_code_are_reported_as_published() {
    let parts = |more: Value| json!({"request": {"type": "object", "properties": {"l": more}}});
    let changes_of = |old: Value, new: Value| {
        let changes =
            compare::published(&Model::published(&document(&parts(old))), &Model::published(&document(&parts(new))));
        changes.iter().map(Change::text).collect::<Vec<_>>()
    };
    let list = json!({"type": "array", "items": {"type": "string"}});
    assert_eq!(
        changes_of(list, json!({"type": "array", "uniqueItems": true, "readOnly": true, "items": {"type": "string"}})),
        [
            "request field `l` changed its `readOnly` from none to true",
            "request field `l` changed its `uniqueItems` from none to true"
        ]
    );
}
