//! Checks the code generated from the real documents for the traps T1 to T16, which
//! `xtask/src/lib.rs` lists. The tests in the product crates cover the traps that are visible on
//! the wire. The tests for each generator stage cover the traps that the stage prevents.

#![allow(clippy::panic, clippy::unwrap_used)] // helpers of tests are test code too

use std::path::Path;

use quote::ToTokens as _;
use syn::visit::Visit;
use xtask::Product;
use xtask::generate::generated;

fn texts() -> Vec<(Product, String)> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    Product::ALL.into_iter().map(|product| (product, generated(root, product).unwrap().text)).collect()
}

fn files() -> Vec<syn::File> {
    texts().into_iter().map(|(_, text)| syn::parse_file(&text).unwrap()).collect()
}

/// All structs, impls and methods in a file, including those in inner modules.
#[derive(Default)]
struct Items<'ast> {
    structs: Vec<&'ast syn::ItemStruct>,
    impls: Vec<&'ast syn::ItemImpl>,
    methods: Vec<&'ast syn::ImplItemFn>,
}

impl<'ast> Visit<'ast> for Items<'ast> {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.structs.push(item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.impls.push(item);
        syn::visit::visit_item_impl(self, item);
    }

    fn visit_impl_item_fn(&mut self, method: &'ast syn::ImplItemFn) {
        self.methods.push(method);
    }
}

fn items(file: &syn::File) -> Items<'_> {
    let mut items = Items::default();
    items.visit_file(file);
    items
}

fn derives(item: &syn::ItemStruct) -> String {
    let derives = item.attrs.iter().filter(|attribute| attribute.path().is_ident("derive"));
    derives.map(|attribute| attribute.to_token_stream().to_string()).collect()
}

#[test]
fn t01_error_types_have_their_fields() {
    for (product, fields) in [
        (Product::Connect, ["pub http_status_code", "pub message", "pub flinks_code"].as_slice()),
        (Product::Outbound, &["pub error:", "pub error_description"]),
    ] {
        let (_, text) = texts().into_iter().find(|(other, _)| *other == product).unwrap();
        let (_, after) = text.split_once("pub struct ErrorResponse {").unwrap();
        let (body, _) = after.split_once('}').unwrap();
        for field in fields {
            assert!(body.contains(field), "{field}: {body}");
        }
    }
}

#[test]
fn t03_no_version_header_is_sent() {
    for (product, text) in texts() {
        assert!(!text.contains("api-version"), "{product:?}");
        assert!(!text.contains("api_version"), "{product:?}");
    }
}

#[test]
fn t04_every_secret_has_a_secret_type_and_debug_is_not_derived() {
    for file in &files() {
        let items = items(file);
        let text = file.to_token_stream().to_string();
        for item in &items.structs {
            // Only the client derives `Debug`. Its output contains a base URL but no secret.
            assert!(item.ident == "Client" || !derives(item).contains("Debug"), "{}", item.ident);
        }
        let (_, secrets) = text.split_once("SECRETS : & [& str] = & [").unwrap();
        let (secrets, _) = secrets.split_once(']').unwrap();
        for secret in
            secrets.split(',').map(|secret| secret.trim().trim_matches('"')).filter(|secret| !secret.is_empty())
        {
            let Some((schema, property)) = secret.split_once('.') else { continue };
            let item = items.structs.iter().find(|item| item.ident == schema).unwrap_or_else(|| panic!("{secret}"));
            let field = item.fields.iter().find(|field| {
                let rename = format!("rename = \"{property}\"");
                let text = field.to_token_stream().to_string();
                text.contains(&rename) || field.ident.as_ref().is_some_and(|ident| ident == property)
            });
            let ty = field.unwrap_or_else(|| panic!("{secret}")).ty.to_token_stream().to_string();
            assert!(ty.contains("Secret") || ty.contains("AuthorizeToken"), "{secret}: {ty}");
        }
    }
}

/// The expected secrets in the three products. The test fails if an overlay no longer marks one of
/// these secrets.
#[test]
fn t04_the_marked_secrets_are_complete() {
    let expected: [&[&str]; 3] = [
        &[
            "AuthorizeRequest.Password",
            "AuthorizeResponse.access_token",
            "SessionResponse.sessionId",
            "initiateSession header Authorization",
        ],
        &[
            "AuthorizeChallenge.RequestId",
            "AuthorizeRequest.LoginId",
            "AuthorizeRequest.Password",
            "AuthorizeRequest.RequestId",
            "AuthorizeRequest.SecurityResponses",
            "AuthorizeRequest.Username",
            "AuthorizeSession.RequestId",
            "GenerateAuthorizeTokenResponse.Token",
            "Login.Id",
            "Login.Username",
            "authorize header flinks-auth-key",
            "generateAuthorizeToken header flinks-auth-key",
        ],
        &[
            "TokenRequest.client_secret",
            "TokenRequest.code",
            "TokenRequest.refresh_token",
            "TokenResponse.access_token",
            "TokenResponse.refresh_token",
            "revoke header Authorization",
            "token header Authorization",
        ],
    ];
    for ((product, text), expected) in texts().into_iter().zip(expected) {
        let (_, list) = text.split_once("SECRETS: &[&str] = &[").unwrap();
        let (list, _) = list.split_once("];").unwrap();
        let marks: Vec<&str> =
            list.split(',').map(|mark| mark.trim().trim_matches('"')).filter(|mark| !mark.is_empty()).collect();
        assert_eq!(marks, expected, "{product:?}");
    }
}

