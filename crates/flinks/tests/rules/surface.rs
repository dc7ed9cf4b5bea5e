//! The public interface, item by item: a change of it shows in review, and no foreign type gets in unseen.

use std::path::Path;

use quote::ToTokens;
use syn::{ImplItem, Item, TraitItem, Visibility};

#[test]
fn the_public_interface_is_the_one_that_was_reviewed() {
    let mut lines = Vec::new();
    list(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs"), "flinks", &mut lines);
    let text = lines.join("\n");
    // The one place of reqwest is the hook; of the generated crates, the one of Outbound that is not looked after yet.
    for foreign in ["progenitor", "serde_json", "hyper", "tokio", "flinks_pay", "flinks_connect"] {
        assert!(!text.contains(foreign), "{foreign}");
    }
    assert_eq!(text.matches("reqwest").count(), 2, "the argument and the result of Settings::http");
    insta::assert_snapshot!("interface", text);
}

/// Lists what a file makes public. Private modules are listed as what they are re-exported as: under the crate.
fn list(path: &Path, module: &str, lines: &mut Vec<String>) {
    let file = syn::parse_file(&std::fs::read_to_string(path).unwrap()).unwrap();
    for item in &file.items {
        match item {
            Item::Mod(inner) if inner.content.is_none() => {
                let folder = match path.file_stem().unwrap().to_str().unwrap() {
                    "lib" | "mod" => path.parent().unwrap().to_path_buf(),
                    stem => path.parent().unwrap().join(stem),
                };
                let nested = folder.join(inner.ident.to_string());
                let file = if nested.with_extension("rs").exists() {
                    nested.with_extension("rs")
                } else {
                    nested.join("mod.rs")
                };
                let name = if is_public(&inner.vis) { format!("{module}::{}", inner.ident) } else { module.to_owned() };
                list(&file, &name, lines);
            }
            Item::Use(item) if is_public(&item.vis) => lines.push(format!("{module}: {}", one_line(item))),
            Item::Const(item) if is_public(&item.vis) => {
                lines.push(format!("{module}: const {}: {}", item.ident, one_line(&item.ty)));
            }
            Item::Type(item) if is_public(&item.vis) => lines.push(format!("{module}: {}", one_line(item))),
            Item::Struct(item) if is_public(&item.vis) => {
                let derives = derives(&item.attrs);
                let fields = item.fields.iter().filter(|field| is_public(&field.vis));
                let fields: Vec<String> =
                    fields.map(|field| format!("{}: {}", one_line(&field.ident), one_line(&field.ty))).collect();
                lines.push(format!(
                    "{module}: struct {}{} {{{}}}{derives}",
                    item.ident,
                    one_line(&item.generics),
                    fields.join(", ")
                ));
            }
            Item::Enum(item) if is_public(&item.vis) => {
                let variants =
                    item.variants.iter().map(|variant| format!("{}{}", variant.ident, one_line(&variant.fields)));
                let variants = variants.collect::<Vec<_>>().join(", ");
                lines.push(format!(
                    "{module}: enum {}{} {{{variants}}}{}",
                    item.ident,
                    one_line(&item.generics),
                    derives(&item.attrs)
                ));
            }
            Item::Trait(item) if is_public(&item.vis) => {
                for method in &item.items {
                    if let TraitItem::Fn(method) = method {
                        lines.push(format!("{module}: trait {}: {}", item.ident, one_line(&method.sig)));
                    }
                }
            }
            Item::Impl(item) => {
                let of = one_line(&item.self_ty);
                if let Some((_, of_trait, _)) = &item.trait_ {
                    lines.push(format!("{module}: impl {} for {of}", one_line(of_trait)));
                }
                for method in &item.items {
                    match method {
                        ImplItem::Fn(method) if is_public(&method.vis) => {
                            lines.push(format!("{module}: {of}: {}", one_line(&method.sig)));
                        }
                        ImplItem::Const(constant) if is_public(&constant.vis) => {
                            lines.push(format!("{module}: {of}: const {}: {}", constant.ident, one_line(&constant.ty)));
                        }
                        _ => {}
                    }
                }
            }
            Item::Macro(item) if item.mac.path.is_ident("secret_name") => {
                let name = item.mac.tokens.to_string();
                let name = name.rsplit(']').next().unwrap().split(',').next().unwrap().trim().to_owned();
                lines.push(format!("{module}: struct {name} {{}}, with new, expose_secret, Clone and Debug"));
            }
            _ => {}
        }
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn derives(attributes: &[syn::Attribute]) -> String {
    let derives = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("derive") || attribute.path().is_ident("must_use"));
    derives.map(|attribute| format!(" {}", one_line(&attribute.meta))).collect()
}

fn one_line(tokens: &impl ToTokens) -> String {
    let text = tokens.to_token_stream().to_string();
    text.replace(" :: ", "::")
        .replace(" < ", "<")
        .replace(" >", ">")
        .replace("& ", "&")
        .replace(" ,", ",")
        .replace(" (", "(")
        .replace("( ", "(")
        .replace(" )", ")")
        .replace(" :", ":")
}
