//! The progenitor stage.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use ::progenitor::{GenerationSettings, Generator, HooksMode, InterfaceStyle};
use openapiv3::{OpenAPI, ReferenceOr};
use proc_macro2::TokenStream;
use schemars::schema::{InstanceType, SchemaObject};

use crate::generate::normalize::form::Normalized;
use crate::spec::schema::pascal;
use crate::{Error, Result};

/// The progenitor that is linked; pinned in the workspace's manifest, for `harden` knows the shape of its output.
pub const PROGENITOR_VERSION: &str = "0.15.1";

/// Named schemas of the overlays that are types of `flinks-core`.
pub const CORE_TYPES: [(&str, &str); 2] =
    [("Authorization", "::flinks_core::Authorization"), ("ExpiresIn", "::flinks_core::ExpiresIn")];

/// Progenitor's code for a document that passed the lint.
///
/// # Errors
///
/// Where progenitor fails or panics all the same; the error names the operation at which it did.
pub fn code(openapi: &OpenAPI, normalized: &Normalized) -> Result<TokenStream> {
    let settings = settings(normalized);
    let error = match run(openapi, &settings) {
        Ok(tokens) => return Ok(tokens),
        Err(error) => error,
    };
    // Which operation is it? Without any, it is a schema.
    if let Err(error) = run(&without_operations(openapi), &settings) {
        return Err(error.at("/components/schemas"));
    }
    for operation in &normalized.operations {
        if let Err(error) = run(&only(openapi, &operation.id), &settings) {
            return Err(error.in_operation(&operation.id).at(&operation.pointer));
        }
    }
    Err(error)
}

fn settings(normalized: &Normalized) -> GenerationSettings {
    let mut settings = GenerationSettings::new();
    // Positional, because then a missing argument does not compile; `harden` adds what builders are good for.
    settings.with_interface(InterfaceStyle::Positional).with_hooks(HooksMode::Expected);
    let secret = SchemaObject {
        instance_type: Some(InstanceType::String.into()),
        format: Some("password".into()),
        ..SchemaObject::default()
    };
    settings.with_conversion(secret, "::flinks_core::Secret", std::iter::empty());
    for (name, path) in CORE_TYPES {
        settings.with_replacement(name, path, std::iter::empty());
    }
    // Types that `harden` adds to the module: secrets of their own kind, and unions by status.
    let unions = normalized.outcomes().filter_map(|bodies| bodies.union.as_ref());
    let own = normalized.secret_types.iter().chain(unions);
    for name in own.filter(|name| !CORE_TYPES.iter().any(|(core, _)| core == name)) {
        let name = pascal(name);
        settings.with_replacement(&name, format!("crate::types::{name}"), std::iter::empty());
    }
    settings
}

fn run(openapi: &OpenAPI, settings: &GenerationSettings) -> Result<TokenStream> {
    catch_panic(|| {
        let tokens = Generator::new(settings).generate_tokens(openapi);
        tokens.map_err(|error| Error::new(format!("progenitor refuses the document: {error}")).help(GAP))
    })
}

const GAP: &str =
    "this is a gap in the lint: describe what stands here in a plainer way by an overlay action, and teach the lint";

/// The last net: a panic of the generator becomes an error.
///
/// # Errors
///
/// Where `run` fails or panics.
pub fn catch_panic<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    quietly(run)
        .unwrap_or_else(|panic| Err(Error::new(format!("the generator panicked: {}", message(&*panic))).help(GAP)))
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.and_then(|text| text.lines().next()).unwrap_or("without a message")
}

thread_local! {
    static QUIET: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Catches a panic without the text that it would print. Panics of other threads are printed as ever.
fn quietly<T>(run: impl FnOnce() -> T) -> std::thread::Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                print(info);
            }
        }));
    });
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(run));
    QUIET.set(false);
    result
}

fn without_operations(openapi: &OpenAPI) -> OpenAPI {
    let mut openapi = openapi.clone();
    openapi.paths.paths.clear();
    openapi
}

fn only(openapi: &OpenAPI, id: &str) -> OpenAPI {
    let mut openapi = openapi.clone();
    for (_, item) in &mut openapi.paths.paths {
        if let ReferenceOr::Item(item) = item {
            let methods = [
                &mut item.get,
                &mut item.put,
                &mut item.post,
                &mut item.delete,
                &mut item.options,
                &mut item.head,
                &mut item.patch,
                &mut item.trace,
            ];
            for method in methods {
                method.take_if(|operation| operation.operation_id.as_deref() != Some(id));
            }
        }
    }
    openapi
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_in_the_files_is_the_one_that_is_linked() {
        let manifest = include_str!("../../../Cargo.toml");
        assert!(manifest.contains(&format!("progenitor = {{ version = \"={PROGENITOR_VERSION}\"")));
    }

    /// The lint is left out here: progenitor has a `todo!` for a JSON body without a schema.
    #[test]
    fn the_last_net_names_the_operation_that_it_catches() {
        let document = serde_json::json!({
            "openapi": "3.0.3", "info": {"title": "t", "version": "1"},
            "paths": {
                "/fine": {"get": {"operationId": "fine", "responses": {"200": {"description": ""}}}},
                "/bad": {"get": {"operationId": "bad", "responses": {"200": {"description": "", "content": {"application/json": {}}}}}},
            },
        });
        let openapi = serde_json::from_value(document.clone()).unwrap();
        let error = code(&openapi, &crate::generate::normalize::normalize(document).unwrap()).unwrap_err();
        assert_eq!((error.operation(), error.pointer()), (Some("bad"), Some("/paths/~1bad/get")));
        assert!(error.to_string().contains("panicked"), "{error}");
    }

    #[test]
    fn a_panic_becomes_a_message() {
        let panic = quietly(|| panic!("no {}\nsecond line", 7)).unwrap_err();
        assert_eq!(message(&*panic), "no 7");
        assert_eq!(quietly(|| 7).unwrap(), 7);
    }
}
