//! Reads an operation's arguments (its parameters and its body) in signature order.

use quote::{ToTokens as _, format_ident, quote};
use serde_json::Value;
use syn::visit_mut::VisitMut;
use syn::{Ident, Type, parse_quote};

use super::attributes::{generic_argument, reexported};
use super::credentials;
use crate::generate::normalize::form;
use crate::generate::progenitor::{BODY, Types, parameter_key};
use crate::spec::media::RequestBody;
use crate::spec::parameter_style::ParameterStyle;
use crate::spec::schema::{self, argument_names};
use crate::{Error, Result};

/// The arguments of an operation, in signature order. Path arguments come first, in path order.
/// Query arguments and headers follow, each group sorted by name, and the body comes last.
pub(super) struct Arguments(Vec<Argument>);

/// An argument of an operation.
pub(super) struct Argument {
    pub(super) name: Ident,
    /// The argument's name in the HTTP request.
    pub(super) wire: String,
    pub(super) place: ArgumentPlace,
    /// The type in the signature, without the `Option` around an optional argument.
    pub(super) ty: Type,
    pub(super) is_optional: bool,
    /// How a parameter is written. The body has no style.
    pub(super) style: ParameterStyle,
    pub(super) docs: Option<String>,
}

/// The part of the request that contains an argument. The variants are declared in signature order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ArgumentPlace {
    /// The path, and the position of the argument in the path.
    Path(usize),
    Query,
    /// The headers for the credentials that the caller chooses.
    Credentials,
    Header,
    Body,
}

impl Arguments {
    /// Reads an operation's arguments from the normalized document.
    pub(super) fn read(facts: &form::Operation, document: &Value, types: &Types) -> Result<Self> {
        let described = document.pointer(&facts.pointer).unwrap_or(&Value::Null);
        let mut arguments = Vec::new();
        let parameters = described.get("parameters").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for ((index, parameter), name) in parameters.iter().enumerate().zip(argument_names(parameters)) {
            let at = format!("{}/parameters/{index}", facts.pointer);
            let argument = Argument::parameter(facts, document, parameter, &name, index, types);
            arguments.push(argument.map_err(|error| error.at(at))?);
        }
        if let Some(choice) = &facts.credential_choice {
            arguments.push(Argument {
                name: format_ident!("credentials"),
                wire: String::from("credentials"),
                place: ArgumentPlace::Credentials,
                ty: credentials::argument_type(choice),
                is_optional: !choice.is_required,
                style: ParameterStyle::Scalar,
                docs: Some("Credentials of a kind that the server accepts.".into()),
            });
        }
        if let Some(body) = described.get("requestBody") {
            let name = format_ident!("body");
            let place = ArgumentPlace::Body;
            let ty = types.argument(&facts.id, BODY)?;
            let mut argument = Argument::new(name, "body", place, ty, Presence::Required, body, types);
            let content = body.get("content").and_then(Value::as_object);
            if let Some((_, RequestBody::Bytes)) = content.and_then(RequestBody::choose) {
                argument.ty = parse_quote!(&'a [u8]);
            }
            arguments.push(argument);
        }
        arguments.sort_by(|one, other| (one.place, &one.wire).cmp(&(other.place, &other.wire)));
        Ok(Self(arguments))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Argument> {
        self.0.iter()
    }

    /// Returns the arguments in one part of the request.
    pub(super) fn in_place(&self, place: ArgumentPlace) -> impl Iterator<Item = &Argument> {
        self.0.iter().filter(move |argument| argument.place == place)
    }

    pub(super) fn required(&self) -> Vec<&Argument> {
        self.0.iter().filter(|argument| !argument.is_optional).collect()
    }

    pub(super) fn optional(&self) -> Vec<&Argument> {
        self.0.iter().filter(|argument| argument.is_optional).collect()
    }
}

/// Whether the document requires the argument.
enum Presence {
    Required,
    Optional,
}

impl Argument {
    fn parameter(
        facts: &form::Operation,
        document: &Value,
        parameter: &Value,
        name: &str,
        index: usize,
        types: &Types,
    ) -> Result<Self> {
        let text = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
        let wire = text("name");
        let place = match text("in") {
            "path" => {
                let position = facts.path.find(&format!("{{{wire}}}"));
                ArgumentPlace::Path(
                    position.ok_or_else(|| Error::new(format!("the path does not contain the parameter `{wire}`")))?,
                )
            }
            "query" => ArgumentPlace::Query,
            "header" => ArgumentPlace::Header,
            other => return Err(Error::new(format!("unsupported parameter location `{other}`"))),
        };
        let presence = match parameter.get("required") {
            Some(Value::Bool(true)) => Presence::Required,
            _ => Presence::Optional,
        };
        let name = format_ident!("{name}");
        let ty = types.argument(&facts.id, &parameter_key(index))?;
        let item = generic_argument(&ty, "Vec");
        let mut argument = Self::new(name, wire, place, ty, presence, parameter, types);
        if let Some(mut item) = item {
            LocalTypes(types).visit_type_mut(&mut item);
            argument.ty = parse_quote!(&'a [#item]);
        }
        let schema = parameter.get("schema").unwrap_or(&Value::Null);
        let named = schema::referenced(schema).and_then(|name| schema::named(document, name));
        let style = ParameterStyle::of(parameter, named.unwrap_or(schema));
        argument.style = style.ok_or_else(|| Error::new(format!("unsupported style for the parameter `{wire}`")))?;
        Ok(argument)
    }

    fn new(
        name: Ident,
        wire: &str,
        place: ArgumentPlace,
        ty: Type,
        presence: Presence,
        described: &Value,
        types: &Types,
    ) -> Self {
        let inner = generic_argument(&ty, "Option");
        Self {
            name,
            wire: wire.to_owned(),
            place,
            is_optional: inner.is_some() || matches!(presence, Presence::Optional),
            style: ParameterStyle::Scalar,
            ty: argument_type(inner.unwrap_or(ty), types),
            docs: described.get("description").and_then(Value::as_str).map(str::to_owned),
        }
    }

    /// Returns the argument as it appears in a signature.
    pub(super) fn declaration(&self) -> proc_macro2::TokenStream {
        let (name, ty) = (&self.name, &self.ty);
        quote!(#name: #ty)
    }
}

/// Returns the type of an argument: numbers, booleans and plain enums are passed by value, strings
/// as `&str`, and other types by reference.
fn argument_type(mut ty: Type, types: &Types) -> Type {
    let last = match &ty {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default(),
        _ => String::new(),
    };
    if last == "String" {
        return parse_quote!(&'a str);
    }
    let is_scalar = ["bool", "f32", "f64", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"]
        .contains(&last.as_str())
        || last.starts_with("NonZero");
    let is_local = types.is_local(&ty.to_token_stream().to_string());
    LocalTypes(types).visit_type_mut(&mut ty);
    if is_scalar && !is_local || types.is_plain_enum(&last) {
        return ty;
    }
    parse_quote!(&'a #ty)
}

/// Adds the `types::` prefix to the names of types in the `types` module.
struct LocalTypes<'a>(&'a Types);

impl VisitMut for LocalTypes<'_> {
    fn visit_path_mut(&mut self, path: &mut syn::Path) {
        syn::visit_mut::visit_path_mut(self, path);
        if let Some(ident) = path.get_ident()
            && self.0.is_local(&ident.to_string())
        {
            *path = parse_quote!(types::#ident);
        }
        reexported(path);
    }
}
