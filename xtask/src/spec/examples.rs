//! Checks the examples in a corrected document.
//!
//! An overlay can make a published example invalid, for example by adding a required property. Such
//! an example would mislead readers and tools that use it as test data. An example that is already
//! invalid in the published document is not reported.

use std::collections::BTreeSet;

use serde_json::Value;

use super::example_value::mismatch;
use super::schema::{children, escape, json_path};
use crate::Error;

/// An example value and its schema.
struct Example<'a> {
    /// The JSON pointer of the example.
    at: String,
    schema: &'a Value,
    value: &'a Value,
}

/// Returns an error for each example that matches its schema in the `published` document, but not in
/// the `corrected` document.
pub fn check(published: &Value, corrected: &Value) -> Vec<Error> {
    let invalid = |document: &Value, example: &Example<'_>| mismatch(document, example.schema, example.value);
    // A JSONPath selects a parameter by its name, so inserting a parameter does not change the path
    // of an example.
    let key = |document: &Value, example: &Example<'_>| (json_path(document, &example.at), example.value.to_string());
    let already_invalid: BTreeSet<(String, String)> = examples(published)
        .iter()
        .filter(|example| invalid(published, example).is_some())
        .map(|example| key(published, example))
        .collect();
    let mut errors = Vec::new();
    for example in examples(corrected) {
        if let Some(reason) = invalid(corrected, &example)
            && !already_invalid.contains(&key(corrected, &example))
        {
            errors.push(Error::new(format!("the overlay makes this example invalid: {reason}")).at(&example.at).help(
                "correct the example in the overlay action that changes its schema, or in an action directly after it",
            ));
        }
    }
    errors
}

/// Returns all examples in a document.
fn examples(document: &Value) -> Vec<Example<'_>> {
    let mut examples = Vec::new();
    find(document, document, "", &mut examples);
    examples
}

/// Appends the examples at `at` and below it. A media type, a parameter or a header can have
/// examples next to its `schema`. [`find_in_schema`] handles everything inside the schema.
fn find<'a>(document: &'a Value, value: &'a Value, at: &str, examples: &mut Vec<Example<'a>>) {
    match value {
        Value::Object(object) => {
            if let Some(schema) = object.get("schema") {
                examples.extend(beside(document, value, schema, at));
            }
            for (key, child) in object {
                let at_child = format!("{at}/{}", escape(key));
                match key.as_str() {
                    "example" | "examples" => {}
                    "schema" => find_in_schema(child, &at_child, examples),
                    "schemas" if at == "/components" => {
                        for (name, schema) in child.as_object().into_iter().flatten() {
                            find_in_schema(schema, &format!("{at_child}/{}", escape(name)), examples);
                        }
                    }
                    key if key.starts_with("x-") => {}
                    _ => find(document, child, &at_child, examples),
                }
            }
        }
        Value::Array(array) => {
            for (index, child) in array.iter().enumerate() {
                find(document, child, &format!("{at}/{index}"), examples);
            }
        }
        _ => {}
    }
}

/// Returns the examples in the `example` and `examples` members next to a schema.
fn beside<'a>(document: &'a Value, owner: &'a Value, schema: &'a Value, at: &str) -> Vec<Example<'a>> {
    let one = owner.get("example").map(|value| Example { at: format!("{at}/example"), schema, value });
    let several = owner.get("examples").and_then(Value::as_object).into_iter().flatten().filter_map(|(name, entry)| {
        let at = format!("{at}/examples/{}", escape(name));
        let target = entry.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        match target {
            Some(target) => Some(Example { at, schema, value: document.pointer(target)?.get("value")? }),
            None => Some(Example { at: format!("{at}/value"), schema, value: entry.get("value")? }),
        }
    });
    one.into_iter().chain(several).collect()
}

