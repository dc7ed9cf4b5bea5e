//! Checks code that users may copy from READMEs, examples and documentation.

use std::path::{Path, PathBuf};

/// If a variable is not UTF-8, `VarError` contains the variable's value. A `main` function that
/// returns this error prints the value, which may be a secret.
#[test]
fn a3_no_program_prints_a_variable_that_is_not_utf8() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    let mut reads = 0;
    list(&workspace, &mut files);
    for file in files {
        let text: String = std::fs::read_to_string(&file).unwrap().split_whitespace().collect();
        for (at, call) in text.match_indices("env::var(") {
            reads += 1;
            let after = &text[at + call.len()..];
            let after = after.split_once(')').map_or("", |(_, after)| after);
            let is_safe = after.starts_with(".map_err(|_|")
                || after.starts_with(".ok()")
                || after.starts_with('{') && after.contains("NotUnicode(_)");
            let excerpt: String = text[at..].chars().take(60).collect();
            assert!(is_safe, "{}: {excerpt}", file.display());
        }
    }
    assert!(reads >= 4, "only {reads} reads of variables were found");
}

/// Adds all documents, sources and examples to `files`. Skips `tests` directories.
fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_excluded = name.starts_with('.') || matches!(name, "target" | "tests");
        if path.is_dir() && !is_excluded {
            list(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "md" || extension == "rs") {
            files.push(path);
        }
    }
}
