use serde_json::json;

use super::*;
use crate::spec::schema;

fn document(operation: Value, components: Value) -> Value {
    json!({
        "openapi": "3.0.3",
        "info": {"title": "t", "version": "1"},
        "paths": {"/x": {"post": operation}},
        "components": components,
    })
}

fn json_body(schema: Value) -> Value {
    json!({"description": "", "content": {"application/json": {"schema": schema}}})
}

#[test]
fn t01_success_and_error_schemas_get_separate_names() {
    let operation = json!({"operationId": "getToken", "responses": {
        "200": json_body(json!({"type": "object", "properties": {"a": {"type": "string"}}})),
        "401": json_body(json!({"type": "object", "properties": {"b": {"type": "string"}}})),
        "5XX": json_body(json!({"type": "object", "description": "other prose", "properties": {"b": {"type": "string"}}})),
    }});
    let normalized = normalize(document(operation, json!({}))).unwrap();
    let schemas = schema::object(&normalized.document, "/components/schemas").unwrap();
    assert_eq!(schemas.keys().collect::<Vec<_>>(), ["GetTokenResponse", "GetTokenError"]);
    let operation = &normalized.operations[0];
    assert_eq!(operation.success.bodies[0].schema.as_deref(), Some("GetTokenResponse"));
    assert!(operation.error.bodies.iter().all(|body| body.schema.as_deref() == Some("GetTokenError")));
    assert!(operation.error.union.is_none());
}

#[test]
fn t02_accept_and_content_type_do_not_become_arguments() {
    let header = |name: &str, schema: Value| json!({"name": name, "in": "header", "required": true, "schema": schema});
    let operation = json!({"operationId": "x", "responses": {}, "parameters": [
        header("Accept", json!({"type": "string"})),
        header("content-type", json!({"type": "string", "default": "application/json"})),
        header("Authorization", json!({"type": "string"})),
        header("flinks-auth-key", json!({"type": "string"})),
    ]});
    let normalized = normalize(document(operation.clone(), json!({}))).unwrap();
    let left = &normalized.document["paths"]["/x"]["post"]["parameters"];
    assert_eq!(left.as_array().unwrap().len(), 1);
    assert_eq!(left[0]["name"], "flinks-auth-key");
    assert_eq!(normalized.operations[0].content_type.as_deref(), Some("application/json"));

    let mut marked = operation;
    marked["parameters"][2]["schema"] = json!({"type": "string", "format": "password"});
    let normalized = normalize(document(marked, json!({}))).unwrap();
    assert_eq!(normalized.secrets.len(), 1);
    assert_eq!(normalized.secrets[0].to_string(), "x header Authorization");
}

#[test]
fn t04_a_marked_schema_keeps_only_its_mark() {
    let schemas = json!({"schemas": {"Reply": {"type": "object", "required": ["a", "b"], "properties": {
        "a": {"type": "string", "format": "password", "maxLength": 9, "x-y": 1, "description": "d", "nullable": true},
        "b": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string", "format": "password", "minLength": 1}}},
        "c": {"type": "string"},
        "example": {"type": "string", "format": "password", "maxLength": 9},
    }}}});
    let normalized = normalize(document(json!({"operationId": "x", "responses": {}}), schemas)).unwrap();
    let reply = &normalized.document["components"]["schemas"]["Reply"];
    assert_eq!(reply["properties"]["a"], json!({"type": "string", "format": "password", "description": "d"}));
    assert_eq!(reply["required"], json!(["b"]));
    let secrets: Vec<String> = normalized.secrets.iter().map(ToString::to_string).collect();
    assert_eq!(secrets, ["Reply.a", "Reply.b", "Reply.example"]);
    assert_eq!(reply["properties"]["example"], json!({"type": "string", "format": "password"}));
}

