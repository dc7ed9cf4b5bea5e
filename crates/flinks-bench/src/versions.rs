//! The versions of the compiler and of the compared crates.

use std::process::Command;

/// The compared crates and the crates that the handwritten clients use.
const CRATES: [&str; 10] = [
    "arc-swap",
    "aws-smithy-runtime",
    "azure_identity",
    "google-cloud-auth",
    "hyper",
    "oauth2",
    "progenitor",
    "reqwest",
    "tokio",
    "yup-oauth2",
];

/// Returns the names and versions of the compiler, of the compared crates in this lock file and, if
/// Redis is installed, of the Redis server.
pub fn versions(lock: &str) -> Vec<(String, String)> {
    let rust = output("rustc", "--version").and_then(|text| text.split(' ').nth(1).map(str::to_owned));
    let redis = output("redis-server", "--version")
        .and_then(|text| text.split(' ').find_map(|word| word.strip_prefix("v=")).map(str::to_owned));
    let crates = CRATES.into_iter().map(|name| (name, locked(lock, name)));
    [("Rust", rust)]
        .into_iter()
        .chain(crates)
        .chain([("redis-server", redis)])
        .filter_map(|(name, version)| Some((name.to_owned(), version?)))
        .collect()
}

/// Returns the newest version of a crate in a lock file. Cargo sorts the versions of a crate.
fn locked(lock: &str, name: &str) -> Option<String> {
    let package = format!("name = \"{name}\"\nversion = \"");
    lock.split(package.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).last().map(str::to_owned)
}

fn output(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::locked;

    #[test]
    fn newest_locked_version_is_found() {
        let lock = "[[package]]\nname = \"reqwest\"\nversion = \"0.12.28\"\n\n[[package]]\nname = \"reqwest\"\nversion = \"0.13.5\"\n";
        assert_eq!(locked(lock, "reqwest").as_deref(), Some("0.13.5"));
        assert_eq!(locked(lock, "hyper"), None);
    }
}
