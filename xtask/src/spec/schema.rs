//! Positions, names and references in an OpenAPI document.

use std::collections::BTreeSet;

use heck::{ToPascalCase as _, ToSnakeCase as _};
use serde_json::{Map, Value};

use super::media;

/// The HTTP methods in OpenAPI 3.0, as keys in a path item.
pub(crate) const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// The prefix of references to named schemas.
pub(crate) const SCHEMAS: &str = "#/components/schemas/";

/// The key under which a choice in the normal form lists references to its alternatives.
pub(crate) const CHOICE_KEY: &str = "x-choice";

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
        let list = here.as_array();
        let index = list.and_then(|_| step.parse::<usize>().ok());
        here = index.map_or_else(|| here.get(&step), |index| here.get(index)).unwrap_or(&Value::Null);
        let filter = list.and_then(|list| filter(list, here));
        path += &match (filter, index) {
            (Some(filter), _) => filter,
            (None, Some(index)) => format!("[{index}]"),
            (None, None) => format!("['{}']", quoted(&step)),
        };
    }
    path
}

/// Returns the filter that selects only this entry in a list. The filter compares the name and, if
/// another entry has the same name, also the location.
fn filter(list: &[Value], entry: &Value) -> Option<String> {
    let text = |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
    let (name, place) = (text(entry, "name")?, text(entry, "in"));
    let same_name: Vec<&Value> = list.iter().filter(|other| text(other, "name").as_ref() == Some(&name)).collect();
    if same_name.len() == 1 {
        return Some(format!("[?(@.name == '{}')]", quoted(&name)));
    }
    let is_unique = same_name.into_iter().filter(|other| text(other, "in") == place).count() == 1;
    let place = place.filter(|_| is_unique)?;
    Some(format!("[?(@.name == '{}' && @.in == '{}')]", quoted(&name), quoted(&place)))
}

/// Escapes text for use in a single-quoted string.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
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

/// Returns an `operationId` that is derived from the method and the path, so the id does not change
/// if another operation is added.
pub(crate) fn derived_operation_id(place: &Place) -> String {
    let words = place.path.replace(|c: char| !c.is_ascii_alphanumeric(), " ");
    format!("{} {words}", place.method).to_snake_case()
}

/// Returns all operations in document order.
pub(crate) fn operations(document: &Value) -> Vec<Place> {
    let paths = document.pointer("/paths").and_then(Value::as_object);
    paths
        .into_iter()
        .flatten()
        .filter(|(path, _)| !path.starts_with("x-"))
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

/// Returns whether a schema is a choice between other schemas.
pub(crate) fn is_choice(schema: &Value) -> bool {
    schema.get("oneOf").is_some() || schema.get("anyOf").is_some()
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

/// If the only part of an `allOf` is a reference, returns the reference. Such an `allOf` makes the
/// reference nullable or adds a description.
pub(crate) fn single_reference(schema: &Value) -> Option<&Value> {
    match schema.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
        Some([part]) if referenced(part).is_some() => Some(part),
        _ => None,
    }
}

/// Strips the nullable wrapper from a reference. Returns any other schema unchanged.
pub(crate) fn without_nullable(schema: &Value) -> &Value {
    single_reference(schema).unwrap_or(schema)
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

/// Converts a name to a method or argument name in the same way as progenitor does.
pub(crate) fn snake(name: &str) -> String {
    identifier(name, "_")
}

/// Returns the argument name for each parameter of an operation, in document order. If the
/// generated code or an earlier parameter already uses a name, the parameter's location is added to
/// the name.
pub(crate) fn argument_names(parameters: &[Value]) -> Vec<String> {
    // `body` is the argument for the request body. The generated code uses the other names itself.
    let mut taken: BTreeSet<String> =
        ["body", "client", "credentials", "exchange", "headers", "request", "response", "send", "url"]
            .map(str::to_owned)
            .into();
    let names = parameters.iter().map(|parameter| {
        let text = |key: &str| parameter.get(key).and_then(Value::as_str);
        let plain = snake(text(RUST_NAME_KEY).or_else(|| text("name")).unwrap_or_default());
        let with_place = snake(&format!("{plain} {}", text("in").unwrap_or_default()));
        let numbered = (2_u32..).map(|number| format!("{with_place}_{number}"));
        let mut candidates = [plain.clone(), with_place.clone()].into_iter().chain(numbered);
        let name = candidates.find(|name| taken.insert(name.clone()));
        name.unwrap_or(plain)
    });
    names.collect()
}

/// Converts a name to a field name in the same way as typify does.
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
    for key in ["oneOf", "anyOf", "allOf", CHOICE_KEY] {
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

/// Returns the names of the schemas in `roots` and of all schemas that they refer to.
pub(crate) fn reachable(document: &Value, roots: Vec<String>) -> BTreeSet<String> {
    let mut queue = roots;
    let mut reached = BTreeSet::new();
    while let Some(name) = queue.pop() {
        if let Some(schema) = named(document, &name)
            && reached.insert(name)
        {
            references(schema, &mut queue);
        }
    }
    reached
}

/// Returns the names of the schemas that use `allOf` to extend a schema, directly or through
/// another schema.
pub(crate) fn extensions(document: &Value, base: &str) -> Vec<String> {
    let schemas = || object(document, "/components/schemas").into_iter().flatten();
    let extends = |schema: &Value, known: &BTreeSet<String>| {
        let parts = schema.get("allOf").and_then(Value::as_array).into_iter().flatten();
        parts.filter_map(referenced).any(|part| known.contains(part))
    };
    let mut found = BTreeSet::from([base.to_owned()]);
    loop {
        let next = schemas().filter(|(name, schema)| !found.contains(*name) && extends(schema, &found));
        let next: Vec<String> = next.map(|(name, _)| name.clone()).collect();
        if next.is_empty() {
            break;
        }
        found.extend(next);
    }
    schemas().map(|(name, _)| name.clone()).filter(|name| name != base && found.contains(name)).collect()
}

/// Resolves a reference to a component. Returns an unresolvable reference unchanged, because the
/// lint reports such references.
pub(crate) fn resolve(components: &Value, value: &Value) -> Value {
    resolve_ref(components, value).clone()
}

/// Resolves a reference to a component, and returns the target with its JSON pointer. `at` is the
/// pointer of `value`.
pub(crate) fn resolve_at(components: &Value, value: &Value, at: String) -> (Value, String) {
    let (target, at) = resolve_ref_at(components, value, at);
    (target.clone(), at)
}

/// Like [`resolve_at`], but does not copy the target.
pub(crate) fn resolve_ref_at<'a>(components: &'a Value, value: &'a Value, at: String) -> (&'a Value, String) {
    let (target, pointer) = target(components, value);
    (target, pointer.map_or(at, |pointer| format!("/components{pointer}")))
}

/// Resolves a reference to a component without copying the target.
pub(crate) fn resolve_ref<'a>(components: &'a Value, value: &'a Value) -> &'a Value {
    target(components, value).0
}

/// If `value` is a reference that can be resolved, returns its target and the target's JSON pointer
/// relative to `components`. Otherwise, returns `value` and `None`.
fn target<'a>(components: &'a Value, value: &'a Value) -> (&'a Value, Option<&'a str>) {
    let (mut value, mut at) = (value, None);
    // A chain of more than 16 references is treated as a loop.
    for _ in 0..16 {
        let target = value.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix("#/components"));
        let Some((pointer, target)) = target.and_then(|pointer| Some((pointer, components.pointer(pointer)?))) else {
            break;
        };
        value = target;
        at = Some(pointer);
    }
    (value, at)
}

