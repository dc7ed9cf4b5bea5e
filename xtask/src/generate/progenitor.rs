//! The progenitor stage generates Rust types for the schemas in a document and for the arguments of
//! its operations.
//!
//! Only the `types` module of progenitor's output is used. progenitor does not receive the
//! document's paths, so the shape of an operation cannot make progenitor fail. The arguments of
//! each operation become the fields of an additional struct. The type that typify generates for a
//! field is used as the type of the argument. [`harden`](super::harden) removes the additional
//! structs.

use std::collections::{BTreeMap, BTreeSet};

use ::progenitor::{GenerationSettings, Generator};
use openapiv3::{OpenAPI, Paths, ReferenceOr, Schema};
use schemars::schema::{InstanceType, SchemaObject};
use serde_json::{Value, json};
use syn::{Fields, Item, Type};

use super::catch_panic::{GAP, catch_panic};
use super::normalize::form::{self, Normalized};
use crate::spec::schema::{self, pascal};
use crate::{Error, Result};

/// The progenitor version stated in the header of each generated file. The workspace manifest pins
/// the same version.
pub const PROGENITOR_VERSION: &str = "0.15.1";

/// Pairs of a schema name and the path of the `flinks-core` type that replaces the schema.
pub const CORE_TYPES: [(&str, &str); 3] = [
    ("Authorization", "::flinks_core::Authorization"),
    ("ExpiresIn", "::flinks_core::ExpiresIn"),
    ("FilePart", "::flinks_core::FilePart"),
];

/// The argument key of an operation's request body.
pub(super) const BODY: &str = "body";

/// Returns the argument key of an operation's parameter. `index` is the position of the parameter
/// in the document.
pub(super) fn parameter_key(index: usize) -> String {
    format!("parameter{index}")
}

/// The types that a document defines.
#[derive(Debug)]
pub struct Types {
    /// The `types` module of progenitor's output.
    pub(super) module: syn::ItemMod,
    /// The type of each argument, keyed by operation id and argument key.
    arguments: BTreeMap<(String, String), Type>,
    /// The names of all types in the module.
    local: BTreeSet<String>,
    /// The names of all enums whose variants have no fields.
    plain_enums: BTreeSet<String>,
}

impl Types {
    /// Returns the type of an argument.
    ///
    /// # Errors
    ///
    /// Returns an error if progenitor generated no type for the argument's schema.
    pub(super) fn argument(&self, operation: &str, key: &str) -> Result<Type> {
        let ty = self.arguments.get(&(operation.to_owned(), key.to_owned()));
        ty.cloned().ok_or_else(|| Error::new("the argument has no type in progenitor's code").help(GAP))
    }

    /// Returns whether the module has a type with this name.
    pub(super) fn is_local(&self, name: &str) -> bool {
        self.local.contains(name)
    }

    /// Returns whether the module has an enum with this name whose variants have no fields.
    pub(super) fn is_plain_enum(&self, name: &str) -> bool {
        self.plain_enums.contains(name)
    }
}

/// Generates the types that a document defines. The document must have passed the lint.
///
/// # Errors
///
/// Returns an error if progenitor fails or panics. If a single operation is the cause, the error
/// names that operation.
pub fn types(openapi: &OpenAPI, normalized: &Normalized) -> Result<Types> {
    let holders = ArgumentHolders::new(normalized);
    let operations = &normalized.operations;
    let error = match run(openapi, normalized, &holders, operations, None) {
        Ok(types) => return Ok(types),
        Err(error) => error,
    };
    // Generating the types for one operation at a time shows which operation causes the error.
    for operation in operations {
        let schemas = reachable(normalized, operation);
        if let Err(error) = run(openapi, normalized, &holders, std::slice::from_ref(operation), Some(&schemas)) {
            return Err(error.in_operation(&operation.id).at(&operation.pointer));
        }
    }
    Err(error.at("/components/schemas"))
}