/// Appends the examples in a schema and in the schemas inside it.
fn find_in_schema<'a>(schema: &'a Value, at: &str, examples: &mut Vec<Example<'a>>) {
    examples.extend(schema.get("example").map(|value| Example { at: format!("{at}/example"), schema, value }));
    for (index, value) in schema.get("examples").and_then(Value::as_array).into_iter().flatten().enumerate() {
        examples.push(Example { at: format!("{at}/examples/{index}"), schema, value });
    }
    for (step, child) in children(schema) {
        find_in_schema(child, &format!("{at}{step}"), examples);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::spec::overlay;

    /// Returns a document in which every kind of example is valid.
    fn document() -> Value {
        let object = json!({"type": "object", "properties": {"a": {"type": "string", "example": "x"}}, "example": {}});
        let body = json!({"schema": object, "example": {"a": "x"}, "examples": {"one": {"value": {}}, "two": {"$ref": "#/components/examples/E"}}});
        json!({
            "paths": {"/p": {"post": {
                "parameters": [{"name": "q", "in": "query", "schema": {"type": "string"}, "example": "x"}],
                "requestBody": {"content": {"application/json": body}},
                "responses": {"200": {"headers": {"H": {"schema": {"type": "string"}, "example": "x"}}}},
            }}},
            "components": {
                "schemas": {"S": {"type": "array", "items": {"type": "string", "example": "x"}, "examples": [["x"]]}},
                "examples": {"E": {"value": {}}},
            },
        })
    }

    /// Returns the places of the examples that an action makes invalid.
    fn places(published: &Value, target: &str, update: &Value) -> Vec<String> {
        let overlay = json!({"overlay": "1.0.0", "info": {"title": "t", "version": "1"}, "actions": [
            {"target": target, "description": "d", "update": update},
        ]});
        let corrected = overlay::apply(published.clone(), &overlay).unwrap();
        check(published, &corrected).iter().map(|error| error.pointer().unwrap().to_owned()).collect()
    }

    #[test]
    fn each_kind_of_example_is_compared_with_its_schema() {
        let body = "/paths/~1p/post/requestBody/content/application~1json";
        let schema = "$.paths['/p'].post.requestBody.content['application/json'].schema";
        let integer = json!({"type": "integer"});
        for (target, update, expected) in [
            (
                schema.to_owned(),
                json!({"required": ["a"]}),
                vec![
                    format!("{body}/examples/one/value"),
                    format!("{body}/examples/two"),
                    format!("{body}/schema/example"),
                ],
            ),
            (
                format!("{schema}.properties.a"),
                integer.clone(),
                vec![format!("{body}/example"), format!("{body}/schema/properties/a/example")],
            ),
            (
                "$.paths['/p'].post.parameters[0].schema".into(),
                integer.clone(),
                vec!["/paths/~1p/post/parameters/0/example".into()],
            ),
            (
                "$.paths['/p'].post.responses['200'].headers.H.schema".into(),
                integer.clone(),
                vec!["/paths/~1p/post/responses/200/headers/H/example".into()],
            ),
            (
                "$.components.schemas.S.items".into(),
                integer,
                vec!["/components/schemas/S/examples/0".into(), "/components/schemas/S/items/example".into()],
            ),
            (schema.to_owned(), json!({"properties": {"b": {"type": "string"}}}), vec![]),
            (
                "$.paths['/p'].post.requestBody.content['application/json']".into(),
                json!({"schema": {"required": ["a"], "example": {"a": "x"}}, "examples": {"one": {"value": {"a": "x"}}}}),
                vec![format!("{body}/examples/two")],
            ),
        ] {
            assert_eq!(places(&document(), &target, &update), expected, "{target} {update}");
        }
    }

    #[test]
    fn an_example_that_was_already_invalid_is_not_reported() {
        let mut published = document();
        published["paths"]["/p"]["post"]["parameters"][0]["example"] = json!(1);
        let target = "$.paths['/p'].post.parameters[0]";
        assert_eq!(places(&published, target, &json!({"required": true})), Vec::<String>::new());
        // The action replaces the example with another invalid example.
        assert_eq!(places(&published, target, &json!({"example": 2})), ["/paths/~1p/post/parameters/0/example"]);

        // An inserted parameter moves the invalid example to another index.
        let mut corrected = published.clone();
        let parameters = corrected["paths"]["/p"]["post"]["parameters"].as_array_mut().unwrap();
        parameters.insert(0, json!({"name": "first", "in": "query", "schema": {"type": "string"}}));
        assert_eq!(check(&published, &corrected).len(), 0);
    }
}
