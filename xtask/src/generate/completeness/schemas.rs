//! Compares a schema with its generated type.

use std::collections::BTreeMap;

use serde_json::Value;
use syn::{Fields, Type};

use super::Comparison;
use super::code::{map_value, type_name, without_wrappers};
use crate::generate::harden::attributes::generic_argument;
use crate::spec::schema::{escape, resolve_ref, resolve_ref_at};
use crate::{Error, Result};

impl<'a> Comparison<'a> {
    /// Returns the variant types of a union. For any other type, returns the type itself.
    pub(super) fn variants(&self, ty: &Type) -> Vec<Type> {
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
    pub(super) fn any_of(&mut self, schema: &'a Value, types: &[Type], at: &str) -> Result<()> {
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
    pub(super) fn schema(&mut self, schema: &'a Value, ty: &Type, at: &str) -> Result<()> {
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
        // Each alternative in a choice also has the properties next to the choice.
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

    /// Checks that a type has a field for each property. For an enum, checks that at least one
    /// variant has all of these fields.
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

    /// Resolves a reference, and returns the target and the location of the target.
    pub(super) fn resolved_at(&self, value: &'a Value, at: String) -> (&'a Value, String) {
        resolve_ref_at(self.document.get("components").unwrap_or(&Value::Null), value, at)
    }

    pub(super) fn resolved(&self, value: &'a Value) -> &'a Value {
        resolve_ref(self.document.get("components").unwrap_or(&Value::Null), value)
    }
}

/// The maximum depth of compositions.
const MAX_DEPTH: usize = 16;

fn missing(what: &str, ty: &Type, at: &str) -> Error {
    Error::new(format!("{what} is in the document but not in the generated type `{}`", type_name(ty))).at(at)
}
