//! Writes lists and objects into a path, a query, a header or a form.

use percent_encoding::utf8_percent_encode;
use reqwest::header::HeaderValue;
use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;

use crate::error::InvalidRequest;
use crate::header::header_text;
use crate::request::UNRESERVED;

/// The style in which a list or an object is written.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As several query parameters: `ids=1&ids=2`, or `a=1&b=2` for an object.
    Exploded,
    /// Joined by a separator: `1,2`, or `a,1,b,2` for an object.
    Joined(char),
    /// As `property=value` pairs, for an object: `a=1,b=2`.
    JoinedPairs,
    /// As one query parameter for each property of an object: `filter[a]=1`.
    DeepObject,
}

/// A parameter's value, with at most one level of nesting.
enum Flat {
    Scalar(String),
    List(Vec<String>),
    Object(Vec<(String, String)>),
}

impl Flat {
    fn of(name: &'static str, value: &(impl Serialize + ?Sized)) -> Result<Self, InvalidRequest> {
        let nested = || InvalidRequest::new(name, "must not contain a list or an object inside another");
        // Conversion via text preserves the digits of an `f32`.
        let value = serde_json::to_vec(value).and_then(|json| serde_json::from_slice(&json)).map_err(|_| nested())?;
        match value {
            Value::Array(array) => {
                let list = array.iter().filter(|value| !value.is_null()).map(|value| scalar(value).ok_or_else(nested));
                list.collect::<Result<_, _>>().map(Self::List)
            }
            Value::Object(object) => {
                let members = object.into_iter().filter(|(_, value)| !value.is_null());
                let pairs = members.map(|(key, value)| Ok((key, scalar(&value).ok_or_else(nested)?)));
                pairs.collect::<Result<_, _>>().map(Self::Object)
            }
            other => scalar(&other).map(Self::Scalar).ok_or_else(nested),
        }
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(bool) => Some(bool.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// Adds a list or an object to the query of a URL. A comma between two values is not encoded, but a
/// comma within a value is. Any other separator is encoded in both places, so a value that contains
/// this separator cannot be sent.
pub(crate) fn add_query(
    mut url: Url,
    name: &'static str,
    value: &(impl Serialize + ?Sized),
    style: Style,
) -> Result<Url, InvalidRequest> {
    let key = encode(name);
    let joined = |values: Vec<String>, separator: char| {
        if separator != ',' && values.iter().any(|value| value.contains(separator)) {
            return Err(InvalidRequest::new(name, "must not contain a value that includes the separator"));
        }
        let separator = if separator == ',' { String::from(",") } else { encode(&separator.to_string()) };
        let values = values.iter().map(|value| encode(value)).collect::<Vec<_>>().join(&separator);
        Ok(vec![format!("{key}={values}")])
    };
    let pairs: Vec<String> = match (Flat::of(name, value)?, style) {
        (Flat::Scalar(value), _) => vec![format!("{key}={}", encode(&value))],
        (Flat::List(list), Style::Joined(separator)) if !list.is_empty() => joined(list, separator)?,
        (Flat::List(list), _) => list.iter().map(|value| format!("{key}={}", encode(value))).collect(),
        (Flat::Object(object), Style::DeepObject) => object
            .iter()
            .map(|(property, value)| format!("{}={}", encode(&format!("{name}[{property}]")), encode(value)))
            .collect(),
        (Flat::Object(object), Style::Joined(separator)) if !object.is_empty() => {
            let values = object.into_iter().flat_map(|(property, value)| [property, value]).collect();
            joined(values, separator)?
        }
        (Flat::Object(object), _) => {
            object.iter().map(|(property, value)| format!("{}={}", encode(property), encode(value))).collect()
        }
    };
    let query: Vec<String> = url.query().map(str::to_owned).into_iter().chain(pairs).collect();
    if !query.is_empty() {
        url.set_query(Some(&query.join("&")));
    }
    Ok(url)
}

/// Writes a list or an object into a path. The list or object must not be empty.
#[doc(hidden)]
pub fn encode_path_list(
    name: &'static str,
    value: &(impl Serialize + ?Sized),
    style: Style,
) -> Result<String, InvalidRequest> {
    let text = values(name, value, style, |text| Ok(encode(text)))?.join(",");
    // A URL parser resolves dot segments, even if they are percent-encoded.
    if matches!(text.as_str(), "" | "." | "..") {
        return Err(InvalidRequest::new(name, "must not be empty, `.` or `..`"));
    }
    Ok(text)
}

/// Writes a list or an object into a header. Headers are not percent-encoded, so a value that the
/// server would read as several values cannot be sent.
#[doc(hidden)]
pub fn header_list(
    name: &'static str,
    value: &(impl Serialize + ?Sized),
    style: Style,
) -> Result<HeaderValue, InvalidRequest> {
    let plain = |text: &str| {
        if text.is_empty() || text.contains(',') || text.trim() != text {
            return Err(InvalidRequest::new(
                name,
                "must not contain a comma or an empty value, or have spaces around a value",
            ));
        }
        Ok(text.to_owned())
    };
    header_text(name, values(name, value, style, plain)?.join(","))
}

/// Form-encodes `body`, whose fields can be lists. Each entry of a list becomes a separate pair:
/// `ids=1&ids=2`.
pub(crate) fn encode_form(body: &impl Serialize) -> Result<String, InvalidRequest> {
    let invalid = || InvalidRequest::new("body", "contains a value that cannot be form-encoded");
    // Conversion via text preserves the digits of an `f32`.
    let fields: Map<String, Value> =
        serde_json::to_vec(body).and_then(|json| serde_json::from_slice(&json)).map_err(|_| invalid())?;
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in &fields {
        let entries = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for entry in entries.iter().filter(|entry| !entry.is_null()) {
            form.append_pair(name, &scalar(entry).ok_or_else(invalid)?);
        }
    }
    Ok(form.finish())
}

/// Returns the values of a list or an object, each converted with `write`.
fn values(
    name: &'static str,
    value: &(impl Serialize + ?Sized),
    style: Style,
    write: impl Fn(&str) -> Result<String, InvalidRequest>,
) -> Result<Vec<String>, InvalidRequest> {
    match Flat::of(name, value)? {
        Flat::Scalar(value) => Ok(vec![write(&value)?]),
        Flat::List(list) => list.iter().map(|value| write(value)).collect(),
        Flat::Object(object) if style == Style::JoinedPairs => {
            object.iter().map(|(property, value)| Ok(format!("{}={}", write(property)?, write(value)?))).collect()
        }
        Flat::Object(object) => {
            object.iter().flat_map(|(property, value)| [property, value]).map(|text| write(text)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(value: &Value, style: Style) -> String {
        let url = Url::parse("https://api.example/x?a=b").unwrap();
        let url = add_query(url, "k y", value, style).unwrap();
        url.query().unwrap().to_owned()
    }

    /// The expected text comes from the table in the "Style Examples" section of OpenAPI 3.0.3.
    #[test]
    fn lists_and_objects_in_a_query() {
        let list = json!(["x", "y,z", 3, null]);
        // The order must not depend on whether serde_json preserves insertion order.
        let object = json!({"g": "a&b", "n": null, "r": 100});
        for (value, style, expected) in [
            (&list, Style::Exploded, "a=b&k%20y=x&k%20y=y%2Cz&k%20y=3"),
            (&list, Style::Joined(','), "a=b&k%20y=x,y%2Cz,3"),
            (&list, Style::Joined(' '), "a=b&k%20y=x%20y%2Cz%203"),
            (&list, Style::Joined('|'), "a=b&k%20y=x%7Cy%2Cz%7C3"),
            (&object, Style::Exploded, "a=b&g=a%26b&r=100"),
            (&object, Style::Joined(','), "a=b&k%20y=g,a%26b,r,100"),
            (&object, Style::DeepObject, "a=b&k%20y%5Bg%5D=a%26b&k%20y%5Br%5D=100"),
            (&json!([]), Style::Joined(','), "a=b"),
            (&json!({}), Style::DeepObject, "a=b"),
            (&json!(true), Style::DeepObject, "a=b&k%20y=true"),
        ] {
            assert_eq!(query(value, style), expected, "{value} {style:?}");
        }
        let url = Url::parse("https://api.example/x").unwrap();
        assert_eq!(add_query(url.clone(), "k", &[0.1_f32], Style::Exploded).unwrap().query(), Some("k=0.1"));
        for (value, separator) in [("a b", ' '), ("a|b", '|')] {
            let error = add_query(url.clone(), "k", &json!([value]), Style::Joined(separator)).unwrap_err();
            assert_eq!(error.field(), "k");
        }
    }

    #[test]
    fn lists_and_objects_in_a_path_and_a_header() {
        let object = json!({"g": "a/b", "r": 100});
        assert_eq!(encode_path_list("p", &json!(["a/b", "c"]), Style::Joined(',')).unwrap(), "a%2Fb,c");
        assert_eq!(encode_path_list("p", &object, Style::Joined(',')).unwrap(), "g,a%2Fb,r,100");
        assert_eq!(encode_path_list("p", &object, Style::JoinedPairs).unwrap(), "g=a%2Fb,r=100");
        assert_eq!(header_list("h", &json!(["a b", "c:d/e", 1]), Style::Joined(',')).unwrap(), "a b,c:d/e,1");
        assert_eq!(header_list("h", &object, Style::JoinedPairs).unwrap(), "g=a/b,r=100");
        for invalid in [json!([]), json!(["a,b"]), json!(["a", ""]), json!([" a"]), json!(["\u{e9}"]), json!({"a,": 1})]
        {
            assert_eq!(header_list("h", &invalid, Style::Joined(',')).unwrap_err().field(), "h", "{invalid}");
        }
        for invalid in [json!([]), json!([".."]), json!([[1]]), json!({"a": {"b": 1}})] {
            assert_eq!(encode_path_list("p", &invalid, Style::Joined(',')).unwrap_err().field(), "p");
        }
    }

    #[test]
    fn lists_in_a_form() {
        // The order must not depend on whether serde_json preserves insertion order.
        let body = json!({"empty": [], "flag": true, "ids": ["a b", 2, null], "none": null, "text": "x&y"});
        assert_eq!(encode_form(&body).unwrap(), "flag=true&ids=a+b&ids=2&text=x%26y");
        for invalid in [json!({"a": {"b": 1}}), json!({"a": [[1]]}), json!([1])] {
            assert_eq!(encode_form(&invalid).unwrap_err().field(), "body");
        }
    }
}
