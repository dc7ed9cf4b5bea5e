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
    let Effective { changes, .. } = effective(Some(&generated(old)), Some(&generated(new)));
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
    let Effective { changes, interface, .. } = effective(Some(&generated(&old)), Some(&generated(&new)));
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
        overlay_errors: Vec::new(),
        is_older_overlay_stale: false,
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
    let Effective { changes, .. } = effective(Some(&before), Some(&after));
    assert_eq!(changes.iter().map(Change::text).collect::<Vec<_>>(), ["operation `x` removed"]);
}

#[test]
fn a_change_is_reported_once() {
    let old = json!({"responses": {"200": object(&["a"]), "404": object(&["b"])}});
    let new = json!({"responses": {"200": object(&["a"]), "404": object(&["b"]), "default": object(&["b"])}});
    let Effective { changes, .. } = effective(Some(&generated(&old)), Some(&generated(&new)));
    let mut published = compare::published(&Model::published(&document(&old)), &Model::published(&document(&new)));
    published = uncovered(published, &changes);
    assert_eq!(published.iter().map(Change::text).collect::<Vec<_>>(), Vec::<String>::new());
    let mut renamed = document(&old);
    renamed["paths"]["/x"]["post"]["operationId"] = json!("X");
    let header = Header { document: "d".into(), overlay: "o".into(), sha256: "0" };
    let Effective { changes, .. } =
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

/// Creates two versions of a document whose operation `x` uses the schema `S`. In the second
/// version, the new operation `y` uses the schema in the other direction.
fn with_another_use(schema: &Value, is_received_first: bool) -> [Generated; 2] {
    let body =
        json!({"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/S"}}}});
    let empty = json!({"responses": {"204": {"description": ""}}});
    let operation = |id: &str, is_received: bool| {
        let mut operation = empty.clone();
        operation["operationId"] = json!(id);
        if is_received {
            operation["responses"] = json!({"200": body});
        } else {
            operation["requestBody"] = body.clone();
        }
        json!({"post": operation})
    };
    let document = |more: Option<Value>| {
        let mut paths = json!({"/x": operation("x", is_received_first)});
        paths.as_object_mut().unwrap().extend(more.map(|more| ("/y".to_owned(), more)));
        json!({"openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "paths": paths,
            "components": {"schemas": {"S": schema}}})
    };
    let header = Header { document: "d".into(), overlay: "o".into(), sha256: "0" };
    [None, Some(operation("y", !is_received_first))]
        .map(|more| generate::generate(document(more), &header, SecretNames::Unchecked).unwrap())
}