/// The key for the original location of an object that an earlier stage moved.
const ORIGIN_KEY: &str = "x-xtask-origin";

/// Records the original location of an object.
pub(crate) fn set_origin(value: &mut Value, pointer: &str) {
    if let Some(object) = value.as_object_mut() {
        object.insert(ORIGIN_KEY.into(), pointer.into());
    }
}

/// Returns the recorded location of an object, or an empty string if none was recorded.
pub(crate) fn origin(value: &Value) -> &str {
    value.get(ORIGIN_KEY).and_then(Value::as_str).unwrap_or_default()
}

/// Takes a JSON pointer for a document with moved objects and returns the corresponding pointer for
/// the original document.
pub(crate) fn original(document: &Value, pointer: &str) -> String {
    let mut here = Some(document);
    let mut original = String::new();
    for step in pointer.split('/').skip(1) {
        here = here.and_then(|here| match here {
            Value::Array(array) => array.get(step.parse::<usize>().ok()?),
            object => object.get(unescape(step)),
        });
        match here.and_then(|here| here.get(ORIGIN_KEY)?.as_str()) {
            Some(origin) => original = origin.to_owned(),
            None => original = format!("{original}/{step}"),
        }
    }
    original
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

/// Returns the JSON media type among the keys of `content`, or `None` if there is no such key. A
/// range such as `*/*` counts as JSON if it has a schema that is neither empty nor a string.
pub(crate) fn json_key(content: &Map<String, Value>) -> Option<&str> {
    if content.contains_key(JSON) {
        return Some(JSON);
    }
    let is_range_of_json = |key: &str, media: &Value| {
        let schema = media.get("schema").filter(|schema| schema.as_object().is_some_and(|schema| !schema.is_empty()));
        let is_text = |schema: &Value| schema.get("type").is_some_and(|kind| kind == "string");
        ["*/*", "application/*"].contains(&key) && schema.is_some_and(|schema| !is_text(schema))
    };
    let keys = || content.keys().map(String::as_str);
    let json = keys().find(|key| media::is_json(&media::essence(key)));
    json.or_else(|| content.iter().find(|(key, media)| is_range_of_json(key, media)).map(|(key, _)| key.as_str()))
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

/// The key for the Rust name of a schema, an operation, a parameter or a property.
pub(crate) const RUST_NAME_KEY: &str = "x-rust-name";

/// The key of the annotation that exempts a field from the check for secret names. The annotation's
/// value states why the field is not a secret.
pub(crate) const NOT_SECRET_KEY: &str = "x-not-secret";

/// Returns a schema with only the members that affect its meaning.
pub(crate) fn without_prose(schema: &Value) -> Value {
    match schema {
        Value::Object(object) => {
            let kept = object.iter().filter(|(key, value)| match key.as_str() {
                "description" | "title" => !value.is_string(),
                "example" | "externalDocs" => value.get("type").is_some() || value.get("$ref").is_some(),
                _ => true,
            });
            Value::Object(kept.map(|(key, value)| (key.clone(), without_prose(value))).collect())
        }
        Value::Array(array) => Value::Array(array.iter().map(without_prose).collect()),
        other => other.clone(),
    }
}

/// Returns whether a name is a token (RFC 9110). `HeaderName::from_static` panics if a name is not
/// a token.
pub(crate) fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
