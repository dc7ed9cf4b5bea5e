//! Positions, names and references in an OpenAPI document.

use heck::{ToPascalCase as _, ToSnakeCase as _};
use serde_json::{Map, Value};

/// The methods of OpenAPI 3.0, as keys of a path item.
pub(crate) const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Where named schemas live.
pub(crate) const SCHEMAS: &str = "#/components/schemas/";

/// One step of a JSON pointer (RFC 6901).
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The key that a step of a JSON pointer stands for.
pub(crate) fn unescape(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// A JSON pointer as the JSONPath that an overlay action selects the same place with. An entry of a list is selected by its
/// `name`, where it has one: its number changes when something is put before it.
pub(crate) fn json_path(document: &Value, pointer: &str) -> String {
    let mut here = document;
    let mut path = String::from("$");
    for step in pointer.split('/').skip(1).map(unescape) {
        let index = step.parse::<usize>().ok().filter(|_| here.is_array());
        here = index.map_or_else(|| here.get(&step), |index| here.get(index)).unwrap_or(&Value::Null);
        path += &match (index, here.get("name").and_then(Value::as_str)) {
            (Some(_), Some(name)) => format!("[?@.name == '{name}']"),
            (Some(index), None) => format!("[{index}]"),
            (None, _) => format!("['{}']", step.replace('\\', "\\\\").replace('\'', "\\'")),
        };
    }
    path
}

/// Where an operation is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) path: String,
    pub(crate) method: &'static str,
}

impl Place {
    /// Its JSON pointer.
    pub(crate) fn pointer(&self) -> String {
        format!("{}/{}", self.path_pointer(), self.method)
    }

    /// Such as `POST /api/v1/token`.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.method.to_uppercase(), self.path)
    }

    /// The JSON pointer of its path item.
    pub(crate) fn path_pointer(&self) -> String {
        format!("/paths/{}", escape(&self.path))
    }
}

/// All operations, in the order of the document.
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

/// The value at a pointer, if it is an object.
pub(crate) fn object<'a>(document: &'a Value, pointer: &str) -> Option<&'a Map<String, Value>> {
    document.pointer(pointer)?.as_object()
}

/// The name that a `$ref` to a named schema carries.
pub(crate) fn referenced(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix(SCHEMAS)
}

/// A reference to a named schema.
pub(crate) fn reference(name: &str) -> Value {
    serde_json::json!({ "$ref": format!("{SCHEMAS}{name}") })
}

/// The mark of a secret: OpenAPI's own format for text that must be obscured.
pub(crate) fn is_secret(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("string")
        && schema.get("format").and_then(Value::as_str) == Some("password")
}

/// Whether a parameter is a header that OpenAPI 3.0.3 says to ignore. One that is marked as a secret is meant all the same.
pub(crate) fn is_ignored_header(parameter: &Value) -> bool {
    let text = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
    text("in") == "header"
        && ["accept", "content-type", "authorization"].iter().any(|name| text("name").eq_ignore_ascii_case(name))
}

/// Puts a schema under a name, over one that is there.
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

/// A name as Rust writes types.
pub(crate) fn pascal(name: &str) -> String {
    name.replace(|c: char| !c.is_ascii_alphanumeric(), "-").to_pascal_case()
}

/// Whether a name can be one of a type. Some that Rust would take are taken by the code around them.
pub(crate) fn is_type_name(name: &str) -> bool {
    let taken = ["Box", "Default", "Err", "Into", "None", "Ok", "Option", "Result", "Some", "String", "Vec"];
    name.is_ascii() && syn::parse_str::<syn::Ident>(&pascal(name)).is_ok() && !taken.contains(&pascal(name).as_str())
}

/// The schema that a name stands for.
pub(crate) fn named<'a>(document: &'a Value, name: &str) -> Option<&'a Value> {
    document.pointer("/components/schemas")?.get(name)
}

/// The schema whose name is the same in Rust.
pub(crate) fn find<'a>(document: &'a Value, name: &str) -> Option<&'a Value> {
    let schemas = object(document, "/components/schemas")?;
    schemas.iter().find(|(other, _)| pascal(other) == pascal(name)).map(|(_, schema)| schema)
}

/// A name as progenitor writes methods and arguments.
pub(crate) fn snake(name: &str) -> String {
    identifier(name, "_")
}

/// A name as typify writes fields.
pub(crate) fn field(name: &str) -> String {
    identifier(name, "x")
}

/// A name in Rust's style; one that cannot begin an identifier comes behind `prefix`.
fn identifier(name: &str, prefix: &str) -> String {
    let name = name.replace('\'', "").replace(|c: char| !c.is_alphanumeric() && c != '_', "-").to_snake_case();
    let name = match name.chars().next() {
        None => "x".to_owned(),
        Some(first) if first.is_alphabetic() || first == '_' => name,
        Some(_) => format!("{prefix}{name}"),
    };
    // `gen` is a keyword to progenitor already.
    match syn::parse_str::<syn::Ident>(&name) {
        Ok(_) if name != "gen" => name,
        _ => format!("{name}_"),
    }
}

/// The schemas that lie directly in `schema`, each with the pointer from there to it.
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

/// Does something to each schema that lies directly in `schema`.
pub(crate) fn for_each_child(schema: &mut Value, act: &mut dyn FnMut(&mut Value)) {
    let pointers: Vec<String> = children(schema).into_iter().map(|(pointer, _)| pointer).collect();
    for pointer in pointers {
        if let Some(child) = schema.pointer_mut(&pointer) {
            act(child);
        }
    }
}

/// Adds the names of all schemas that `schema` refers to.
pub(crate) fn references(schema: &Value, names: &mut Vec<String>) {
    names.extend(referenced(schema).map(str::to_owned));
    children(schema).iter().for_each(|(_, child)| references(child, names));
}

/// Follows a reference into the components. A reference that leads nowhere is left to the lint.
pub(crate) fn resolve(components: &Value, value: &Value) -> Value {
    let mut value = value;
    // Longer chains than this are loops.
    for _ in 0..16 {
        let target = value.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix("#/components"));
        match target.and_then(|pointer| components.pointer(pointer)) {
            Some(target) => value = target,
            None => break,
        }
    }
    value.clone()
}

/// How messages call an operation.
pub(crate) fn operation_name(operation: &Value, place: &Place) -> String {
    match operation.get("operationId").and_then(Value::as_str).filter(|id| !id.is_empty()) {
        Some(id) => format!("{id} ({})", place.title()),
        None => place.title(),
    }
}

/// The media type of JSON.
pub(crate) const JSON: &str = "application/json";

/// The media type of an answer that is read.
pub(crate) fn json_key(content: &Map<String, Value>) -> Option<&str> {
    let is_json = |media_type: &&str| {
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        media_type == JSON || media_type.ends_with("+json")
    };
    let mut keys = content.keys().map(String::as_str);
    if content.contains_key(JSON) { Some(JSON) } else { keys.find(is_json) }
}

/// The position of a serde error as a JSON pointer.
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

/// The key of an annotation that states why a field with a secret-looking name is not a secret. Its value is the reason.
pub(crate) const NOT_SECRET_KEY: &str = "x-not-secret";