#[test]
fn a_use_elsewhere_breaks_only_if_a_public_item_changes() {
    let mut failures = Vec::new();
    for (name, property, breaks) in [
        ("text", json!({"type": "string"}), [false, false]),
        ("enum", json!({"type": "string", "enum": ["a", "b"]}), [false, true]),
        ("bounded integer", json!({"type": "integer", "minimum": 0, "maximum": 9}), [false, false]),
        ("positive integer", json!({"type": "integer", "minimum": 1}), [false, true]),
        ("int32", json!({"type": "integer", "format": "int32"}), [false, true]),
        ("date", json!({"type": "string", "format": "date-time"}), [false, false]),
        ("default", json!({"type": "string", "default": "a"}), [false, true]),
        ("integer default", json!({"type": "integer", "default": 3}), [false, true]),
        ("list", json!({"type": "array", "items": {"type": "string", "enum": ["a"]}}), [false, true]),
        ("object", json!({"type": "object", "properties": {"b": {"type": "string", "enum": ["a"]}}}), [false, true]),
        (
            "closed",
            json!({"type": "object", "additionalProperties": false, "properties": {"b": {"type": "string"}}}),
            [false, false],
        ),
        ("map", json!({"type": "object", "additionalProperties": {"type": "integer"}}), [false, false]),
        ("choice", json!({"oneOf": [{"type": "string"}, {"type": "integer"}]}), [false, true]),
    ] {
        for (is_received_first, breaks) in [(true, breaks[0]), (false, breaks[1])] {
            for required in [json!([]), json!(["a"])] {
                let schema = json!({"type": "object", "required": required, "properties": {"a": property}});
                // In a response, a default has no effect, so an optional field becomes an `Option`.
                let is_plain = property.get("default").is_some() && required == json!(["a"]);
                let breaks = breaks && !is_plain;
                let [old, new] = with_another_use(&schema, is_received_first);
                for (old, new, breaks) in [(&old, &new, Some(breaks)), (&new, &old, None)] {
                    let Effective { changes, interface, .. } = effective(Some(old), Some(new));
                    let broken: Vec<String> =
                        interface.iter().filter(|item| item.is_breaking()).map(Difference::text).collect();
                    let reported: Vec<String> =
                        changes.iter().filter(|change| change.effect.is_breaking()).map(Change::text).collect();
                    // The operation `x` does not change in the document.
                    let mut about_x = changes.iter().filter(|change| is_about_x(change));
                    if let Some(change) = about_x.find(|change| change.reason.is_none()) {
                        failures.push(format!(
                            "{name} received first: {is_received_first} {required}: no reason: {}",
                            change.text()
                        ));
                    }
                    if broken.is_empty() != reported.is_empty()
                        || breaks.is_some_and(|breaks| breaks == broken.is_empty())
                    {
                        failures.push(format!(
                            "{name} received first: {is_received_first} {required}: {reported:#?} {broken:#?}"
                        ));
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_trait_that_depends_on_another_operation_is_reported_with_its_reason() {
    for (is_received_first, expected) in [
        (true, ["impl Default for types::S", "impl serde::Serialize for types::S"].as_slice()),
        (false, ["impl serde::Deserialize for types::S"].as_slice()),
    ] {
        let verb = if is_received_first { "sends" } else { "receives" };
        let [old, new] = with_another_use(&object(&["a"]), is_received_first);
        let Effective { interface, .. } = effective(Some(&old), Some(&new));
        let Effective { interface: back, .. } = effective(Some(&new), Some(&old));
        for item in expected {
            let gained = format!("+ {item} // POST /y now {verb} this type");
            assert!(
                interface.iter().flat_map(Difference::lines).any(|line| line == gained),
                "{gained}: {interface:#?}"
            );
            let lost = format!("`{item}` was removed (no operation {verb} this type any more)");
            assert!(back.iter().any(|difference| difference.text() == lost), "{lost}: {back:#?}");
        }
    }
}

#[test]
fn a_shared_schema_is_reported_for_each_operation_at_a_few_places() {
    // The number of places at which a body contains the last schema is exponential.
    let schemas = |added: &[&str]| {
        let mut schemas = json!({"S30": object(added)});
        for number in 0..30 {
            let next = json!({"$ref": format!("#/components/schemas/S{}", number + 1)});
            schemas[format!("S{number}")] = json!({"type": "object", "properties": {"l": next, "r": next}});
        }
        json!({"schemas": schemas, "responses": {"200": {"$ref": "#/components/schemas/S0"}}})
    };
    let lines = lines(&schemas(&["a"]), &schemas(&["a", "b"]));
    assert_eq!(lines.len(), 4, "{lines:#?}");
    assert!(lines.iter().all(|line| line.contains("added: text, optional, like further fields of the same type")));
}

/// Creates two versions of a document with the operation `x`. In the second version, the operation `y`
/// returns the schema `name`.
fn with_another_response(parts: &Value, name: &str) -> [Generated; 2] {
    let mut before = document(parts);
    before["paths"]["/y"] = json!({"post": {"operationId": "y", "responses": {"204": {"description": ""}}}});
    let mut after = before.clone();
    let schema = json!({"$ref": format!("#/components/schemas/{name}")});
    after["paths"]["/y"]["post"]["responses"] =
        json!({"200": {"description": "", "content": {"application/json": {"schema": schema}}}});
    [before, after].map(generated_from)
}

fn generated_from(document: Value) -> Generated {
    let header = Header { document: "d".into(), overlay: "o".into(), sha256: "0" };
    generate::generate(document, &header, SecretNames::Unchecked).unwrap_or_else(|error| panic!("{error}"))
}

fn is_about_x(change: &Change) -> bool {
    change.operation.iter().any(|title| title == "POST /x")
}

/// Returns the lines about the operation `x`.
fn lines_about_x(old: &Generated, new: &Generated) -> Vec<String> {
    let Effective { changes, .. } = effective(Some(old), Some(new));
    let changes = changes.iter().filter(|change| is_about_x(change));
    changes.map(|change| format!("{} [{}]", change.text(), change.effect.words())).collect()
}

#[test]
fn a_change_with_its_cause_elsewhere_names_the_cause() {
    let values = json!({"type": "string", "enum": ["a", "b"]});
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let object = |property: &Value| json!({"type": "object", "properties": {"a": property}});
    let parameter = |schema: Value| json!({"parameters": [{"name": "k", "in": "query", "schema": schema}]});
    let choice = json!({"oneOf": [reference("P"), reference("Q")]});
    let both = json!({"P": object(&json!({"type": "string"})), "Q": object(&json!({"type": "integer"}))});
    let request = |schema: Value| json!({"request": schema});
    for (name, x, schemas, wide, narrow) in [
        (
            "S",
            request(reference("S")),
            json!({"S": object(&values)}),
            "request field `a` now allows any text",
            "request field `a` now allows only `a`, `b`",
        ),
        (
            "K",
            request(object(&reference("K"))),
            json!({"K": values}),
            "request field `a` now allows any text",
            "request field `a` now allows only `a`, `b`",
        ),
        (
            "K",
            request(object(&json!({"type": "array", "items": reference("K")}))),
            json!({"K": values}),
            "request field `a[]` now allows any text",
            "request field `a[]` now allows only `a`, `b`",
        ),
        (
            "L",
            request(object(&reference("L"))),
            json!({"L": {"type": "array", "items": {"type": "integer", "format": "int32"}}}),
            "request field `a[]` changed its `format` from int32 to none",
            "request field `a[]` changed its `format` from none to int32",
        ),
        (
            "K",
            request(object(&reference("K"))),
            json!({"K": {"type": "integer", "format": "int32"}}),
            "request field `a` changed its `format` from int32 to none",
            "request field `a` changed its `format` from none to int32",
        ),
        (
            "K",
            parameter(reference("K")),
            json!({"K": {"type": "integer", "format": "int32"}}),
            "query parameter `k` changed its `format` from int32 to none",
            "query parameter `k` changed its `format` from none to int32",
        ),
        (
            "K",
            parameter(json!({"type": "array", "items": reference("K")})),
            json!({"K": values}),
            "query parameter `k` now allows any text",
            "query parameter `k` now allows only `a`, `b`",
        ),
        (
            "C",
            request(object(&reference("C"))),
            json!({"C": choice, "P": both["P"], "Q": both["Q"]}),
            "request field `a` changed from one of several types to one of several types or another value",
            "request field `a` changed from one of several types or another value to one of several types",
        ),
    ] {
        let mut parts = x;
        parts["schemas"] = schemas;
        let [old, new] = with_another_response(&parts, name);
        assert_eq!(
            lines_about_x(&old, &new),
            [format!("{wide} (`POST /y` now receives the type `{name}`) [breaking for callers]")]
        );
        assert_eq!(
            lines_about_x(&new, &old),
            [format!("{narrow} (no operation receives the type `{name}` any more) [breaking for callers]")]
        );
    }
}

#[test]
fn a_use_elsewhere_without_an_effect_on_the_code_is_compatible() {
    let schema = json!({"type": "object", "additionalProperties": false, "properties": {
        "a": {"type": "number", "minimum": 0}, "b": {"type": "string", "maxLength": 9}}});
    let parts = json!({"request": {"$ref": "#/components/schemas/S"}, "schemas": {"S": schema}});
    let [old, new] = with_another_response(&parts, "S");
    assert_eq!(
        lines_about_x(&old, &new),
        [
            "request body changed its `additionalProperties` from false to none (`POST /y` now receives the type `S`) [compatible]",
            "request field `a` changed its `minimum` from 0 to none (`POST /y` now receives the type `S`) [compatible]",
        ]
    );
}

#[test]
fn a_change_of_the_place_itself_has_no_other_cause() {
    // The enum becomes text in the document, too.
    let parts = |property: Value| {
        let schema = json!({"type": "object", "properties": {"a": property}});
        json!({"request": {"$ref": "#/components/schemas/S"}, "schemas": {"S": schema}})
    };
    let [old, _] = with_another_response(&parts(json!({"type": "string", "enum": ["a"]})), "S");
    let [_, new] = with_another_response(&parts(json!({"type": "string"})), "S");
    assert_eq!(lines_about_x(&old, &new), ["request field `a` now allows any text [breaking for callers]"]);
    // The title changes in the document, and another schema has the old name.
    let titled = |title: &str| json!({"title": title, "type": "object", "properties": {"b": {"type": "string"}}});
    let named = |title: &str| json!({"responses": {"200": titled(title)}, "schemas": {"Item": object(&["z"])}});
    let mut old = document(&named("Item"));
    old["components"]["schemas"] = json!({});
    let [_, new] = with_another_response(&named("Entry"), "Item");
    assert_eq!(
        lines_about_x(&generated_from(old), &new),
        ["the success type changed from `Item` to `Entry` [breaking for code that reads it]"]
    );
    // If one of two error bodies with the same title gets a field, the bodies get separate types.
    let error = |fields: &[&str]| {
        let mut error = object(fields);
        error["title"] = json!("Failure");
        error
    };
    let errors = |fields: &[&str]| json!({"responses": {"204": {}, "400": error(&["a"]), "500": error(fields)}});
    let lines = lines(&errors(&["a"]), &errors(&["a", "b"]));
    assert!(lines.iter().any(|line| line.starts_with("the error type changed from `Failure`")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("another schema")), "{lines:#?}");
}

#[test]
fn a_name_that_another_schema_takes_is_named_as_the_cause() {
    let item = json!({"title": "Item", "type": "object", "properties": {"b": {"type": "string"}}});
    let responses =
        json!({"200": item, "404": {"type": "object", "properties": {"items": {"type": "array", "items": item}}}});
    let [old, new] =
        with_another_response(&json!({"responses": responses, "schemas": {"Item": object(&["z"])}}), "Item");
    for (old, new, from, to, cause) in [
        (&old, &new, "Item", "XResponse", "another schema is now named `Item`"),
        (&new, &old, "XResponse", "Item", "no other schema is named `Item` any more"),
    ] {
        let lines = lines_about_x(old, new);
        let expected =
            format!("the success type changed from `{from}` to `{to}` ({cause}) [breaking for code that reads it]");
        assert!(lines.contains(&expected), "{lines:#?}");
        assert!(lines.iter().all(|line| line.contains(cause)), "{lines:#?}");
    }
}

#[test]
fn a_change_inside_an_alternative_of_a_response_has_its_effect() {
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let choice = |names: &[&str], fields: &[&str]| {
        let parts: Vec<Value> = names.iter().map(|name| reference(name)).collect();
        json!({"responses": {"200": {"oneOf": parts}},
            "schemas": {"A": object(fields), "B": object(&["b"]), "C": object(&["c"])}})
    };
    let subtype = |own: &[&str], base: &[&str]| {
        let mut pet = object(base);
        pet["discriminator"] = json!({"propertyName": "kind"});
        json!({"responses": {"200": reference("Pet")},
            "schemas": {"Pet": pet, "Cat": {"allOf": [reference("Pet"), object(own)]}}})
    };
    let inline = |fields: &[&str]| json!({"responses": {"200": {"oneOf": [object(fields), object(&["b"])]}}});
    for (old, new, expected) in [
        (
            choice(&["A", "B"], &["a", "z"]),
            choice(&["A", "B"], &["a"]),
            vec!["response 200 field `(A).z` removed [breaking for code that reads it]"],
        ),
        (
            choice(&["A", "B"], &["a"]),
            choice(&["A", "B", "C"], &["a"]),
            vec!["response 200 field `(C)` added: object [compatible]"],
        ),
        (
            choice(&["A", "B", "C"], &["a"]),
            choice(&["A", "B"], &["a"]),
            vec!["response 200 field `(C)` removed [breaking for code that reads it]"],
        ),
        (
            subtype(&["a", "z"], &["kind"]),
            subtype(&["a"], &["kind"]),
            vec!["response 200 field `(Cat).z` removed [breaking for code that reads it]"],
        ),
        (
            subtype(&["a"], &["kind", "z"]),
            subtype(&["a"], &["kind"]),
            vec![
                "response 200 field `(Cat).z` removed [breaking for code that reads it]",
                "response 200 field `(PetBase).z` removed [breaking for code that reads it]",
            ],
        ),
        (
            inline(&["a", "z"]),
            inline(&["a"]),
            vec!["response 200 field `(XResponseOption1).z` removed [breaking for code that reads it]"],
        ),
    ] {
        assert_eq!(lines(&old, &new), expected);
        // The published documents show no other change.
        let Effective { changes, .. } = effective(Some(&generated(&old)), Some(&generated(&new)));
        let published = compare::published(&Model::published(&document(&old)), &Model::published(&document(&new)));
        let published: Vec<String> = uncovered(published, &changes).iter().map(Change::text).collect();
        assert_eq!(published, Vec::<String>::new());
    }
}

#[test]
fn values_of_a_nullable_enum_and_of_a_list_parameter_are_reported() {
    let nullable = |values: Value| json!({"request": {"type": "object", "properties": {"a": {"type": "string", "nullable": true, "enum": values}}}});
    assert_eq!(
        lines(&nullable(json!(["a", "b", null])), &nullable(json!(["a", "c", null]))),
        [
            "request field `a` now also allows `c` [compatible]",
            "request field `a` no longer allows `b` [breaking for callers]"
        ]
    );
    let list = |values: Value| json!({"parameters": [{"name": "k", "in": "query", "schema": {"type": "array", "items": {"type": "string", "enum": values}}}]});
    assert_eq!(
        lines(&list(json!(["a", "b"])), &list(json!(["a"]))),
        ["query parameter `k` no longer allows `b` [breaking for callers]"]
    );
}
