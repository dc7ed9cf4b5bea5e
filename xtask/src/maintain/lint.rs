//! `cargo xtask lint` reports everything in a document that prevents code generation, and suggests
//! an overlay to start from.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::error::Cure;
use crate::generate::output::Header;
use crate::generate::refusals::{Refusals, Scope, refusals, suspects};
use crate::spec::overlay;
use crate::spec::read::yaml;
use crate::spec::schema::{self, NOT_SECRET_KEY, Place, json_path};
use crate::{Error, Result};

/// The problems in one document.
#[derive(Debug)]
pub struct LintReport {
    document: Value,
    refusals: Refusals,
}

/// Reads a document and finds all problems in it.
///
/// # Errors
///
/// Returns an error if the file cannot be read or is not valid YAML or JSON.
pub fn lint(path: &Path) -> Result<LintReport> {
    let bytes =
        std::fs::read(path).map_err(|error| Error::new(format!("failed to read the file: {error}")).in_file(path))?;
    let document = yaml(&bytes).map_err(|error| error.in_file(path))?;
    let header = Header { document: path.to_owned(), overlay: PathBuf::new(), sha256: "" };
    let refusals = refusals(&document, &header);
    Ok(LintReport { document, refusals })
}

impl LintReport {
    /// Returns whether code can be generated from the whole document.
    pub fn is_accepted(&self) -> bool {
        self.refusals.errors.is_empty() && self.refusals.suspects.is_empty()
    }

    /// Returns the problems, grouped by reason. The most frequent reason comes first.
    pub fn text(&self) -> String {
        let Refusals { operations, accepted, errors, suspects } = &self.refusals;
        let mut text = format!("code can be generated from {accepted} of {operations} operations");
        if !suspects.is_empty() {
            let _ = write!(text, ", once it is decided which of {} fields are secrets", suspects.len());
        }
        text.push('\n');
        let mut groups: BTreeMap<String, Vec<&Error>> = BTreeMap::new();
        for error in errors.iter().chain(suspects) {
            groups.entry(reason(error.message())).or_default().push(error);
        }
        let mut groups: Vec<(String, Vec<&Error>)> = groups.into_iter().collect();
        groups.sort_by_key(|(_, errors)| std::cmp::Reverse(errors.len()));
        for (reason, errors) in groups {
            // Writing to a string never fails.
            let _ = write!(text, "\n{} × {reason}\n", errors.len());
            for error in &errors {
                let _ = writeln!(text, "  at: {}", error.pointer().unwrap_or("(the whole document)"));
            }
            let help = errors.iter().find_map(|error| error.help_text()?.lines().next().map(str::to_owned));
            let _ = writeln!(text, "  help: {}", help.unwrap_or_default().trim_end_matches(':'));
        }
        text
    }

    /// Returns an overlay that makes the document acceptable. The overlay corrects each problem
    /// that has a likely correction and removes the operations with other problems.
    pub fn suggestion(&self) -> Value {
        let removed = self.removed_operations();
        let mut cures = self.cures(&removed);
        loop {
            let overlay = self.overlay(&cures, &removed);
            let Ok(corrected) = overlay::apply(self.document.clone(), &overlay) else { return overlay };
            // An exemption has no effect if another action marks a part of the field.
            let problems = suspects(&corrected);
            let targets = problems.iter().filter_map(|error| Some(json_path(&self.document, error.pointer()?)));
            let obsolete: Vec<String> =
                targets.filter(|target| cures.get(target).is_some_and(Action::is_exemption)).collect();
            if obsolete.is_empty() {
                return overlay;
            }
            cures.retain(|target, _| !obsolete.contains(target));
        }
    }

    /// Returns the likely corrections, keyed by target.
    fn cures(&self, removed: &[(Place, &Error)]) -> BTreeMap<String, Action> {
        let Refusals { errors, suspects, .. } = &self.refusals;
        let is_removed = |pointer: &str| {
            removed.iter().any(|(place, _)| {
                let own = place.pointer();
                pointer == own || pointer.starts_with(&format!("{own}/"))
            })
        };
        let mut actions: BTreeMap<String, Action> = BTreeMap::new();
        for error in errors.iter().chain(suspects) {
            let Some(Cure { pointer, update }) = error.cure() else { continue };
            if is_removed(pointer) || self.document.pointer(pointer).is_none() {
                continue;
            }
            let targets = match update {
                // Removing the component would leave references without a target, so the references
                // are removed instead.
                None if pointer.starts_with("/components/") => references(&self.document, pointer),
                _ => vec![json_path(&self.document, pointer)],
            };
            for target in targets {
                let action = actions.entry(target).or_insert_with(|| Action::new(error));
                action.add(update.as_ref());
            }
        }
        actions
    }

