//! The completeness stage checks that the code contains everything in the document.
//!
//! The check compares each operation in the corrected document, before normalization, with the
//! operation's type in the generated code. Each parameter must appear as an argument, and each body
//! property must appear as a field of the matching type. The check is independent of the
//! implementation of the other stages.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use syn::{Fields, Item, Type};

use crate::generate::harden::attributes::{generic_argument, serde_argument, wire_name};
use crate::spec::schema::{self, escape, is_secret, json_key, operation_name, pascal, resolve, snake};
use crate::{Error, Result};

/// Compares a corrected document with the file that was generated from it.
///
/// # Errors
///
/// Returns an error for the first operation, parameter or property that is missing from the code.
pub(crate) fn check(document: &Value, file: &syn::File) -> Result<()> {
    let code = Code::read(file);
    for place in schema::operations(document) {
        let operation = document.pointer(&place.pointer()).unwrap_or(&Value::Null);
        let mut comparison = Comparison { document, code: &code, seen: BTreeSet::new() };
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
    /// The success type and the error type of each operation.
    outcomes: BTreeMap<String, (Type, Type)>,
}

impl<'a> Code<'a> {
    fn read(file: &'a syn::File) -> Self {
        let mut code = Self { structs: BTreeMap::new(), enums: BTreeMap::new(), outcomes: BTreeMap::new() };
        let modules = file.items.iter().filter_map(|item| match item {
            Item::Mod(module) => Some((module.ident.to_string(), module.content.as_ref()?.1.as_slice())),
            _ => None,
        });
        for (module, items) in modules {
            // Operation names get a prefix because an operation and a type can have the same name.
            let prefix = if module == "operation" { "operation::" } else { "" };
            for item in items {
                match item {
                    Item::Struct(item) => drop(code.structs.insert(format!("{prefix}{}", item.ident), item)),
                    Item::Enum(item) => drop(code.enums.insert(item.ident.to_string(), item)),
                    Item::Impl(item) => code.outcomes.extend(outcome(item)),
                    _ => {}
                }
            }
        }
        code
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
    /// The `(schema, type)` pairs whose comparison has already started. This set prevents infinite
    /// recursion if a schema contains itself.
    seen: BTreeSet<(String, String)>,
}

impl Comparison<'_> {
    fn operation(&mut self, operation: &Value, place: &schema::Place) -> Result<()> {
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
        let shared = self.document.pointer(&format!("{}/parameters", place.path_pointer()));
        let parameters =
            [operation.get("parameters"), shared].into_iter().flatten().filter_map(Value::as_array).flatten();
        for parameter in parameters.map(|parameter| self.resolved(parameter)) {
            let text = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
            let is_ignored = schema::is_ignored_header(&parameter)
                && !is_secret(&self.resolved(parameter.get("schema").unwrap_or(&Value::Null)));
            if !is_ignored && argument(&snake(text("name"))).is_none() {
                return Err(missing(&format!("the parameter `{}`", text("name")), &format!("{at}/parameters")));
            }
        }
        if let Some(body) = operation.get("requestBody").map(|body| self.resolved(body)) {
            let field = argument("body").ok_or_else(|| missing("the request body", &format!("{at}/requestBody")))?;
            for (media_type, media) in body.get("content").and_then(Value::as_object).into_iter().flatten() {
                let at = format!("{at}/requestBody/content/{}/schema", escape(media_type));
                self.schema(media.get("schema").unwrap_or(&Value::Null), &field.ty, &at)?;
            }
        }
        for (status, response) in operation.get("responses").and_then(Value::as_object).into_iter().flatten() {
            let response = self.resolved(response);
            let content = response.get("content").and_then(Value::as_object);
            let Some((media_type, content)) = content.and_then(|content| Some((json_key(content)?, content))) else {
                continue;
            };
            let at = format!("{at}/responses/{status}/content/{}/schema", escape(media_type));
            let schema = content.get(media_type).and_then(|media| media.get("schema")).unwrap_or(&Value::Null);
            let ty = if status.starts_with('2') { success } else { error };
            self.any_of(schema, &self.variants(ty), &at)?;
        }
        Ok(())
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
    fn any_of(&mut self, schema: &Value, types: &[Type], at: &str) -> Result<()> {
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
    fn schema(&mut self, schema: &Value, ty: &Type, at: &str) -> Result<()> {
        let ty = without_wrappers(ty);
        let resolved = self.resolved(schema);
        let pair = (resolved.to_string(), quote::ToTokens::to_token_stream(&ty).to_string());
        if !self.seen.insert(pair.clone()) {
            return Ok(());
        }
        let result = self.parts(schema, &resolved, &ty, at);
        if result.is_err() {
            self.seen.remove(&pair);
        }
        result
    }

    fn parts(&mut self, schema: &Value, resolved: &Value, ty: &Type, at: &str) -> Result<()> {
        let name = type_name(ty);
        // A newtype: a named list, map or string.
        if let Some(Fields::Unnamed(fields)) = self.code.structs.get(&name).map(|item| &item.fields)
            && let Some(field) = fields.unnamed.first()
        {
            return self.schema(schema, &field.ty, at);
        }
        for key in ["oneOf", "anyOf"] {
            for (index, part) in resolved.get(key).and_then(Value::as_array).into_iter().flatten().enumerate() {
                self.any_of(part, &self.variants(ty), &format!("{at}/{key}/{index}"))?;
            }
        }
        if let Some(items) = resolved.get("items") {
            let inner = generic_argument(ty, "Vec").ok_or_else(|| missing("the list", ty, at))?;
            self.schema(items, &inner, &format!("{at}/items"))?;
        }
        let properties = self.properties(resolved, 0);
        if let Some(values) = resolved.get("additionalProperties").filter(|values| values.is_object())
            && properties.is_empty()
        {
            let inner = map_value(ty).ok_or_else(|| missing("the map", ty, at))?;
            self.schema(values, &inner, &format!("{at}/additionalProperties"))?;
        }
        for (property, schema) in &properties {
            let at = format!("{at}/properties/{}", escape(property));
            let field =
                self.field(&name, property).ok_or_else(|| missing(&format!("the property `{property}`"), ty, &at))?;
            self.schema(schema, &field, &at)?;
        }
        Ok(())
    }

    /// Returns the properties of a schema and of its `allOf` parts.
    fn properties(&self, schema: &Value, depth: usize) -> Map<String, Value> {
        let mut properties = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        // No real composition is deeper than this, and the lint rejects a schema that is composed
        // of itself.
        if depth == 16 {
            return properties;
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            properties.extend(self.properties(&self.resolved(part), depth.saturating_add(1)));
        }
        properties
    }

    /// Returns the type of the field whose JSON name is `property`.
    fn field(&self, of: &str, property: &str) -> Option<Type> {
        let item = self.code.structs.get(of)?;
        item.fields.iter().find_map(|field| {
            let name = field.ident.as_ref()?;
            let is_flat = serde_argument(&field.attrs, "flatten").ok()?.is_some();
            if is_flat {
                self.field(&type_name(&without_wrappers(&field.ty)), property)
            } else if wire_name(field, name).ok()? == property {
                Some(field.ty.clone())
            } else {
                None
            }
        })
    }

    fn resolved(&self, value: &Value) -> Value {
        resolve(self.document.get("components").unwrap_or(&Value::Null), value)
    }
}

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