/// Calls progenitor for `operations` and the schemas in `schemas`. If `schemas` is `None`, all
/// schemas are included.
fn run(
    openapi: &OpenAPI,
    normalized: &Normalized,
    holders: &ArgumentHolders,
    operations: &[form::Operation],
    schemas: Option<&BTreeSet<String>>,
) -> Result<Types> {
    let mut openapi = openapi.clone();
    openapi.paths = Paths::default();
    let components = &mut openapi.components.get_or_insert_default().schemas;
    components.retain(|name, _| schemas.is_none_or(|schemas| schemas.contains(name)));
    for operation in operations {
        let (name, schema) = holders.schema(normalized, operation)?;
        components.insert(name, ReferenceOr::Item(schema));
    }
    let settings = settings(normalized);
    let tokens = catch_panic(|| {
        let tokens = Generator::new(&settings).generate_tokens(&openapi);
        tokens.map_err(|error| Error::new(format!("progenitor rejected the document: {error}")).help(GAP))
    })?;
    let file: syn::File = syn::parse2(tokens)
        .map_err(|error| Error::new(format!("failed to parse the code generated by progenitor: {error}")))?;
    let module = file.items.into_iter().find_map(|item| match item {
        Item::Mod(module) if module.ident == "types" => Some(module),
        _ => None,
    });
    let module = module.ok_or_else(|| Error::new("progenitor's code has no `types` module").help(GAP))?;
    Ok(holders.read(module, operations))
}

fn settings(normalized: &Normalized) -> GenerationSettings {
    let mut settings = GenerationSettings::new();
    let secret = SchemaObject {
        instance_type: Some(InstanceType::String.into()),
        format: Some("password".into()),
        ..SchemaObject::default()
    };
    settings.with_conversion(secret, "::flinks_core::Secret", std::iter::empty());
    for (name, path) in CORE_TYPES {
        settings.with_replacement(name, path, std::iter::empty());
    }
    // `harden` adds these types to the module: the secret types, the unions of response bodies, and
    // the choices.
    let unions = normalized.outcomes().filter_map(|bodies| bodies.union.as_ref());
    let added = normalized.secret_types.iter().chain(unions).chain(normalized.choices.keys());
    for name in added.filter(|name| !CORE_TYPES.iter().any(|(core, _)| core == name)) {
        let name = pascal(name);
        settings.with_replacement(&name, format!("crate::types::{name}"), std::iter::empty());
    }
    settings
}

/// Creates one struct for each operation, with the operation's arguments as fields, and reads the
/// types of these fields.
struct ArgumentHolders {
    /// A prefix for the names of the structs. No schema name starts with this prefix.
    prefix: String,
}

impl ArgumentHolders {
    fn new(normalized: &Normalized) -> Self {
        let schemas = || schema::object(&normalized.document, "/components/schemas").into_iter().flatten();
        let mut prefix = String::from("ArgumentsOf");
        while schemas().any(|(name, _)| pascal(name).starts_with(&prefix)) {
            prefix.push_str("The");
        }
        Self { prefix }
    }

    fn name(&self, operation: &form::Operation) -> String {
        // typify converts the name too, and a second conversion can change the case of a letter.
        pascal(&format!("{}{}", self.prefix, pascal(&operation.id)))
    }

    /// Returns the name and schema of the struct for one operation.
    fn schema(&self, normalized: &Normalized, operation: &form::Operation) -> Result<(String, Schema)> {
        let mut properties = serde_json::Map::new();
        for (key, schema) in argument_schemas(normalized, operation) {
            let mut schema = schema.clone();
            // The server applies a parameter's default. If the caller does not set the parameter,
            // the client does not send it.
            schema.as_object_mut().map(|schema| schema.shift_remove("default"));
            properties.insert(key, schema);
        }
        let required: Vec<String> = properties.keys().cloned().collect();
        let schema = json!({"type": "object", "properties": properties, "required": required});
        let schema = serde_json::from_value(schema);
        let schema = schema.map_err(|error| Error::new(format!("invalid schema for the arguments: {error}")).help(GAP));
        Ok((self.name(operation), schema?))
    }

