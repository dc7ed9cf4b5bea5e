//! The completeness stage checks that the code contains everything in the document.
//!
//! The check compares each operation in the corrected document, before normalization, with the
//! operation's type in the generated code. Each parameter must appear as an argument, and each body
//! property must appear as a field of the matching type. The check is independent of the
//! implementation of the other stages.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;
use syn::{Fields, Item, Type};

use crate::generate::harden::attributes::{generic_argument, serde_argument, wire_name};
use crate::spec::media::RequestBody;
use crate::spec::schema::{
    self, escape, is_secret, json_key, operation_name, pascal, resolve_ref, resolve_ref_at, snake,
};
use crate::{Error, Result};

/// Compares a corrected document with the file that was generated from it.
///
/// # Errors
///
/// Returns an error for the first operation, parameter or property that is missing from the code.
pub fn check(document: &Value, file: &syn::File) -> Result<()> {
    let code = Code::read(file);
    let mut comparison = Comparison { document, code: &code, seen: HashSet::new() };
    for place in schema::operations(document) {
        let operation = document.pointer(&place.pointer()).unwrap_or(&Value::Null);
        comparison
            .operation(operation, &place)
            .map_err(|error| error.in_operation(operation_name(operation, &place)).help(HELP))?;
    }
    Ok(())
}

const HELP: &str = "the generator dropped this part: simplify the schema with an overlay action as a workaround, and fix the stage that dropped it";

/// The items of a generated file, keyed by name.
struct Code<'a> {
    structs: BTreeMap<String, &'a syn::ItemStruct>,
    enums: BTreeMap<String, &'a syn::ItemEnum>,
    fields: HashMap<String, StructFields<'a>>,
    /// The success type and the error type of each operation.
    outcomes: BTreeMap<String, (Type, Type)>,
}

impl<'a> Code<'a> {
    fn read(file: &'a syn::File) -> Self {
        let mut code = Self {
            structs: BTreeMap::new(),
            enums: BTreeMap::new(),
            fields: HashMap::new(),
            outcomes: BTreeMap::new(),
        };
        let modules = file.items.iter().filter_map(|item| match item {
            Item::Mod(module) => Some((module.ident.to_string(), module.content.as_ref()?.1.as_slice())),
            _ => None,
        });
        for (module, items) in modules {
            // Operation names get a prefix because an operation and a type can have the same name.
            let prefix = if module == "operation" { "operation::" } else { "" };
            for item in items {
                match item {
                    Item::Struct(item) => {
                        let name = format!("{prefix}{}", item.ident);
                        code.fields.insert(name.clone(), StructFields::read(&item.fields));
                        code.structs.insert(name, item);
                    }
                    Item::Enum(item) => drop(code.enums.insert(item.ident.to_string(), item)),
                    Item::Impl(item) => code.outcomes.extend(outcome(item)),
                    _ => {}
                }
            }
        }
        code
    }
}

/// The types of a struct's fields.
#[derive(Default)]
struct StructFields<'a> {
    /// The types by the names in JSON.
    named: HashMap<String, &'a Type>,
    /// The types whose fields are in the same JSON object.
    flattened: Vec<&'a Type>,
}

impl<'a> StructFields<'a> {
    fn read(fields: &'a Fields) -> Self {
        let mut read = Self::default();
        for field in fields {
            let Some(name) = &field.ident else { continue };
            if serde_argument(&field.attrs, "flatten").is_ok_and(|argument| argument.is_some()) {
                read.flattened.push(&field.ty);
            } else if let Ok(wire) = wire_name(field, name) {
                read.named.insert(wire, &field.ty);
            }
        }
        read
    }
}

