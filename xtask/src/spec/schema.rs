//! Positions, names and references in an OpenAPI document.

use heck::{ToPascalCase as _, ToSnakeCase as _};
use serde_json::{Map, Value};

/// The HTTP methods in OpenAPI 3.0, as keys of a path item.
pub(crate) const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// The prefix of references to named schemas.
pub(crate) const SCHEMAS: &str = "#/components/schemas/";

/// Escapes a key for use as a step in a JSON pointer (RFC 6901).
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Converts a step in a JSON pointer back to the key.
pub(crate) fn unescape(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// Converts a JSON pointer into the JSONPath for an overlay action. If a list entry has a `name`,
/// the path selects the entry by that name. A path with an index would select a different entry if
/// an entry were inserted earlier in the list.
pub(crate) fn json_path(document: &Value, pointer: &str) -> String {
    let mut here = document;
    let mut path = String::from("$");
    for step in pointer.split('/').skip(1).map(unescape) {
        let index = if here.is_array() { step.parse::<usize>().ok() } else { None };
        here = index.map_or_else(|| here.get(&step), |index| here.get(index)).unwrap_or(&Value::Null);
        path += &match (index, here.get("name").and_then(Value::as_str)) {
            (Some(_), Some(name)) => format!("[?@.name == '{name}']"),
            (Some(index), None) => format!("[{index}]"),
            (None, _) => format!("['{}']", step.replace('\\', "\\\\").replace('\'', "\\'")),
        };
    }
    path
}

/// An operation's place in a document.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) path: String,
    pub(crate) method: &'static str,
}

impl Place {
    /// Returns the operation's JSON pointer.
    pub(crate) fn pointer(&self) -> String {
        format!("{}/{}", self.path_pointer(), self.method)
    }

    /// Returns the method and path, such as `POST /api/v1/token`.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.method.to_uppercase(), self.path)
    }

    /// Returns the path item's JSON pointer.
    pub(crate) fn path_pointer(&self) -> String {
        format!("/paths/{}", escape(&self.path))
    }
}

/// Returns all operations in document order.
pub(crate) fn operations(document: &Value) -> Vec<Place> {
    let paths = document.pointer("/paths").and_then(Value::as_object);
    paths
        .into_iter()
        .flatten()
        .flat_map(|(path, item)| {
            let methods = METHODS.into_iter().filter(|method| item.get(method).is_some());
            methods.map(|method| Place { path: path.clone(), method })
        })
        .collect()
}

/// Returns the value at a pointer if it is an object.
pub(crate) fn object<'a>(document: &'a Value, pointer: &str) -> Option<&'a Map<String, Value>> {
    document.pointer(pointer)?.as_object()
}

/// Returns the schema name in a `$ref` to a named schema.
pub(crate) fn referenced(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix(SCHEMAS)
}

/// Creates a reference to a named schema.
pub(crate) fn reference(name: &str) -> Value {
    serde_json::json!({ "$ref": format!("{SCHEMAS}{name}") })
}

/// Returns whether a schema is marked as a secret. The mark is the combination of type `string` and
/// format `password`.
pub(crate) fn is_secret(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("string")
        && schema.get("format").and_then(Value::as_str) == Some("password")
}

/// Returns whether a parameter is a header that OpenAPI 3.0.3 ignores. The secret mark is not
/// considered, so the caller must check whether the header is a secret.
pub(crate) fn is_ignored_header(parameter: &Value) -> bool {
    let text = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
    text("in") == "header"
        && ["accept", "content-type", "authorization"].iter().any(|name| text("name").eq_ignore_ascii_case(name))
}

/// Inserts a named schema or replaces the existing schema with this name.
pub(crate) fn insert(document: &mut Value, name: &str, schema: Value) {
    let mut slot = document.as_object_mut();
    for key in ["components", "schemas"] {
        let Some(object) = slot else { return };
        slot = object.entry(key).or_insert_with(|| Value::Object(Map::new())).as_object_mut();
    }
    if let Some(schemas) = slot {
        schemas.insert(name.to_owned(), schema);
    }
}

/// Converts a name to `UpperCamelCase`, the naming style of Rust types.
pub(crate) fn pascal(name: &str) -> String {
    name.replace(|c: char| !c.is_ascii_alphanumeric(), "-").to_pascal_case()
}

/// Returns whether a name can be used for a Rust type. Names that the generated code already uses
/// are excluded.
pub(crate) fn is_type_name(name: &str) -> bool {
    let taken = ["Box", "Default", "Err", "Into", "None", "Ok", "Option", "Result", "Some", "String", "Vec"];
    name.is_ascii() && syn::parse_str::<syn::Ident>(&pascal(name)).is_ok() && !taken.contains(&pascal(name).as_str())
}

