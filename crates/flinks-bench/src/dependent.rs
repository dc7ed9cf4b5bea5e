//! Measures the cost of depending on a crate: the number of crates in the dependency tree, the time
//! for a clean debug build and the size of a release build.

use std::fs;
use std::path::Path;
use std::time::Instant;

use flinks_bench::claims::names;
use flinks_bench::report::Case;

use crate::{Bench, cargo};

pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    if bench.quick {
        return Ok(());
    }
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let ours = |name: &str| format!("{name} = {{ path = \"{}\" }}", crates.join(name).display());
    let tokio = "tokio = { version = \"1\", features = [\"macros\", \"rt-multi-thread\"] }";
    for (name, dependency, uses) in [
        ("flinks-pay", ours("flinks-pay"), "let _ = flinks_pay::Client::new(\"https://a.example\".parse().unwrap());"),
        ("flinks", ours("flinks"), "let _ = flinks::pay::Client::builder(\"https://a.example\".parse().unwrap(), flinks::pay::Credentials::new(\"a\", \"b\").unwrap()).build();"),
        ("oauth2 with reqwest", "oauth2 = \"5\"".to_owned(), "let _ = oauth2::reqwest::Client::new();"),
        (
            "reqwest by hand",
            "reqwest = { version = \"0.13\", features = [\"form\", \"json\"] }\nserde = { version = \"1\", features = [\"derive\"] }".to_owned(),
            "let _ = reqwest::Client::new();",
        ),
    ] {
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("src"))?;
        let manifest = format!("[package]\nname = \"dependent\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n{tokio}\n{dependency}\n");
        fs::write(folder.path().join("Cargo.toml"), manifest)?;
        fs::write(folder.path().join("src/main.rs"), format!("#[tokio::main]\nasync fn main() {{ {uses} }}\n"))?;
        let cargo = |arguments: &[&str]| cargo::run(folder.path(), arguments);
        cargo(&["fetch", "--quiet"])?;
        let tree = cargo(&["tree", "--edges", "normal,build", "--prefix", "none", "--no-dedupe"])?;
        let unique: std::collections::BTreeSet<&str> = tree.lines().filter_map(|line| line.split(" (").next()).collect();
        let began = Instant::now();
        cargo(&["build", "--quiet"])?;
        let seconds = began.elapsed().as_secs_f64();
        cargo(&["build", "--quiet", "--release"])?;
        let size = fs::metadata(folder.path().join("target/release/dependent"))?.len() as f64 / 1024.0;
        for (column, unit, value) in
            [("crates", "crates", unique.len() as f64), ("clean debug build", "s", seconds), ("release build", "KiB", size)]
        {
            bench.run.add(Case::new(names::DEPENDENT, column, unit), name, vec![value]);
        }
    }
    Ok(())
}