/// Returns the name of an operation, and the types `T` and `E` from the return type of its `send`
/// method, `Result<ResponseValue<T>, Error<E>>`.
fn outcome(block: &syn::ItemImpl) -> Option<(String, (Type, Type))> {
    let Type::Path(of) = &*block.self_ty else { return None };
    let send = block.items.iter().find_map(|item| match item {
        syn::ImplItem::Fn(method) if method.sig.ident == "send" => Some(&method.sig),
        _ => None,
    })?;
    let syn::ReturnType::Type(_, result) = &send.output else { return None };
    let Type::Path(path) = &**result else { return None };
    let syn::PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else { return None };
    let mut types = arguments.args.iter().filter_map(|argument| match argument {
        syn::GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    let success = generic_argument(types.next()?, "ResponseValue")?;
    let error = generic_argument(types.next()?, "Error")?;
    Some((of.path.segments.last()?.ident.to_string(), (success, error)))
}

/// The comparison of one operation with its generated code.
struct Comparison<'a> {
    document: &'a Value,
    code: &'a Code<'a>,
    /// The `(schema, type)` pairs whose comparison has already started, with the address of each
    /// schema in the document. This set prevents infinite recursion if a schema contains itself.
    seen: HashSet<(usize, String)>,
}

impl<'a> Comparison<'a> {
    fn operation(&mut self, operation: &'a Value, place: &schema::Place) -> Result<()> {
        let at = place.pointer();
        let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
        let name = pascal(&snake(id));
        let code = self.code;
        let missing = |what: &str, at: &str| {
            Error::new(format!("{what} is in the document but not in the generated code")).at(at)
        };
        let (Some(ty), Some((success, error))) =
            (code.structs.get(&format!("operation::{name}")), code.outcomes.get(&name))
        else {
            return Err(missing("the operation", &at));
        };
        let argument =
            |name: &str| ty.fields.iter().find(|field| field.ident.as_ref().is_some_and(|ident| ident == name));
        if !self.has_credentials(operation, &argument) {
            return Err(missing("the security requirement", &format!("{at}/security")));
        }
        let parameters = self.parameters(operation, place);
        for (parameter, name) in parameters.iter().zip(schema::argument_names(&parameters)) {
            if argument(&name).is_none() && !(argument("credentials").is_some() && self.is_credential(parameter)) {
                let wire = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
                return Err(missing(&format!("the parameter `{wire}`"), &format!("{at}/parameters")));
            }
        }
        if let Some(body) = operation.get("requestBody") {
            let (body, body_at) = self.resolved_at(body, format!("{at}/requestBody"));
            let field = argument("body").ok_or_else(|| missing("the request body", &format!("{at}/requestBody")))?;
            let content = body.get("content").and_then(Value::as_object);
            let chosen = content.and_then(|content| Some((content, RequestBody::choose(content)?)));
            if let Some((content, (media_type, RequestBody::Json | RequestBody::Form | RequestBody::Multipart))) =
                chosen
            {
                let at = format!("{body_at}/content/{}/schema", escape(media_type));
                let schema = content.get(media_type).and_then(|media| media.get("schema")).unwrap_or(&Value::Null);
                self.schema(schema, &field.ty, &at)?;
            }
        }
        for (status, response) in operation.get("responses").and_then(Value::as_object).into_iter().flatten() {
            let (response, response_at) = self.resolved_at(response, format!("{at}/responses/{}", escape(status)));
            let content = response.get("content").and_then(Value::as_object);
            let Some((media_type, content)) = content.and_then(|content| Some((json_key(content)?, content))) else {
                continue;
            };
            let at = format!("{response_at}/content/{}/schema", escape(media_type));
            let schema = content.get(media_type).and_then(|media| media.get("schema")).unwrap_or(&Value::Null);
            let ty = if status.starts_with('2') { success } else { error };
            // The type is the body, or a union of the bodies by status.
            let types: Vec<Type> = std::iter::once(ty.clone()).chain(self.variants(ty)).collect();
            self.any_of(schema, &types, &at)?;
        }
        Ok(())
    }

    /// Returns the parameters of an operation and of its path, without the headers that OpenAPI
    /// ignores.
    fn parameters(&self, operation: &'a Value, place: &schema::Place) -> Vec<Value> {
        let list = |value: Option<&'a Value>| {
            let list = value.and_then(Value::as_array).into_iter().flatten();
            list.map(|parameter| self.resolved(parameter).clone()).collect::<Vec<Value>>()
        };
        let mut parameters = list(operation.get("parameters"));
        for shared in list(self.document.pointer(&format!("{}/parameters", place.path_pointer()))) {
            let is_same = |other: &Value| ["name", "in"].iter().all(|key| other.get(key) == shared.get(key));
            if !parameters.iter().any(is_same) {
                parameters.push(shared);
            }
        }
        parameters.retain(|parameter| {
            let components = self.document.get("components").unwrap_or(&Value::Null);
            let schema = resolve_ref(components, parameter.get("schema").unwrap_or(&Value::Null));
            !schema::is_ignored_header(parameter) || is_secret(schema)
        });
        parameters
    }

    /// Returns whether an operation has an argument for its security requirement: the headers of one
    /// alternative, or a choice of credentials.
    fn has_credentials<'f>(&self, operation: &Value, argument: &dyn Fn(&str) -> Option<&'f syn::Field>) -> bool {
        let requirement = operation.get("security").or_else(|| self.document.get("security")).and_then(Value::as_array);
        let alternatives: Vec<_> = requirement
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
            .filter(|alternative| !alternative.is_empty())
            .collect();
        let has_argument = |scheme: &str| {
            let scheme = self.document.pointer(&format!("/components/securitySchemes/{}", escape(scheme)));
            let name = scheme.map(|scheme| self.resolved(scheme)).and_then(|scheme| scheme.get("name")?.as_str());
            argument(&snake(name.unwrap_or("Authorization"))).is_some()
        };
        alternatives.is_empty()
            || argument("credentials").is_some()
            || alternatives.iter().any(|alternative| alternative.keys().all(|scheme| has_argument(scheme)))
    }

    /// Returns whether a parameter is the header of a security scheme.
    fn is_credential(&self, parameter: &Value) -> bool {
        let schemes = schema::object(self.document, "/components/securitySchemes").into_iter().flatten();
        let mut schemes = schemes.map(|(_, scheme)| self.resolved(scheme));
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_lowercase();
        text(parameter, "in") == "header" && schemes.any(|scheme| text(scheme, "name") == text(parameter, "name"))
    }

    /// Returns the variant types of a union. For any other type, returns the type itself.
    fn variants(&self, ty: &Type) -> Vec<Type> {
        match self
            .code
            .enums
            .get(&type_name(ty))
            .filter(|item| item.variants.iter().all(|variant| !matches!(variant.fields, Fields::Named(_))))
        {
            Some(item) => {
                item.variants.iter().flat_map(|variant| &variant.fields).map(|field| field.ty.clone()).collect()
            }
            None => vec![ty.clone()],
        }
    }

    /// Checks that at least one of several types has all parts of a schema.
    fn any_of(&mut self, schema: &'a Value, types: &[Type], at: &str) -> Result<()> {
        let mut first = None;
        for ty in types {
            match self.schema(schema, ty, at) {
                Ok(()) => return Ok(()),
                Err(error) => drop(first.get_or_insert(error)),
            }
        }
        Err(first.unwrap_or_else(|| Error::new("the body is in the document but not in the generated code").at(at)))
    }

    /// Checks that a type has all parts of a schema.
    fn schema(&mut self, schema: &'a Value, ty: &Type, at: &str) -> Result<()> {
        let ty = without_wrappers(ty);
        let (resolved, at) = self.resolved_at(schema, at.to_owned());
        let pair = (std::ptr::from_ref(resolved).addr(), quote::ToTokens::to_token_stream(&ty).to_string());
        if !self.seen.insert(pair.clone()) {
            return Ok(());
        }
        let result = self.parts(schema, resolved, &ty, &at);
        if result.is_err() {
            self.seen.remove(&pair);
        }
        result
    }

    fn parts(&mut self, schema: &'a Value, resolved: &'a Value, ty: &Type, at: &str) -> Result<()> {
        let name = type_name(ty);
        // A newtype: a named list, map or string.
        if let Some(Fields::Unnamed(fields)) = self.code.structs.get(&name).map(|item| &item.fields)
            && let Some(field) = fields.unnamed.first()
        {
            return self.schema(schema, &field.ty, at);
        }
        // Each alternative of a choice has the properties next to the choice.
        let properties = self.properties(resolved, 0);
        if !properties.is_empty() && self.code.enums.contains_key(&name) {
            self.fields(&properties, ty, at, MAX_DEPTH)?;
            return self.alternatives(resolved, ty, at);
        }
        self.alternatives(resolved, ty, at)?;
        if let Some(items) = resolved.get("items") {
            let inner = generic_argument(ty, "Vec").ok_or_else(|| missing("the list", ty, at))?;
            self.schema(items, &inner, &format!("{at}/items"))?;
        }
        if let Some(values) = resolved.get("additionalProperties").filter(|values| values.is_object())
            && properties.is_empty()
        {
            let inner = map_value(ty).ok_or_else(|| missing("the map", ty, at))?;
            self.schema(values, &inner, &format!("{at}/additionalProperties"))?;
        }
        self.fields(&properties, ty, at, MAX_DEPTH)
    }

    /// Checks that a type has a field for each property. For an enum, checks that a variant has all
    /// of these fields.
    fn fields(&mut self, properties: &BTreeMap<&'a str, &'a Value>, ty: &Type, at: &str, depth: usize) -> Result<()> {
        let ty = &without_wrappers(ty);
        let name = type_name(ty);
        if self.code.enums.contains_key(&name)
            && let Some(depth) = depth.checked_sub(1)
        {
            let mut first = None;
            for variant in self.variants(ty).iter().filter(|variant| type_name(variant) != name) {
                match self.fields(properties, variant, at, depth) {
                    Ok(()) => return Ok(()),
                    Err(error) => drop(first.get_or_insert(error)),
                }
            }
            return first.map_or(Ok(()), Err);
        }
        if let Some(Fields::Unnamed(fields)) = self.code.structs.get(&name).map(|item| &item.fields)
            && let (Some(field), Some(depth)) = (fields.unnamed.first(), depth.checked_sub(1))
        {
            return self.fields(properties, &field.ty, at, depth);
        }
        for (property, schema) in properties {
            let at = format!("{at}/properties/{}", escape(property));
            let field =
                self.field(&name, property).ok_or_else(|| missing(&format!("the property `{property}`"), ty, &at))?;
            self.schema(schema, &field, &at)?;
        }
        Ok(())
    }

    /// Checks that each alternative of a choice is a variant of the type.
    fn alternatives(&mut self, resolved: &'a Value, ty: &Type, at: &str) -> Result<()> {
        for key in ["oneOf", "anyOf"] {
            for (index, part) in resolved.get(key).and_then(Value::as_array).into_iter().flatten().enumerate() {
                self.any_of(part, &self.variants(ty), &format!("{at}/{key}/{index}"))?;
            }
        }
        Ok(())
    }

    /// Returns the properties of a schema and of its `allOf` parts.
    fn properties(&self, schema: &'a Value, depth: usize) -> BTreeMap<&'a str, &'a Value> {
        let own = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let mut properties: BTreeMap<&str, &Value> = own.map(|(name, schema)| (name.as_str(), schema)).collect();
        // No real composition is deeper than this, and the lint rejects a schema that is composed
        // of itself.
        if depth == MAX_DEPTH {
            return properties;
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            properties.extend(self.properties(self.resolved(part), depth.saturating_add(1)));
        }
        properties
    }

    /// Returns the type of the field whose JSON name is `property`.
    fn field(&self, of: &str, property: &str) -> Option<Type> {
        let fields = self.code.fields.get(of)?;
        if let Some(ty) = fields.named.get(property) {
            return Some((*ty).clone());
        }
        fields.flattened.iter().find_map(|ty| self.field(&type_name(&without_wrappers(ty)), property))
    }

    /// Resolves a reference, and returns the target with its location.
    fn resolved_at(&self, value: &'a Value, at: String) -> (&'a Value, String) {
        resolve_ref_at(self.document.get("components").unwrap_or(&Value::Null), value, at)
    }

    fn resolved(&self, value: &'a Value) -> &'a Value {
        resolve_ref(self.document.get("components").unwrap_or(&Value::Null), value)
    }
}

