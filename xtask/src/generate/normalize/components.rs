//! Replaces references into `components` with their targets.

use serde_json::{Value, json};

use crate::spec::schema::{Place, escape, resolve_at, set_origin};

/// Replaces references to parameters, bodies and responses with their targets so that the later
/// passes handle only one form. Records the original location of each target, because corrections
/// have to be made there.
pub(super) fn inline_components(document: &mut Value, components: &Value, place: &Place) {
    let inlined = |value: &Value, at: String| {
        let (mut target, at) = resolve_at(components, value, at);
        set_origin(&mut target, &at);
        target
    };
    let item = document.pointer_mut(&place.path_pointer()).and_then(Value::as_object_mut);
    let Some(item) = item else { return };
    let shared = item.get("parameters").cloned();
    let Some(operation) = item.get_mut(place.method).and_then(Value::as_object_mut) else { return };
    // Removes the extensions that the server framework dropshot adds.
    operation.retain(|key, _| !key.starts_with("x-dropshot"));
    for (index, parameter) in
        operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten().enumerate()
    {
        *parameter = inlined(parameter, format!("{}/parameters/{index}", place.pointer()));
    }
    // A parameter of a path item applies to each of the item's operations, unless the operation has
    // a parameter with the same name and location.
    if let Some(shared) = shared.as_ref().and_then(Value::as_array)
        && let Some(own) = operation.entry("parameters").or_insert_with(|| json!([])).as_array_mut()
    {
        for (index, parameter) in shared.iter().enumerate() {
            let parameter = inlined(parameter, format!("{}/parameters/{index}", place.path_pointer()));
            let is_same = |other: &Value| ["name", "in"].iter().all(|key| other.get(key) == parameter.get(key));
            if !own.iter().any(is_same) {
                own.push(parameter);
            }
        }
    }
    if let Some(body) = operation.get_mut("requestBody") {
        *body = inlined(body, format!("{}/requestBody", place.pointer()));
    }
    for (status, response) in operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flatten() {
        *response = inlined(response, format!("{}/responses/{}", place.pointer(), escape(status)));
    }
}
