//! The completeness stage checks that the code contains everything in the document.
//!
//! The check compares each operation in the corrected document, before normalization, with the type
//! that was generated for the operation. Each parameter must appear as an argument, and each body
//! property must appear as a field of the matching type. The check is independent of the
//! implementation of the other stages.
//!
//! | module | contents |
//! | --- | --- |
//! | `code` | the types and operations in the generated code |
//! | `operations` | the comparison of a documented operation with the generated arguments and outcomes |
//! | `schemas` | the comparison of a schema with its generated type |

mod code;
mod operations;
mod schemas;

use std::collections::HashSet;

use serde_json::Value;

use crate::Result;
use crate::spec::schema::{self, operation_name};
use code::Code;

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

/// The comparison of one operation with its generated code.
struct Comparison<'a> {
    document: &'a Value,
    code: &'a Code<'a>,
    /// The `(schema, type)` pairs whose comparison has already started. A schema is represented by
    /// its address in memory. This set prevents infinite recursion if a schema contains itself.
    seen: HashSet<(usize, String)>,
}

#[cfg(test)]
mod tests;