/// The maximum depth of compositions.
const MAX_DEPTH: usize = 16;

fn missing(what: &str, ty: &Type, at: &str) -> Error {
    Error::new(format!("{what} is in the document but not in the generated type `{}`", type_name(ty))).at(at)
}

/// Strips references, `Option` and `Box` from a type.
fn without_wrappers(ty: &Type) -> Type {
    if let Type::Reference(reference) = ty {
        return without_wrappers(&reference.elem);
    }
    match ["Option", "Box"].into_iter().find_map(|outer| generic_argument(ty, outer)) {
        Some(inner) => without_wrappers(&inner),
        None => ty.clone(),
    }
}

/// Returns the last segment of a type's path.
fn type_name(ty: &Type) -> String {
    match without_wrappers(ty) {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default(),
        _ => String::new(),
    }
}

/// Returns the value type of a map.
fn map_value(ty: &Type) -> Option<Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident.to_string().ends_with("Map"))?;
    let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    arguments.args.iter().rev().find_map(|argument| match argument {
        syn::GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::generate::generated;
    use crate::product::Product;
    use crate::spec::{overlay, read};

    const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    /// The folder with copies of the documents. These copies never change.
    const FROZEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/frozen");

    /// Returns the corrected documents and a document with unusual constructs, each with its
    /// generated code.
    fn documents(root: &str) -> Vec<(Value, syn::File)> {
        let root = Path::new(root);
        let real = Product::ALL.into_iter().map(|product| {
            let document = read::document(root, product).unwrap().value;
            let document = overlay::apply(document, &read::overlay(root, product).unwrap()).unwrap();
            (document, generated(root, product).unwrap().text)
        });
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/unusual"));
        let unusual = read::yaml(&std::fs::read(folder.join("document.yaml")).unwrap()).unwrap();
        let unusual = (unusual, std::fs::read_to_string(folder.join("generated.rs")).unwrap());
        real.chain([unusual]).map(|(document, text)| (document, syn::parse_file(&text).unwrap())).collect()
    }

    /// Returns the named fields of each struct in the modules of a generated file.
    fn fields(file: &mut syn::File) -> Vec<&mut syn::FieldsNamed> {
        let modules = file.items.iter_mut().filter_map(|item| match item {
            Item::Mod(module) => Some(&mut module.content.as_mut()?.1),
            _ => None,
        });
        let structs = modules.flatten().filter_map(|item| match item {
            Item::Struct(syn::ItemStruct { fields: Fields::Named(fields), .. }) => Some(fields),
            _ => None,
        });
        structs.collect()
    }

    #[test]
    fn every_property_is_a_field_and_a_removed_field_is_reported() {
        let mut count = 0;
        for (document, file) in documents(ROOT) {
            check(&document, &file).unwrap();
            let places: Vec<(usize, usize)> = fields(&mut file.clone())
                .iter()
                .enumerate()
                .flat_map(|(index, fields)| (0..fields.named.len()).map(move |field| (index, field)))
                .collect();
            for (index, field) in places {
                let mut file = file.clone();
                let named = &mut fields(&mut file)[index].named;
                let name = named[field].ident.clone().unwrap();
                *named = std::mem::take(named)
                    .into_iter()
                    .enumerate()
                    .filter(|(other, _)| *other != field)
                    .map(|(_, field)| field)
                    .collect();
                // The `client` field does not come from the document.
                assert_eq!(check(&document, &file).is_err(), name != "client", "{name}");
                count += 1;
            }
        }
        assert!(count > 100, "{count}");
    }

    #[test]
    fn a_missing_part_is_reported_with_its_place() {
        let (document, file) = documents(FROZEN).swap_remove(2);
        let text = quote::ToTokens::to_token_stream(&file).to_string().replace("error_description", "description");
        let error = check(&document, &syn::parse_file(&text).unwrap()).unwrap_err().to_string();
        for part in ["`error_description`", "`ErrorResponse`", "token (POST /api/v1/token)", "/responses/4XX/"] {
            assert!(error.contains(part), "{error}");
        }
        let mut document = document;
        document["paths"]["/api/v1/token"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]["properties"]
            ["scope"] = serde_json::json!({"type": "array", "items": {"type": "string"}});
        assert!(check(&document, &file).unwrap_err().to_string().contains("the list"));
    }
}