/// Returns the schema with this name.
pub(crate) fn named<'a>(document: &'a Value, name: &str) -> Option<&'a Value> {
    document.pointer("/components/schemas")?.get(name)
}

/// Returns the schema whose name converts to the same Rust name as `name`.
pub(crate) fn find<'a>(document: &'a Value, name: &str) -> Option<&'a Value> {
    let schemas = object(document, "/components/schemas")?;
    schemas.iter().find(|(other, _)| pascal(other) == pascal(name)).map(|(_, schema)| schema)
}

/// Converts a name to a method or argument name in the same way as progenitor.
pub(crate) fn snake(name: &str) -> String {
    identifier(name, "_")
}

/// Converts a name to a field name in the same way as typify.
pub(crate) fn field(name: &str) -> String {
    identifier(name, "x")
}

/// Converts a name to a snake case identifier. Adds `prefix` if the name starts with a character
/// that cannot start an identifier.
fn identifier(name: &str, prefix: &str) -> String {
    let name = name.replace('\'', "").replace(|c: char| !c.is_alphanumeric() && c != '_', "-").to_snake_case();
    let name = match name.chars().next() {
        None => "x".to_owned(),
        Some(first) if first.is_alphabetic() || first == '_' => name,
        Some(_) => format!("{prefix}{name}"),
    };
    // progenitor treats `gen` as a keyword.
    match syn::parse_str::<syn::Ident>(&name) {
        Ok(_) if name != "gen" => name,
        _ => format!("{name}_"),
    }
}

/// Returns the schemas directly inside `schema`, each with its relative pointer.
pub(crate) fn children(schema: &Value) -> Vec<(String, &Value)> {
    let mut children = Vec::new();
    for key in ["items", "additionalProperties", "not"] {
        children.extend(schema.get(key).filter(|child| child.is_object()).map(|child| (format!("/{key}"), child)));
    }
    for (name, child) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        children.push((format!("/properties/{}", escape(name)), child));
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        for (index, child) in schema.get(key).and_then(Value::as_array).into_iter().flatten().enumerate() {
            children.push((format!("/{key}/{index}"), child));
        }
    }
    children
}

/// Calls a function for each schema directly inside `schema`.
pub(crate) fn for_each_child(schema: &mut Value, function: &mut dyn FnMut(&mut Value)) {
    let pointers: Vec<String> = children(schema).into_iter().map(|(pointer, _)| pointer).collect();
    for pointer in pointers {
        if let Some(child) = schema.pointer_mut(&pointer) {
            function(child);
        }
    }
}

/// Appends to `names` the name of each schema that `schema` references.
pub(crate) fn references(schema: &Value, names: &mut Vec<String>) {
    names.extend(referenced(schema).map(str::to_owned));
    for (_, child) in children(schema) {
        references(child, names);
    }
}

/// Resolves a reference to a component. Returns an unresolvable reference unchanged, because the
/// lint reports such references.
pub(crate) fn resolve(components: &Value, value: &Value) -> Value {
    let mut value = value;
    // A chain of more than 16 references is treated as a loop.
    for _ in 0..16 {
        let target = value.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix("#/components"));
        match target.and_then(|pointer| components.pointer(pointer)) {
            Some(target) => value = target,
            None => break,
        }
    }
    value.clone()
}

/// Returns an operation's name for error messages.
pub(crate) fn operation_name(operation: &Value, place: &Place) -> String {
    match operation.get("operationId").and_then(Value::as_str).filter(|id| !id.is_empty()) {
        Some(id) => format!("{id} ({})", place.title()),
        None => place.title(),
    }
}

/// The JSON media type.
pub(crate) const JSON: &str = "application/json";

/// Returns the JSON media type among the keys of `content`, or `None` if there is no such key.
pub(crate) fn json_key(content: &Map<String, Value>) -> Option<&str> {
    let is_json = |media_type: &&str| {
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        media_type == JSON || media_type.ends_with("+json")
    };
    let mut keys = content.keys().map(String::as_str);
    if content.contains_key(JSON) { Some(JSON) } else { keys.find(is_json) }
}

/// Converts a serde error's position to a JSON pointer.
pub(crate) fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let steps = path.iter().map_while(|segment| match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(escape(key)),
        Segment::Enum { variant } => Some(escape(variant)),
        Segment::Unknown => None,
    });
    steps.map(|step| format!("/{step}")).collect()
}

/// The key of the annotation that exempts a field from the secret-name check. The annotation's
/// value states why the field is not a secret.
pub(crate) const NOT_SECRET_KEY: &str = "x-not-secret";
