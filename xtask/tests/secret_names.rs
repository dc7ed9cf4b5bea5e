//! Checks the rules for secret names against the labelled names in `secret_names.txt`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::arithmetic_side_effects)]

use serde_json::{Value, json};
use xtask::generate::secret_names;

const LABELLED: &str = include_str!("secret_names.txt");

/// A labelled field name.
#[derive(Debug)]
struct Label {
    line: &'static str,
    name: &'static str,
    kind: &'static str,
    is_secret: bool,
}

fn labels() -> Vec<Label> {
    let lines = LABELLED.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let labels = lines.map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [name, kind, "yes"] => Label { line, name, kind, is_secret: true },
        [name, kind, "no"] => Label { line, name, kind, is_secret: false },
        _ => panic!("invalid line: {line}"),
    });
    labels.collect()
}

fn schema(kind: &str) -> Value {
    match kind {
        "text" => json!({"type": "string"}),
        "integer" | "number" | "boolean" => json!({"type": kind}),
        "enum" => json!({"type": "string", "enum": ["A", "B"]}),
        "date-time" => json!({"type": "string", "format": "date-time"}),
        "list" => json!({"type": "array", "items": {"type": "string"}}),
        "map" => json!({"type": "object", "additionalProperties": {"type": "string"}}),
        "object" => json!({"type": "object", "properties": {"id_type": {"type": "string"}}}),
        _ => panic!("unknown kind: {kind}"),
    }
}

/// Returns whether the check reports the field.
fn is_reported(label: &Label) -> bool {
    let kind = label.kind.split(['+', '@', '!', '/']).next().unwrap();
    let mut operation = json!({"responses": {}});
    let mut path = "/x".to_owned();
    if let Some((_, segment)) = label.kind.split_once('/') {
        path = format!("/{segment}/{{{}}}", label.name);
        operation["parameters"] = json!([{"name": label.name, "in": "path", "schema": schema(kind)}]);
    } else {
        let mut object = json!({"type": "object", "properties": {label.name: schema(kind)}});
        for sibling in label.kind.split('+').skip(1) {
            // Siblings are flags, so that only the labelled field can be reported.
            object["properties"][sibling] = json!({"type": "boolean"});
        }
        if let Some((_, container)) = label.kind.split_once('@') {
            object = json!({"type": "object", "properties": {container: object}});
        }
        let status = if label.kind.ends_with('!') { "400" } else { "200" };
        operation["responses"][status] = json!({"content": {"application/json": {"schema": object}}});
    }
    secret_names::check(&json!({"paths": {path: {"get": operation}}})).is_err()
}

#[test]
fn every_labelled_secret_is_reported() {
    let missed: Vec<_> = labels().into_iter().filter(|label| label.is_secret && !is_reported(label)).collect();
    let lines: Vec<_> = missed.iter().map(|label| label.line).collect();
    assert!(lines.is_empty(), "missed secrets:\n{}", lines.join("\n"));
}

#[test]
fn at_most_5_percent_of_the_other_labelled_names_are_reported() {
    let others: Vec<_> = labels().into_iter().filter(|label| !label.is_secret).collect();
    let reported: Vec<_> = others.iter().filter(|label| is_reported(label)).map(|label| label.line).collect();
    let count = format!("{} of {} other names are reported", reported.len(), others.len());
    println!("{count}:\n{}", reported.join("\n"));
    assert!(reported.len() * 20 <= others.len(), "{count}:\n{}", reported.join("\n"));
}

#[test]
fn the_list_is_long_enough_on_both_sides() {
    let labels = labels();
    let secrets = labels.iter().filter(|label| label.is_secret).count();
    assert!(secrets >= 150, "{secrets} secrets");
    assert!(labels.len() - secrets >= 150, "{} others", labels.len() - secrets);
    let mut lines: Vec<_> = labels.iter().map(|label| label.line).collect();
    lines.sort_unstable();
    let repeated: Vec<_> = lines.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    assert!(repeated.is_empty(), "repeated lines: {repeated:?}");
}