#[test]
fn t05_no_client_is_built_with_unsafe_defaults() {
    for (product, text) in texts() {
        for unsafe_default in ["reqwest::Client", "ClientBuilder", "unwrap()", "expect("] {
            assert!(!text.contains(unsafe_default), "{product:?}: {unsafe_default}");
        }
    }
}

#[test]
fn t09_the_customer_id_is_a_uuid_and_path_arguments_are_checked() {
    let (_, text) = texts().into_iter().find(|(product, _)| *product == Product::Connect).unwrap();
    assert_eq!(text.matches("customer_id: &'a ::uuid::Uuid").count(), 4, "expected in two methods and two types");
    assert_eq!(text.matches("encode_path(\"customerId\"").count(), 2);
}

#[test]
fn t10_a_lifetime_is_lenient_and_has_no_default() {
    for (product, text) in texts().into_iter().filter(|(product, _)| *product != Product::Connect) {
        assert!(text.contains("expires_in: ::std::option::Option<::flinks_core::ExpiresIn>"), "{product:?}");
        // `#[serde(default)]` alone is allowed, because it applies to an absent field. A default
        // value from the document would have the form `default = …`.
        assert!(!text.contains("serde(default ="), "{product:?}");
    }
    for file in &files() {
        for item in items(file).structs {
            let lifetime =
                item.fields.iter().find(|field| field.ident.as_ref().is_some_and(|ident| ident == "expires_in"));
            let attributes = lifetime.iter().flat_map(|field| &field.attrs);
            let is_code = |attribute: &&syn::Attribute| !attribute.path().is_ident("doc");
            assert_eq!(attributes.filter(is_code).count(), 0, "{}", item.ident);
        }
    }
}

#[test]
fn t13_responses_have_no_closed_enum_and_are_non_exhaustive() {
    for file in &files() {
        for item in items(file).structs.iter().filter(|item| derives(item).contains("Deserialize")) {
            let text = item.to_token_stream().to_string();
            assert!(text.contains("non_exhaustive"), "{}", item.ident);
            assert!(!text.contains("deny_unknown_fields"), "{}", item.ident);
            for field in &item.fields {
                let ty = field.ty.to_token_stream().to_string();
                assert!(!ty.contains("GrantType"), "{}: {ty}", item.ident);
                assert!(!ty.contains("Language"), "{}: {ty}", item.ident);
            }
        }
    }
}

#[test]
fn t14_no_reference_to_progenitor_is_left() {
    for (product, text) in texts() {
        let code = text.split_once("\n\n").map(|(_, code)| code).unwrap();
        assert!(!code.contains("progenitor"), "{product:?}");
        assert!(!code.contains("ClientHooks"), "{product:?}");
    }
}

#[test]
fn t15_operations_are_not_clone_or_debug_and_secrets_stay_typed() {
    for file in &files() {
        let items = items(file);
        let operations = items
            .structs
            .iter()
            .filter(|item| item.fields.iter().any(|field| field.ident.as_ref().is_some_and(|ident| ident == "client")));
        let mut count = 0;
        for operation in operations {
            assert_eq!(derives(operation), "", "{}", operation.ident);
            let traits = items.impls.iter().filter(|block| {
                block.trait_.is_some()
                    && block.self_ty.to_token_stream().to_string().starts_with(&format!("{} <", operation.ident))
            });
            assert_eq!(traits.count(), 0, "{}", operation.ident);
            count += 1;
        }
        assert!(count > 0);
        for method in items.methods.iter().filter(|method| method.sig.ident == "exchange") {
            let text = method.block.to_token_stream().to_string();
            for header in text.split("headers . insert (").skip(1) {
                assert!(header.contains("header_value ("), "{header:.80}");
            }
            assert!(!text.contains("flinks_auth_key . to_string"), "{text}");
        }
    }
}

#[test]
fn t16_no_sandbox_credential_and_no_wrong_preamble_is_left() {
    for (product, text) in texts() {
        for left_over in ["c4569c54", "43387ca6", "toolbox", "d65f1adb", "Bearer token"] {
            assert!(!text.contains(left_over), "{product:?}: {left_over}");
        }
        assert_eq!(text.contains("flinks-auth-key"), product == Product::Connect, "{product:?}");
    }
}