#[test]
fn t10_only_optional_properties_can_be_lenient() {
    let lenient = |list: Value| {
        let reply = json!({"type": "object", "required": ["a"], "x-lenient": list,
            "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}});
        let operation = json!({"operationId": "x", "responses": {"200": json_body(reply)}});
        normalize(document(operation, json!({})))
    };
    let normalized = lenient(json!(["b"])).unwrap();
    assert_eq!(normalized.lenient, [("XResponse".to_owned(), "b".to_owned())].into());
    assert_eq!(normalized.document["components"]["schemas"]["XResponse"].get("x-lenient"), None);
    for bad in [json!("b"), json!(["a"]), json!(["c"]), json!([1])] {
        assert_eq!(lenient(bad).unwrap_err().pointer(), Some("/components/schemas/XResponse"));
    }
}

#[test]
fn error_codes_must_be_a_list_of_names() {
    let codes = |codes: Value| {
        let operation = json!({"operationId": "x", "responses": {}, "x-error-codes": codes});
        normalize(document(operation, json!({}))).map(|normalized| normalized.operations[0].error_codes.clone())
    };
    assert_eq!(codes(json!(["error", "code"])).unwrap(), ["error", "code"]);
    for bad in [json!("error"), json!([1]), json!([""]), json!({})] {
        assert_eq!(codes(bad).unwrap_err().pointer(), Some("/paths/~1x/post/x-error-codes"));
    }
}

#[test]
fn t12_several_success_bodies_become_a_union_by_status() {
    let operation = json!({"operationId": "x", "responses": {
        "200": json_body(json!({"title": "XSession", "type": "object", "properties": {"a": {"type": "string"}}})),
        "203": json_body(json!({"type": "object", "properties": {"b": {"type": "string"}}})),
        "204": {"description": ""},
    }});
    let normalized = normalize(document(operation, json!({}))).unwrap();
    let success = &normalized.operations[0].success;
    assert_eq!(success.union.as_deref(), Some("XResponse"));
    let schemas: Vec<_> = success.bodies.iter().map(|body| body.schema.as_deref()).collect();
    assert_eq!(schemas, [Some("XSession"), Some("XResponse203"), None]);
}

#[test]
fn t12_a_success_with_and_one_without_a_body_become_a_union() {
    let operation = json!({"operationId": "x", "responses": {
        "200": json_body(json!({"type": "object", "properties": {"a": {"type": "string"}}})),
        "204": {"description": ""},
        "400": {"description": ""},
        "401": json_body(json!({"type": "object", "properties": {"b": {"type": "string"}}})),
    }});
    let normalized = normalize(document(operation, json!({}))).unwrap();
    let Operation { success, error, .. } = &normalized.operations[0];
    assert_eq!(success.union.as_deref(), Some("XResponse"));
    assert_eq!(success.bodies[0].schema.as_deref(), Some("XResponse200"));
    assert_eq!(error.union, None);
    assert_eq!(error.bodies.len(), 1);
    assert_eq!(error.bodies[0].schema.as_deref(), Some("XError"));
}

#[test]
fn a_default_response_next_to_a_success_describes_the_errors() {
    let operation = json!({"operationId": "x", "responses": {
        "200": json_body(json!({"type": "object", "properties": {"a": {"type": "string"}}})),
        "default": json_body(json!({"type": "object", "properties": {"b": {"type": "string"}}})),
    }});
    let normalized = normalize(document(operation, json!({}))).unwrap();
    let statuses: Vec<_> = normalized.operations[0].error.bodies.iter().map(|body| body.status.as_str()).collect();
    assert_eq!(statuses, ["4XX", "5XX"]);
}

#[test]
fn t13_constraints_are_removed_from_responses() {
    let closed = json!({"type": "object", "additionalProperties": false, "required": ["a"], "properties": {
        "a": {"type": "string", "enum": ["x"], "format": "date-time", "maxLength": 1},
        "b": {"type": "integer", "format": "int32", "minimum": 1, "default": 7},
        "c": {"type": "string", "format": "password"},
        "d": {"enum": ["x"]},
    }});
    let operation = json!({"operationId": "x",
        "requestBody": {"content": {"application/json": {"schema": closed}}},
        "responses": {"200": json_body(json!({"$ref": "#/components/schemas/Reply"}))}});
    let document = normalize(document(operation, json!({"schemas": {"Reply": closed}}))).unwrap().document;
    let properties = |name: &str| document["components"]["schemas"][name]["properties"].clone();
    assert_eq!(
        properties("Reply"),
        json!({"a": {"type": "string"}, "b": {"type": "integer"}, "c": {"type": "string", "format": "password"}, "d": {"type": "string"}})
    );
    assert_eq!(document["components"]["schemas"]["Reply"].get("additionalProperties"), None);
    // Requests keep their enums but not their formats.
    assert_eq!(document["components"]["schemas"]["XRequestA"]["enum"], json!(["x"]));
    assert_eq!(document["components"]["schemas"]["XRequestA"].get("format"), None);
}

#[test]
fn nested_schemas_get_distinct_names() {
    let nested =
        json!({"type": "object", "properties": {"in": {"type": "object", "properties": {"deep": {"enum": ["d"]}}}}});
    let components = json!({"schemas": {"Out": nested}});
    let operation = json!({"operationId": "x", "responses": {}});
    let normalized = normalize(document(operation.clone(), components.clone())).unwrap();
    let schemas = schema::object(&normalized.document, "/components/schemas").unwrap();
    assert_eq!(schemas.keys().collect::<Vec<_>>(), ["Out", "OutIn", "OutInDeep"]);

    let mut conflicting = components;
    conflicting["schemas"]["OutIn"] = json!({"type": "string"});
    let normalized = normalize(document(operation, conflicting)).unwrap();
    let schemas = schema::object(&normalized.document, "/components/schemas").unwrap();
    assert_eq!(schemas.keys().collect::<Vec<_>>(), ["Out", "OutIn", "OutIn2", "OutIn2Deep"]);
}

#[test]
fn equal_schemas_with_one_title_are_merged_with_their_nested_schemas() {
    let link = json!({"title": "Link", "type": "object", "properties": {"x": {"type": "object", "properties": {"y": {"type": "string"}}}}});
    let reply =
        |extra: &str| json_body(json!({"type": "object", "properties": {"link": link, extra: {"type": "string"}}}));
    let operation = json!({"operationId": "x", "responses": {"200": reply("a"), "203": reply("b")}});
    let normalized = normalize(document(operation, json!({}))).unwrap();
    let schemas = schema::object(&normalized.document, "/components/schemas").unwrap();
    assert!(schemas.contains_key("Link"), "{schemas:?}");
    assert!(schemas.contains_key("LinkX"), "{schemas:?}");
    assert_eq!(schemas.len(), 5, "{schemas:?}");
}

#[test]
fn parameters_of_the_path_and_references_are_inlined() {
    let mut document = document(
        json!({"operationId": "x", "responses": {"200": {"$ref": "#/components/responses/R"}},
            "parameters": [{"name": "a", "in": "path", "required": true, "schema": {"type": "integer"}}]}),
        json!({"parameters": {"P": {"name": "b", "in": "query", "schema": {"type": "string"}}},
            "responses": {"R": {"description": "r"}}}),
    );
    document["paths"]["/x"]["parameters"] = json!([{"name": "a", "in": "path", "required": true, "schema": {"type": "string"}}, {"$ref": "#/components/parameters/P"}]);
    let normalized = normalize(document).unwrap();
    let operation = &normalized.document["paths"]["/x"]["post"];
    let names: Vec<_> = operation["parameters"].as_array().unwrap().iter().map(|p| &p["name"]).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(operation["parameters"][0]["schema"]["type"], "integer");
    assert_eq!(operation["responses"]["200"]["description"], "r");
}

/// Creates a document in which each of `depth` schemas is built from the next one.
fn nested(depth: usize, schema: impl Fn(Value) -> Value) -> Value {
    let next = |index: usize| json!({"$ref": format!("#/components/schemas/S{}", index + 1)});
    let mut schemas: serde_json::Map<String, Value> =
        (0..depth).map(|index| (format!("S{index}"), schema(next(index)))).collect();
    schemas.insert(format!("S{depth}"), json!({"type": "object", "properties": {"end": {"type": "string"}}}));
    document(json!({"operationId": "x", "responses": {}}), json!({ "schemas": schemas }))
}

#[test]
fn deep_compositions_of_named_schemas_take_no_exponential_time() {
    let twice =
        |next: Value| json!({"allOf": [next, next, {"type": "object", "properties": {"own": {"type": "string"}}}]});
    let normalized = normalize(nested(40, twice)).unwrap();
    assert_eq!(
        normalized.document["components"]["schemas"]["S0"]["properties"],
        json!({"end": {"type": "string"}, "own": {"type": "string"}})
    );
    let described = |next: Value| {
        let property = |text: &str| json!({"allOf": [next, {"description": text}]});
        json!({"type": "object", "properties": {"one": property("One."), "two": property("Two.")}})
    };
    let normalized = normalize(nested(40, described)).unwrap();
    assert_eq!(schema::object(&normalized.document, "/components/schemas").unwrap().len(), 41);
}

#[test]
fn compositions_with_an_exponential_number_of_schemas_are_refused() {
    let extended = |next: Value| {
        let property = |name: &str| json!({"allOf": [next, {"properties": {name: {"type": "string"}}}]});
        json!({"type": "object", "properties": {"one": property("a"), "two": property("b")}})
    };
    assert!(normalize(nested(8, extended)).is_ok());
    let error = normalize(nested(40, extended)).unwrap_err().to_string();
    assert!(error.contains("at: /components/schemas/S0"), "{error}");
}
