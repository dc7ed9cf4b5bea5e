//! Helpers that read the emulator's pages as a browser would.

use serde_json::{Value, json};

use crate::{Local, send};

/// Returns the value of the first attribute with this name on a page.
pub(crate) fn attribute(page: &Value, name: &str) -> Option<String> {
    let (_, after) = page.as_str().unwrap().split_once(&format!(" {name}=\""))?;
    Some(after.split_once('"').unwrap().0.replace("&amp;", "&").replace("&quot;", "\""))
}

/// Returns the address that a page's form is submitted to.
pub(crate) fn action(page: &Value) -> String {
    attribute(page, "action").unwrap_or_else(|| panic!("{page}"))
}

/// Returns the name of the step in a page's form.
pub(crate) fn step(page: &Value) -> String {
    let (_, after) = page.as_str().unwrap().split_once("name=\"step\"").unwrap_or_else(|| panic!("{page}"));
    attribute(&json!(after), "value").unwrap()
}

/// Returns the names of the events that a page sends to its parent page.
pub(crate) fn events(page: &Value) -> Vec<String> {
    let Some(events) = attribute(page, "data-events") else { return Vec::new() };
    let events: Vec<Value> = serde_json::from_str(&events).unwrap();
    events.iter().map(|event| event["step"].as_str().unwrap().to_owned()).collect()
}

/// Submits a page's form with these fields, follows the redirect and returns the next page.
pub(crate) async fn submit(local: &Local, page: &Value, fields: &[(&str, &str)]) -> Value {
    let form = action(page);
    let step = step(page);
    let fields: Vec<(&str, &str)> = [("step", &*step)].into_iter().chain(fields.iter().copied()).collect();
    let redirect = send(local.post(&form).form(&fields)).await;
    assert_eq!(redirect.status, 303);
    assert_eq!(redirect.location.as_deref(), Some(&*form));
    let next = send(local.get(&form)).await;
    assert_eq!(next.status, 200);
    next.body
}
