//! Maintains the "held by" column of `RULES.md`. For each rule, the column counts the tests whose
//! names start with the rule's id.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The number of tests for a rule, by folder and file.
type Places = BTreeMap<String, BTreeMap<String, usize>>;

/// The name, without its extension, of a file that lists tests from other files. The names in this
/// file are not counted.
const LISTS_OTHER_TESTS: &str = "elsewhere";

#[test]
fn rules_document_lists_the_tests_of_every_rule() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = manifest.join("../..");
    if !workspace.join("xtask").is_dir() {
        // A packaged crate does not include the tests of the other crates.
        return;
    }
    let mut held = BTreeMap::new();
    for folder in ["crates", "xtask"] {
        collect(&workspace, folder, &mut held);
    }
    let rules = manifest.join("RULES.md");
    let text = std::fs::read_to_string(&rules).unwrap();
    let expected: String = text.lines().map(|line| with_tests(line, &held) + "\n").collect();
    if std::env::var_os("UPDATE_RULES").is_some() {
        std::fs::write(rules, expected).unwrap();
    } else {
        assert!(
            text == expected,
            "RULES.md does not list the current tests; run `UPDATE_RULES=1 cargo test -p flinks --test rules index`"
        );
    }
}

/// Counts the tests in a folder and its subfolders. `folder` is relative to the workspace.
fn collect(workspace: &Path, folder: &str, held: &mut BTreeMap<String, Places>) {
    for entry in std::fs::read_dir(workspace.join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if name != "target" {
                collect(workspace, &format!("{folder}/{name}"), held);
            }
        } else if let Some(stem) = name.strip_suffix(".rs")
            && stem != LISTS_OTHER_TESTS
        {
            let source = std::fs::read_to_string(&path).unwrap();
            let folder = folder.strip_prefix("crates/").unwrap_or(folder);
            for test in names(&source) {
                for rule in rules_of(test) {
                    let places = held.entry(rule.to_uppercase()).or_default();
                    *places.entry(folder.to_owned()).or_default().entry(stem.to_owned()).or_default() += 1;
                }
            }
        }
    }
}

/// Returns all names in a source file that may be test names: the names of functions, and the
/// strings that name the tests of a custom harness.
fn names(source: &str) -> BTreeSet<&str> {
    let starts = source.split("fn ").skip(1).chain(source.split('"').skip(1));
    let is_outside = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    starts.filter_map(|rest| rest.split(is_outside).next()).collect()
}

/// Returns the rule ids at the start of a name, such as `p5` and `c3` in `p5_c3_a_token`.
fn rules_of(test: &str) -> impl Iterator<Item = &str> {
    test.split('_').take_while(|part| {
        let number = part.strip_prefix(['p', 'c', 'o', 'a', 't']);
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// Returns a line of `RULES.md` with an updated test column.
fn with_tests(line: &str, held: &BTreeMap<String, Places>) -> String {
    let Some(row) = line.strip_prefix("| ") else { return line.to_owned() };
    let cells: Vec<&str> = row.split(" | ").map(|cell| cell.trim_end_matches('|').trim()).collect();
    let [first, second, ..] = cells[..] else { return line.to_owned() };
    let tests = match first {
        "id" => "held by".to_owned(),
        "---" => "---".to_owned(),
        rule => places(held.get(rule).unwrap_or_else(|| panic!("rule {rule} has no test"))),
    };
    format!("| {first} | {second} | {tests} |")
}

/// Formats the test counts by folder and file.
fn places(places: &Places) -> String {
    let folders = places.iter().map(|(folder, files)| {
        let files: Vec<String> = files.iter().map(|(file, tests)| format!("{file} {tests}")).collect();
        format!("`{folder}/`: {}", files.join(", "))
    });
    folders.collect::<Vec<_>>().join("; ")
}