    /// Reads the argument types from the structs.
    fn read(&self, module: syn::ItemMod, operations: &[form::Operation]) -> Types {
        let mut types =
            Types { arguments: BTreeMap::new(), local: BTreeSet::new(), plain_enums: BTreeSet::new(), module };
        let holders: BTreeMap<String, &form::Operation> =
            operations.iter().map(|operation| (self.name(operation), operation)).collect();
        for item in types.module.content.iter().flat_map(|(_, items)| items) {
            match item {
                Item::Struct(item) => {
                    types.local.insert(item.ident.to_string());
                    let Some(operation) = holders.get(&item.ident.to_string()) else { continue };
                    for field in &item.fields {
                        if let Some(key) = &field.ident {
                            types.arguments.insert((operation.id.clone(), key.to_string()), field.ty.clone());
                        }
                    }
                }
                Item::Enum(item) => {
                    types.local.insert(item.ident.to_string());
                    if item.variants.iter().all(|variant| matches!(variant.fields, Fields::Unit)) {
                        types.plain_enums.insert(item.ident.to_string());
                    }
                }
                _ => {}
            }
        }
        types
    }
}

/// Returns the keys and schemas of an operation's arguments.
fn argument_schemas<'a>(normalized: &'a Normalized, operation: &form::Operation) -> Vec<(String, &'a Value)> {
    let described = normalized.document.pointer(&operation.pointer).unwrap_or(&Value::Null);
    let parameters = described.get("parameters").and_then(Value::as_array);
    let mut schemas = Vec::new();
    for (index, parameter) in parameters.into_iter().flatten().enumerate() {
        schemas.extend(parameter.get("schema").map(|schema| (parameter_key(index), schema)));
    }
    let content = described.pointer("/requestBody/content").and_then(Value::as_object);
    let body = content.and_then(|content| content.values().next()?.get("schema"));
    schemas.extend(body.map(|schema| (BODY.to_owned(), schema)));
    schemas
}

/// Returns the names of all schemas that an operation sends or receives.
fn reachable(normalized: &Normalized, operation: &form::Operation) -> BTreeSet<String> {
    let mut queue = Vec::new();
    for (_, schema) in argument_schemas(normalized, operation) {
        schema::references(schema, &mut queue);
    }
    let bodies = [&operation.success, &operation.error].into_iter().flat_map(|outcome| &outcome.bodies);
    queue.extend(bodies.filter_map(|body| body.schema.clone()));
    let mut reached = BTreeSet::new();
    while let Some(name) = queue.pop() {
        if let Some(schema) = schema::named(&normalized.document, &name)
            && reached.insert(name)
        {
            schema::references(schema, &mut queue);
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_in_the_header_is_the_pinned_version() {
        let manifest = include_str!("../../../Cargo.toml");
        assert!(manifest.contains(&format!("progenitor = {{ version = \"={PROGENITOR_VERSION}\"")));
    }

    /// Skips the lint, because the lint would reject the enum. progenitor panics because both
    /// values of the enum map to the same Rust name.
    #[test]
    fn a_panic_of_progenitor_names_the_operation() {
        let body = |schema: Value| json!({"content": {"application/json": {"schema": schema}}});
        let done = json!({"200": {"description": ""}});
        let bad = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        let document = json!({
            "openapi": "3.0.3", "info": {"title": "t", "version": "1"},
            "paths": {
                "/fine": {"post": {"operationId": "fine", "requestBody": body(json!({"type": "string"})), "responses": done}},
                "/bad": {"post": {"operationId": "bad", "requestBody": body(bad), "responses": done}},
            },
        });
        let mut normalized = super::super::normalize::normalize(document).unwrap();
        normalized.document["components"]["schemas"]["BadRequest"]["properties"]["a"]["enum"] = json!(["a-b", "a_b"]);
        let openapi = serde_json::from_value(normalized.document.clone()).unwrap();
        let error = types(&openapi, &normalized).unwrap_err();
        assert_eq!(error.operation(), Some("bad"));
        assert_eq!(error.pointer(), Some("/paths/~1bad/post"));
        assert!(error.to_string().contains("panicked"), "{error}");
    }
}