    fn overlay(&self, cures: &BTreeMap<String, Action>, removed: &[(Place, &Error)]) -> Value {
        let cures = cures.iter().map(|(target, action)| action.to_json(target));
        // Another action may concern an operation that is removed, so removals come last.
        let removals = removed.iter().map(|(place, error)| {
            let target = json_path(&self.document, &place.pointer());
            Action::removal(error).to_json(&target)
        });
        let title = self.document.pointer("/info/title").and_then(Value::as_str).unwrap_or("the document");
        json!({
            "overlay": "1.0.0",
            "info": {"title": format!("Corrections of {title}"), "version": "1.0.0"},
            "actions": cures.chain(removals).collect::<Vec<Value>>(),
        })
    }

    /// Returns the suggested overlay as YAML.
    ///
    /// # Errors
    ///
    /// Returns an error if the overlay cannot be written as YAML.
    pub fn suggestion_yaml(&self) -> Result<String> {
        serde_saphyr::to_string(&self.suggestion())
            .map_err(|error| Error::new(format!("failed to write the overlay as YAML: {error}")))
    }

    /// Returns the operations with a problem that has no likely correction, each with that problem.
    fn removed_operations(&self) -> Vec<(Place, &Error)> {
        let scope = Scope::of(&self.document);
        let errors: Vec<&Error> = self.refusals.errors.iter().filter(|error| error.cure().is_none()).collect();
        let places = schema::operations(&self.document).into_iter();
        let removed = places.filter_map(|place| {
            let error = errors.iter().find(|error| scope.contains(&place, error))?;
            Some((place, *error))
        });
        removed.collect()
    }
}

/// Returns the overlay targets for the list entries that refer to a component.
fn references(document: &Value, pointer: &str) -> Vec<String> {
    fn search(value: &Value, at: &str, reference: &str, lists: &mut Vec<String>) {
        match value {
            Value::Array(array) => {
                if array.iter().any(|entry| entry.get("$ref").is_some_and(|target| target == reference)) {
                    lists.push(at.to_owned());
                }
                array
                    .iter()
                    .enumerate()
                    .for_each(|(index, entry)| search(entry, &format!("{at}/{index}"), reference, lists));
            }
            Value::Object(object) => object
                .iter()
                .for_each(|(key, value)| search(value, &format!("{at}/{}", schema::escape(key)), reference, lists)),
            _ => {}
        }
    }
    let reference = format!("#{pointer}");
    let mut lists = Vec::new();
    search(document, "", &reference, &mut lists);
    lists.iter().map(|list| format!("{}[?(@['$ref'] == '{reference}')]", json_path(document, list))).collect()
}

/// A suggested action. If several problems have the same target, a removal cures them all.
struct Action {
    description: String,
    update: Option<Value>,
    is_removal: bool,
}

impl Action {
    /// Creates an action that has no effect yet.
    fn new(error: &Error) -> Self {
        Self { description: format!("Suggested: {}.", error.message()), update: None, is_removal: false }
    }

    /// Creates an action that removes its target.
    fn removal(error: &Error) -> Self {
        Self { is_removal: true, ..Self::new(error) }
    }

    /// Adds a cure: an update, or `None` for a removal.
    fn add(&mut self, update: Option<&Value>) {
        match (&mut self.update, update) {
            (_, None) => self.is_removal = true,
            (Some(known), Some(update)) => overlay::merge(known, update),
            (none, Some(update)) => *none = Some(update.clone()),
        }
    }

    /// Returns whether this action only exempts a field that looks like a secret.
    fn is_exemption(&self) -> bool {
        let keys = self.update.iter().filter_map(Value::as_object).flat_map(|update| update.keys());
        !self.is_removal && keys.eq([NOT_SECRET_KEY])
    }

    fn to_json(&self, target: &str) -> Value {
        match &self.update {
            Some(update) if !self.is_removal => {
                json!({"target": target, "description": self.description, "update": update})
            }
            _ => json!({"target": target, "description": self.description, "remove": true}),
        }
    }
}

/// Returns a message without the names that it quotes, so that problems of the same kind have the
/// same text.
fn reason(message: &str) -> String {
    let mut reason = String::new();
    for (index, part) in message.split('`').enumerate() {
        if index % 2 == 0 { reason.push_str(part) } else { reason.push_str("`…`") }
    }
    reason
}
