//! Gives each operation one type for its successes and one for its errors (T1, T12).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::form::{Bodies, Body};
use super::names::{Names, without_prose};
use crate::Result;
use crate::spec::schema::{JSON, json_key, pascal, reference};

/// Names the bodies of one outcome and gives them one type: their common schema, or a union whose
/// variant depends on the status (T1, T12).
pub(super) fn normalize_responses(
    names: &mut Names<'_>,
    operation: &mut Value,
    id: &str,
    suffix: &str,
    class: char,
) -> Result<Bodies> {
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return Ok(Bodies::default());
    };
    let is_error = class == '4';
    let of_class = |status: &str| status.starts_with(class) || is_error && status.starts_with('5');
    let name = format!("{}{suffix}", pascal(id));
    let mut bodies = Vec::new();
    let mut known: Vec<(Value, String)> = Vec::new();
    let ours = responses.iter().filter(|(status, _)| of_class(status)).map(|(_, response)| response);
    let distinct = count_distinct(ours, !is_error);
    for (status, response) in responses.iter_mut().filter(|(status, _)| of_class(status)) {
        json_media_type(response);
        if is_error {
            // An error body that is not JSON is never decoded.
            drop_other_content(response);
        }
        let Some(schema) = response.pointer_mut("/content/application~1json/schema") else {
            bodies.push(Body { status: status.clone(), schema: None });
            continue;
        };
        let plain = without_prose(schema);
        let schema_name = match known.iter().find(|(other, _)| *other == plain) {
            // Equal bodies within an operation have the same type.
            Some((_, name)) => {
                *schema = reference(name);
                name.clone()
            }
            None => {
                let wanted = if distinct > 1 { format!("{name}{status}") } else { name.clone() };
                let at = format!("/responses/{status}/content/application~1json/schema");
                let name = names.name(schema, &wanted, &at)?;
                known.push((plain, name.clone()));
                name
            }
        };
        bodies.push(Body { status: status.clone(), schema: Some(schema_name) });
    }
    if is_error && bodies.iter().any(|body| body.schema.is_some()) {
        // A status that is documented without a body is decoded as the operation's error, if
        // possible (A6).
        bodies.retain(|body| body.schema.is_some());
        responses.retain(|status, response| !of_class(status) || response.get("content").is_some());
    }
    let schemas: BTreeSet<_> = bodies.iter().map(|body| &body.schema).collect();
    if schemas.len() < 2 {
        return Ok(Bodies { bodies, union: None });
    }
    // The statuses share one placeholder schema, which `harden` replaces with a union.
    names.reserve(
        &name,
        &format!("/responses (the union of the {} bodies)", if is_error { "error" } else { "success" }),
    )?;
    for (_, response) in responses.iter_mut().filter(|(status, _)| of_class(status)) {
        *response = json!({"description": "", "content": {"application/json": {"schema": reference(&name)}}});
    }
    Ok(Bodies { bodies, union: Some(name) })
}

/// If a successful response is documented, replaces `default` with `4XX` and `5XX`. Otherwise,
/// `default` could describe either a success or an error, and the lint rejects the operation.
pub(super) fn split_default_response(operation: &mut Value) {
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    if !responses.keys().any(|status| status.starts_with('2')) {
        return;
    }
    if let Some(default) = responses.shift_remove("default") {
        for range in ["4XX", "5XX"] {
            responses.entry(range).or_insert_with(|| default.clone());
        }
    }
}

/// Treats media types such as `application/problem+json` as JSON.
fn json_media_type(holder: &mut Value) {
    let Some(content) = holder.get_mut("content").and_then(Value::as_object_mut) else { return };
    if let Some(key) = json_key(content).filter(|key| *key != JSON).map(str::to_owned)
        && let Some(value) = content.shift_remove(&key)
    {
        content.insert(JSON.into(), value);
    }
}

/// Counts the distinct bodies. If `with_none` is set, all statuses without a body are counted
/// together as one body.
fn count_distinct<'a>(responses: impl Iterator<Item = &'a Value>, with_none: bool) -> usize {
    let mut distinct: Vec<Option<Value>> = Vec::new();
    for response in responses {
        let mut response = response.clone();
        json_media_type(&mut response);
        let body = response.pointer("/content/application~1json/schema").map(without_prose);
        if (body.is_some() || with_none) && !distinct.contains(&body) {
            distinct.push(body);
        }
    }
    distinct.len()
}

fn drop_other_content(response: &mut Value) {
    if let Some(response) = response.as_object_mut()
        && response.get("content").and_then(|content| content.get("application/json")).is_none()
    {
        response.shift_remove("content");
    }
}
