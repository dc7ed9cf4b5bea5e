//! Gives each operation one type for its successes and one for its errors (T1, T12).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::form::{Bodies, Body, OtherBody};
use super::names::Names;
use crate::spec::schema::{self, JSON, json_key, pascal, reference, without_prose};

/// Names the bodies of one outcome and gives them a single type: their common schema, or a union
/// whose variant depends on the status (T1, T12).
pub(super) fn normalize_responses(
    names: &mut Names<'_>,
    operation: &mut Value,
    id: &str,
    suffix: &str,
    class: char,
) -> Bodies {
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return Bodies::default();
    };
    let is_error = class == '4';
    // A documented redirect counts as a success.
    let also = if is_error { '5' } else { '3' };
    let of_class = |status: &str| status.starts_with(class) || status.starts_with(also);
    let name = format!("{}{suffix}", pascal(id));
    let mut bodies = Vec::new();
    let mut known: Vec<(Value, String)> = Vec::new();
    let ours = responses.iter().filter(|(status, _)| of_class(status)).map(|(_, response)| response);
    let distinct = count_distinct(ours, !is_error);
    for (status, response) in responses.iter_mut().filter(|(status, _)| of_class(status)) {
        let origin = schema::origin(response).to_owned();
        let media_type = json_media_type(response);
        if is_error {
            // An error body that is not JSON is never decoded.
            drop_other_content(response);
        }
        if let Some(other) = other_body(status, response) {
            response.as_object_mut().map(|response| response.shift_remove("content"));
            bodies.push(Body { other: Some(other), ..Body::empty(status) });
            continue;
        }
        let Some(schema) = response.pointer_mut("/content/application~1json/schema") else {
            bodies.push(Body::empty(status));
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
                let name =
                    names.name(schema, &wanted, format!("{origin}/content/{}/schema", schema::escape(&media_type)));
                known.push((plain, name.clone()));
                name
            }
        };
        bodies.push(Body::json(status, &schema_name, &media_type));
    }
    if is_error && bodies.iter().any(|body| body.schema.is_some()) {
        // A status that is documented without a body is decoded as the operation's error, if
        // possible (A6).
        bodies.retain(|body| body.schema.is_some());
        responses.retain(|status, response| !of_class(status) || response.get("content").is_some());
    }
    let distinct: BTreeSet<_> = bodies.iter().map(|body| (&body.schema, &body.other)).collect();
    if distinct.len() < 2 {
        return Bodies { bodies, union: None };
    }
    // The statuses share one placeholder schema, which `harden` replaces with a union.
    let name = names.reserve(&name);
    for (_, response) in responses.iter_mut().filter(|(status, _)| of_class(status)) {
        *response = json!({"description": "", "content": {"application/json": {"schema": reference(&name)}}});
    }
    Bodies { bodies, union: Some(name) }
}

/// Returns the body of a response if the body is not JSON.
fn other_body(status: &str, response: &Value) -> Option<OtherBody> {
    if status.starts_with('3') {
        // A 304 response answers a conditional request and has no redirect target.
        return (status != "304").then_some(OtherBody::Redirect);
    }
    let content = response.get("content").and_then(Value::as_object).filter(|content| !content.is_empty())?;
    if content.contains_key(JSON) {
        return None;
    }
    Some(OtherBody::Stream(content.keys().cloned().collect()))
}

/// Returns the documented response headers in lower case. Omits the headers that are always kept
/// and those that every server sends.
pub(super) fn response_headers(operation: &Value) -> Vec<String> {
    let known = ["content-length", "content-type", "date", "ob-correlation-id", "ob-trace-id", "retry-after"];
    let responses = operation.get("responses").and_then(Value::as_object).into_iter().flatten();
    let headers = responses.filter_map(|(_, response)| response.get("headers")?.as_object()).flatten();
    let names: BTreeSet<String> = headers.map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.into_iter().filter(|name| !known.contains(&name.as_str())).collect()
}

/// Replaces `default` with the status ranges that it describes: `4XX` and `5XX`, and `2XX` if no
/// successful response is documented.
pub(super) fn split_default_response(operation: &mut Value) {
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    let has_success = responses.keys().any(|status| status.starts_with(['2', '3']));
    if let Some(default) = responses.shift_remove("default") {
        let ranges: &[&str] = if has_success { &["4XX", "5XX"] } else { &["2XX", "4XX", "5XX"] };
        for range in ranges {
            responses.entry(*range).or_insert_with(|| default.clone());
        }
    }
}

/// Treats media types such as `application/problem+json` as JSON. Returns the media type that the
/// document uses.
fn json_media_type(holder: &mut Value) -> String {
    let content = holder.get_mut("content").and_then(Value::as_object_mut);
    let key = content.as_ref().and_then(|content| json_key(content)).unwrap_or(JSON).to_owned();
    if key != JSON
        && let Some(content) = content
        && let Some(value) = content.shift_remove(&key)
    {
        content.insert(JSON.into(), value);
    }
    key
}

/// Counts the distinct bodies. If `with_none` is set, all statuses without a JSON body together
/// count as one body.
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
