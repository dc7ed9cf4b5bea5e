//! Reads the types and operations in the generated code.

use std::collections::{BTreeMap, HashMap};

use syn::{Fields, Item, Type};

use crate::generate::harden::attributes::{generic_argument, serde_argument, wire_name};

/// The items of a generated file, keyed by name.
pub(super) struct Code<'a> {
    pub(super) structs: BTreeMap<String, &'a syn::ItemStruct>,
    pub(super) enums: BTreeMap<String, &'a syn::ItemEnum>,
    pub(super) fields: HashMap<String, StructFields<'a>>,
    /// The success type and the error type of each operation.
    pub(super) outcomes: BTreeMap<String, (Type, Type)>,
}

impl<'a> Code<'a> {
    pub(super) fn read(file: &'a syn::File) -> Self {
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
pub(super) struct StructFields<'a> {
    /// The types, keyed by the field's name in JSON.
    pub(super) named: HashMap<String, &'a Type>,
    /// The types whose fields are part of the same JSON object.
    pub(super) flattened: Vec<&'a Type>,
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

/// Strips references, `Option` and `Box` from a type.
pub(super) fn without_wrappers(ty: &Type) -> Type {
    if let Type::Reference(reference) = ty {
        return without_wrappers(&reference.elem);
    }
    match ["Option", "Box"].into_iter().find_map(|outer| generic_argument(ty, outer)) {
        Some(inner) => without_wrappers(&inner),
        None => ty.clone(),
    }
}

/// Returns the last segment of a type's path.
pub(super) fn type_name(ty: &Type) -> String {
    match without_wrappers(ty) {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default(),
        _ => String::new(),
    }
}

/// Returns the value type of a map.
pub(super) fn map_value(ty: &Type) -> Option<Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident.to_string().ends_with("Map"))?;
    let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    arguments.args.iter().rev().find_map(|argument| match argument {
        syn::GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    })
}
