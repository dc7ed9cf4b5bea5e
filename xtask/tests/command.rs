//! Runs `cargo xtask regenerate` as a command and checks its output, exit codes and files.

#![allow(clippy::panic, clippy::unwrap_used)] // helpers of tests are test code too

use std::fs;
use std::path::Path;
use std::process::Command;

use xtask::Product;

const FAILED: i32 = 1;
const STALE: i32 = 3;

/// Creates a temporary project with copies of the real documents and generated files.
fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let copy = |path: &Path| {
        let to = folder.path().join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, fs::read(root.join(path)).unwrap()).unwrap();
    };
    copy(Path::new("openapi/sources.toml"));
    for product in Product::ALL {
        copy(&product.document());
        copy(&product.overlay());
        copy(&product.generated());
        copy(&product.public_api());
    }
    folder
}

/// Runs the command. Returns the command's exit code and everything that it printed.
fn regenerate(root: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let output = command.arg("regenerate").arg("--root").arg(root).args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

/// Returns the bytes of all generated files.
fn generated(root: &Path) -> Vec<Option<Vec<u8>>> {
    Product::ALL.iter().map(|product| fs::read(root.join(product.generated())).ok()).collect()
}

fn edit(root: &Path, path: &Path, edit: impl FnOnce(String) -> String) {
    let path = root.join(path);
    fs::write(&path, edit(fs::read_to_string(&path).unwrap())).unwrap();
}

#[test]
fn files_are_reported_as_fresh_stale_or_written() {
    let folder = project();
    let root = folder.path();
    let before = generated(root);
    assert_eq!(regenerate(root, &[]).0, 0);
    assert_eq!(generated(root), before);
    let (code, text) = regenerate(root, &["--check"]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(text.matches("fresh").count(), 3, "{text}");

    edit(root, &Product::Connect.generated(), |text| text.replacen("Secret", "String", 1));
    let stale = generated(root);
    let (code, text) = regenerate(root, &["--check"]);
    assert_eq!(code, STALE);
    assert!(text.contains("stale   flinks-connect"), "{text}");
    assert!(text.contains("\n-"), "{text}");
    assert!(text.contains("\n+"), "{text}");
    assert_eq!(generated(root), stale, "--check changed a file");
    assert_eq!(regenerate(root, &["--check", "--product", "pay"]).0, 0);

    let (code, text) = regenerate(root, &["--product", "connect"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("wrote   flinks-connect"), "{text}");
    assert_eq!(generated(root), before);

    fs::remove_file(root.join(Product::Pay.generated())).unwrap();
    assert_eq!(regenerate(root, &["--check"]).0, STALE);
    fs::write(root.join(Product::Pay.generated()), b"\xff").unwrap();
    assert_eq!(regenerate(root, &["--check"]).0, STALE);
    assert_eq!(regenerate(root, &[]).0, 0);
    assert_eq!(generated(root), before);
}

#[test]
fn the_error_for_a_changed_document_explains_how_to_accept_it() {
    let folder = project();
    let root = folder.path();
    let before = generated(root);
    edit(root, &Product::Pay.document(), |text| text.replace("The access token.", "An access token."));
    for arguments in [&["--check"][..], &[]] {
        let (code, text) = regenerate(root, arguments);
        assert_eq!(code, FAILED);
        assert!(text.contains("openapi/flinks-pay.yaml"), "{text}");
        assert!(text.contains("its SHA-256 hash differs"), "{text}");
        assert!(text.contains("under [flinks-pay] in openapi/sources.toml"), "{text}");
        assert!(text.contains("fresh   flinks-connect"), "the other products were not checked: {text}");
        assert_eq!(generated(root), before, "a file was written");
    }
    // Following the advice is enough to fix the error.
    let (_, text) = regenerate(root, &["--check"]);
    let hash = text.split("sha256 = \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    edit(root, Path::new("openapi/sources.toml"), |text| {
        let (before, after) = text.split_once("sha256 = \"").unwrap();
        format!("{before}sha256 = \"{hash}{}", after.split_at(64).1)
    });
    let (code, text) = regenerate(root, &[]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("wrote   flinks-pay"), "{text}");
    assert_ne!(generated(root), before);
}

#[test]
fn invalid_input_is_one_located_error_and_nothing_is_written() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 9] = [
        ("openapi/flinks-outbound.yaml: failed to read the file", |root| {
            fs::remove_file(root.join(Product::Outbound.document())).unwrap();
        }),
        ("openapi/sources.toml: failed to read the file", |root| {
            fs::remove_file(root.join("openapi/sources.toml")).unwrap();
        }),
        ("openapi/sources.toml: missing entry [flinks-outbound]", |root| {
            edit(root, Path::new("openapi/sources.toml"), |text| {
                text.replace("[flinks-outbound", "[other").replace("[[flinks-outbound", "[[other")
            });
        }),
        ("openapi/flinks-outbound.yaml: the document has version 3.0.0", |root| {
            edit(root, Path::new("openapi/sources.toml"), |text| {
                text.replace("version = \"3.0.0\"", "version = \"2.0.0\"")
            });
        }),
        ("openapi/overlays/flinks-outbound.yaml: failed to read the file", |root| {
            fs::remove_file(root.join(Product::Outbound.overlay())).unwrap();
        }),
        ("openapi/overlays/flinks-outbound.yaml: invalid YAML", |root| {
            edit(root, &Product::Outbound.overlay(), |text| text + "\n[");
        }),
        ("matches nothing", |root| {
            edit(root, &Product::Outbound.overlay(), |text| text.replace("'4XX'", "'418'"));
        }),
        ("the overlay makes this example invalid: the required property `missing` is missing", |root| {
            edit(root, &Product::Outbound.overlay(), |text| {
                text.replace("required: [access_token]", "required: [access_token, missing]").replace(
                    "    update:\n      expires_in:\n",
                    "    update:\n      missing: {type: string}\n      expires_in:\n",
                )
            });
        }),
        ("crates/flinks-outbound/src/generated.rs: failed to read the file", |root| {
            fs::remove_file(root.join(Product::Outbound.generated())).unwrap();
            fs::create_dir(root.join(Product::Outbound.generated())).unwrap();
        }),
    ];
    for (message, damage) in damages {
        let folder = project();
        let root = folder.path();
        damage(root);
        // Without the damage, the command would write this product's code.
        edit(root, &Product::Pay.generated(), |text| text + "// stale\n");
        let before = generated(root);
        for arguments in [&["--product", "outbound"][..], &[]] {
            let (code, text) = regenerate(root, arguments);
            assert_eq!(code, FAILED, "{message}: {text}");
            assert!(text.contains(message), "{message}: {text}");
            // The last case fails only when files are written, so another product's files may
            // already have been written.
            if !message.starts_with("crates/") {
                assert_eq!(generated(root), before);
            }
        }
    }
}

#[test]
fn an_invalid_command_line_has_a_separate_exit_code() {
    let folder = project();
    assert_eq!(regenerate(folder.path(), &["--product", "other"]).0, 2);
}
