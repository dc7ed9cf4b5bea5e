use std::path::Path;

use syn::{Fields, Item};

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
