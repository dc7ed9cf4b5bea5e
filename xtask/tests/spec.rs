//! Runs `cargo xtask spec` and reads its output with other tools.
//!
//! One test needs Python and its `openapi-spec-validator` package. If either is not installed, the
//! test binary prints a message and reports this test as ignored.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // Test helpers may panic too.
#![allow(clippy::print_stderr)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use xtask::Product;
use xtask::generate::effective_document;
use xtask::spec::read::yaml;

fn main() {
    let is_installed = is_validator_installed();
    let trial = |name: &str, test: fn() -> Result<(), Failed>| Trial::test(name, test);
    let trials = vec![
        trial("the_output_contains_the_corrected_document", the_output_contains_the_corrected_document),
        trial("several_documents_are_separated", several_documents_are_separated),
        trial("a_stale_overlay_is_an_error", a_stale_overlay_is_an_error),
        trial(
            "credentials_are_not_parameters_that_openapi_ignores",
            credentials_are_not_parameters_that_openapi_ignores,
        ),
        trial("other_tools_can_read_the_overlay_targets", other_tools_can_read_the_overlay_targets),
        trial("an_independent_validator_accepts_the_output", an_independent_validator_accepts_the_output)
            .with_ignored_flag(!is_installed),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs the command. Returns the command's exit code, its standard output and its standard error.
fn spec(root: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let output = command.arg("spec").arg("--root").arg(root).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn the_output_contains_the_corrected_document() -> Result<(), Failed> {
    for product in Product::ALL {
        let expected = effective_document(&root(), product)?;
        assert!(expected.to_string().contains("x-error-codes"), "the overlay was not applied");
        for format in ["yaml", "json"] {
            let (code, text, _) = spec(&root(), &["--product", product.name(), "--format", format]);
            assert_eq!(code, 0);
            let value: Value = if format == "json" { serde_json::from_str(&text)? } else { yaml(text.as_bytes())? };
            // Compare the strings, because the comparison of two objects ignores the order.
            assert_eq!(value.to_string(), expected.to_string(), "{format}");
            serde_json::from_value::<openapiv3::OpenAPI>(value)?;
        }
        assert_eq!(spec(&root(), &["--product", product.name()]).1.lines().next(), Some("openapi: 3.0.3"));
    }
    Ok(())
}

fn several_documents_are_separated() -> Result<(), Failed> {
    let titles = |values: Vec<Value>| -> Vec<String> {
        values.iter().map(|value| value["info"]["title"].as_str().unwrap().to_owned()).collect()
    };
    let expected = ["Flinks Pay", "Flinks Connect", "Flinks Outbound"];
    let (_, text, _) = spec(&root(), &[]);
    let documents = text.split("---\n").skip(1).map(|text| yaml(text.as_bytes())).collect::<Result<Vec<_>, _>>()?;
    assert_eq!(titles(documents), expected);
    let (_, text, _) = spec(&root(), &["--format", "json"]);
    let documents = serde_json::Deserializer::from_str(&text).into_iter().collect::<Result<Vec<_>, _>>()?;
    assert_eq!(titles(documents), expected);
    Ok(())
}

/// OpenAPI ignores a header parameter named `Authorization`, so other tools would not send credentials
/// that an overlay describes as such a parameter.
fn credentials_are_not_parameters_that_openapi_ignores() -> Result<(), Failed> {
    for product in Product::ALL {
        let document = effective_document(&root(), product)?;
        let described = document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap());
        for (method, operation) in described {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap().to_ascii_lowercase();
                assert_ne!(name, "authorization", "{}: {method}: {parameter}", product.name());
            }
        }
        let has_credentials = document.to_string().contains("securitySchemes");
        assert_eq!(has_credentials, product != Product::Connect, "{}", product.name());
    }
    Ok(())
}

/// RFC 9535 allows a filter without parentheses, but implementations of Overlay 1.0 that precede the
/// RFC require them.
fn other_tools_can_read_the_overlay_targets() -> Result<(), Failed> {
    let mut filters = 0;
    for folder in [root(), root().join("xtask/tests/frozen")] {
        for product in Product::ALL {
            let overlay = yaml(&fs::read(folder.join(product.overlay()))?)?;
            for action in overlay["actions"].as_array().unwrap() {
                let target = action["target"].as_str().unwrap();
                for filter in target.split("[?").skip(1) {
                    assert!(filter.starts_with('('), "{}: {target}", product.name());
                    filters += 1;
                }
            }
        }
    }
    assert!(filters >= 4, "{filters}");
    Ok(())
}

fn a_stale_overlay_is_an_error() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    for file in [Product::Pay.document(), Product::Pay.overlay(), "openapi/sources.toml".into()] {
        let to = folder.path().join(&file);
        fs::create_dir_all(to.parent().unwrap())?;
        fs::write(to, fs::read_to_string(root().join(&file))?.replace("properties.expires_in", "properties.gone"))?;
    }
    let (code, text, error) = spec(folder.path(), &["--product", "pay"]);
    assert_eq!(code, 1);
    assert_eq!(text, "");
    assert!(error.contains("properties.gone` matches nothing"), "{error}");
    assert_eq!(spec(folder.path(), &["--format", "xml"]).0, 2);
    Ok(())
}

/// A Python program that validates the document on standard input. Its argument is the format.
const VALIDATE: &str = "\
import sys, json, yaml
from openapi_spec_validator import OpenAPIV30SpecValidator
text = sys.stdin.read()
document = json.loads(text) if sys.argv[1] == 'json' else yaml.safe_load(text)
errors = [error.message for error in OpenAPIV30SpecValidator(document).iter_errors()]
sys.exit('\\n'.join(errors) or None)
";

/// Returns whether the validator is installed. If it is not, prints that its test is ignored.
fn is_validator_installed() -> bool {
    let mut python = Command::new("python3");
    python.args(["-c", "import openapi_spec_validator, yaml"]).stdout(Stdio::null()).stderr(Stdio::null());
    let is_installed = python.status().is_ok_and(|status| status.success());
    if !is_installed {
        eprintln!("the Python package openapi-spec-validator is not installed: its test is ignored");
    }
    is_installed
}

fn validate(folder: &Path, format: &str, text: &str) -> (bool, String) {
    let file = folder.join("document");
    fs::write(&file, text).unwrap();
    let mut python = Command::new("python3");
    let output = python.args(["-c", VALIDATE, format]).stdin(fs::File::open(file).unwrap()).output().unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

fn an_independent_validator_accepts_the_output() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    for product in Product::ALL {
        for format in ["yaml", "json"] {
            let (_, text, _) = spec(&root(), &["--product", product.name(), "--format", format]);
            let (is_valid, errors) = validate(folder.path(), format, &text);
            assert!(is_valid, "{}: {errors}", product.name());
        }
    }
    let (is_valid, errors) = validate(folder.path(), "json", r#"{"openapi": "3.0.3", "lenient": []}"#);
    assert!(!is_valid, "the validator accepts an invalid document");
    assert!(errors.contains("lenient"), "{errors}");
    Ok(())
}
