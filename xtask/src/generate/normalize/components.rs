//! Replaces references into `components` with their targets.

use serde_json::{Value, json};

use crate::spec::schema::{Place, resolve};

/// Replaces references to parameters, bodies and responses with their targets so that the later
/// passes handle only one form.
pub(super) fn inline_components(document: &mut Value, place: &Place) {
    let components = document.get("components").cloned().unwrap_or_default();
    let item = document.pointer_mut(&place.path_pointer()).and_then(Value::as_object_mut);
    let Some(item) = item else { return };
    let shared = item.get("parameters").cloned();
    let Some(operation) = item.get_mut(place.method).and_then(Value::as_object_mut) else { return };
    // A parameter of the path item applies to each of its operations, unless the operation has a
    // parameter with the same name and location.
    if let Some(shared) = shared.as_ref().and_then(Value::as_array) {
        let own = operation.entry("parameters").or_insert_with(|| json!([]));
        if let Some(own) = own.as_array_mut() {
            let resolved: Vec<Value> = own.iter().map(|value| resolve(&components, value)).collect();
            for parameter in shared {
                let parameter = resolve(&components, parameter);
                let is_same = |other: &&Value| ["name", "in"].iter().all(|key| other.get(key) == parameter.get(key));
                if !resolved.iter().any(|other| is_same(&other)) {
                    own.push(parameter);
                }
            }
        }
    }
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        *parameter = resolve(&components, parameter);
    }
    if let Some(body) = operation.get_mut("requestBody") {
        *body = resolve(&components, body);
    }
    for (_, response) in operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flatten() {
        *response = resolve(&components, response);
    }
    // Removes the extensions that the server framework dropshot adds.
    operation.retain(|key, _| !key.starts_with("x-dropshot"));
}
