//! Tests that the topics are complete and can be found.

mod advice;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use flinks_consents::flinks::{Advice, FlinksCode, OAuthError};

use super::*;

const COMMANDS: [&str; 10] = [
    "flinks doctor pay",
    "flinks doctor connect",
    "flinks doctor outbound",
    "flinks doctor store",
    "flinks login --consent ID",
    "flinks consents forget ID",
    "flinks consents show ID",
    "flinks consents refresh ID",
    "flinks keep-alive --once",
    "flinks config list",
];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(crates().join(path)).unwrap()
}

fn topic(name: &str) -> &'static Topic {
    all().iter().find(|topic| topic.name == name).unwrap_or_else(|| panic!("no topic `{name}`"))
}

fn names(text: &str) -> Vec<&'static str> {
    find(text).into_iter().map(|topic| topic.name.as_str()).collect()
}

fn names_of(kind: Kind) -> BTreeSet<String> {
    all().iter().filter(|topic| topic.kind == kind).map(|topic| topic.name.clone()).collect()
}

/// Returns the values of a type's constants in `codes.rs`.
fn constants(type_name: &str) -> BTreeSet<String> {
    let source = read("flinks/src/codes.rs");
    let (_, after) = source.split_once(&format!("\n    {type_name} {{\n")).unwrap();
    let (definition, _) = after.split_once("\n    }\n").unwrap();
    let text = |line: &str| Some(line.split_once(" = \"")?.1.strip_suffix("\",")?.to_owned());
    definition.lines().filter_map(text).collect()
}

/// Returns the names of the variants of `Advice`.
fn advice_variants() -> BTreeSet<String> {
    let source = read("flinks/src/error/advice.rs");
    let (_, after) = source.split_once("pub enum Advice {\n").unwrap();
    let (definition, _) = after.split_once("\n}\n").unwrap();
    let is_variant = |line: &&str| line.starts_with(|character: char| character.is_ascii_uppercase());
    let lines = definition.lines().map(str::trim).filter(is_variant);
    lines.map(|line| line.trim_end_matches(',').to_owned()).collect()
}

fn add_sources(directory: &Path, sources: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add_sources(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "snap") {
            sources.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn topics_file_is_valid() {
    assert!(!parse().unwrap().topic.is_empty());
    let mut names = BTreeSet::new();
    for topic in all() {
        let name = &topic.name;
        assert!(names.insert(name), "two topics have the name `{name}`");
        assert!(!topic.products.is_empty(), "{name} has no product");
        assert!(topic.meaning.ends_with('.'), "the meaning of {name} is not a sentence");
        assert_eq!(topic.action.is_none(), topic.advice.is_none() && !topic.cases.is_empty(), "{name}");
        assert!(topic.cases.is_empty() || topic.action.is_none(), "{name} has an action and cases");
        assert_ne!(topic.cases.len(), 1, "{name} has a single case");
        let actions = topic.action.iter().chain(topic.cases.iter().map(|case| &case.action));
        for action in actions {
            assert!(action.ends_with('.'), "an action of {name} is not a sentence");
        }
        let needs_fragments = topic.kind == Kind::Message && !name.starts_with("exit-");
        assert_eq!(!topic.fragments.is_empty(), needs_fragments, "the fragments of {name}");
        for command in &topic.commands {
            assert!(COMMANDS.contains(&command.as_str()), "{name}: `{command}`");
        }
    }
}

#[test]
fn every_code_has_a_topic() {
    let codes = constants("FlinksCode");
    assert_eq!(names_of(Kind::FlinksCode), codes);
    for code in codes {
        assert!(FlinksCode::from(code).is_documented());
    }
    let codes = constants("OAuthError");
    assert_eq!(names_of(Kind::OAuthError), codes);
    for code in codes {
        assert!(OAuthError::from(code).is_documented());
    }
}

#[test]
fn every_advice_has_a_topic() {
    let variants = advice_variants();
    assert!(variants.contains(&format!("{:?}", Advice::WaitOrStartOver)));
    assert_eq!(names_of(Kind::Advice), variants);
    for topic in all() {
        let advice = topic.advice.iter().chain(topic.cases.iter().filter_map(|case| case.advice.as_ref()));
        for advice in advice {
            assert!(variants.contains(advice), "{}: `{advice}`", topic.name);
        }
        if topic.kind == Kind::Advice {
            assert_eq!(topic.advice.as_ref(), Some(&topic.name));
        }
    }
}

#[test]
fn every_exit_code_has_a_topic() {
    use crate::failure::Exit::{Configuration, ConsentNeeded, Failed, Interrupted, TryLater, Usage};
    let exits = [Failed, Usage, ConsentNeeded, Configuration, TryLater, Interrupted].map(|exit| exit as u8);
    let expected: BTreeSet<_> = exits.iter().chain(&[0]).map(|exit| format!("exit-{exit}")).collect();
    let found: BTreeSet<_> = names_of(Kind::Message).into_iter().filter(|name| name.starts_with("exit-")).collect();
    assert_eq!(found, expected);
}

#[test]
fn every_fragment_occurs_in_the_repository() {
    let mut sources = String::new();
    for directory in fs::read_dir(crates()).unwrap() {
        let directory = directory.unwrap().path();
        if directory.join("src").is_dir() && !directory.ends_with("flinks-cli") {
            add_sources(&directory.join("src"), &mut sources);
        }
    }
    for topic in all() {
        for fragment in &topic.fragments {
            // The parts of a message are joined when it is formatted.
            for part in fragment.split("; ") {
                let part = part.strip_prefix("the token store ").unwrap_or(part);
                assert!(sources.contains(part), "{}: no message contains `{part}`", topic.name);
            }
        }
    }
}

#[test]
fn every_message_has_a_topic() {
    const SNAPSHOTS: [&str; 2] = [
        "flinks/src/error/snapshots/flinks__error__messages__messages.snap",
        "flinks-consents/src/snapshots/flinks_consents__messages__messages.snap",
    ];
    const NOT_AN_ERROR: [&str; 2] = ["a store that fails", "all refreshed"];
    for snapshot in SNAPSHOTS {
        let snapshot = read(snapshot);
        let rows: Vec<_> = snapshot.lines().filter_map(|line| line.strip_prefix("  ")?.split_once(": ")).collect();
        assert!(!rows.is_empty());
        for (name, message) in rows {
            assert!(NOT_AN_ERROR.contains(&name) || !find(message).is_empty(), "no topic for: {message}");
        }
    }
}

#[test]
fn name_is_found_in_any_spelling() {
    assert_eq!(names("UNAUTHORIZED"), ["UNAUTHORIZED"]);
    assert_eq!(names(" retry-later\n"), ["RETRY_LATER"]);
    assert_eq!(names("invalid-grant"), ["invalid_grant"]);
    assert_eq!(names("SPENT_TOKEN"), ["spent-token"]);
    assert_eq!(names("exit 3"), ["exit-3"]);
    assert_eq!(names("INVALID_REQUEST"), ["INVALID_REQUEST", "invalid_request"]);
    assert_eq!(names("invalid_request"), ["invalid_request", "INVALID_REQUEST"]);
}

#[test]
fn number_is_a_status_or_an_exit_code() {
    assert_eq!(names("75"), ["exit-75"]);
    assert_eq!(names("407"), ["proxy-credentials"]);
    let unauthorized = names("401");
    assert!(unauthorized.contains(&"UNAUTHORIZED"));
    assert!(unauthorized.contains(&"spent-token"));
    assert!(names("299").is_empty());
}

#[test]
fn message_is_found_by_its_codes_and_its_longest_fragment() {
    for (message, expected) in [
        (
            "failed to start a payment session (Flinks Pay): the token has expired; nothing was sent",
            vec!["token-expired"],
        ),
        ("no connection to the server; nothing was sent", vec!["no-connection"]),
        ("the connection was refused; nothing was sent; the token is unspent", vec!["unspent-token"]),
        (
            "timed out; the request may have reached the server; it is unknown whether the token is spent",
            vec!["outcome-unknown"],
        ),
        ("the code has already been sent; it is unknown whether the call took effect", vec!["code-already-sent"]),
        ("unexpected response (status 404); check the base URL", vec!["unknown-endpoint"]),
        ("the request was refused (status 400); a gateway may have sent this response", vec!["gateway-suspected"]),
        (
            "the request was refused (status 403); a gateway may have sent this response; the refusal is confirmed",
            vec!["consent-ended"],
        ),
        ("invalid configuration: redirect URL must be an absolute URL such as https://host", vec!["redirect-url"]),
        ("the request was refused: invalid_grant (status 400)", vec!["invalid_grant", "request-refused"]),
        ("{\"FlinksCode\":\"INVALID_LOGIN\"}", vec!["INVALID_LOGIN"]),
        ("error=unauthorized_client", vec!["unauthorized_client"]),
        ("Error: THE TOKEN\n  WAS REFUSED", vec!["spent-token"]),
        (
            "stopped early: 20 refreshes in a row failed; last error: timed out while waiting for the in-flight refresh",
            vec!["keep-alive-stopped"],
        ),
        (
            "the shutdown is incomplete (tasks still running: 0, consents not stored: 1): the token store did not respond in time",
            vec!["shutdown-incomplete"],
        ),
    ] {
        assert_eq!(names(message), expected, "{message}");
    }
    for text in ["", " ", "401 Unauthorized", "canary"] {
        assert!(names(text).is_empty(), "{text}");
    }
}

#[test]
fn similar_names_are_suggested() {
    assert_eq!(suggestions("UNAUTHORIZE").first(), Some(&"UNAUTHORIZED"));
    assert_eq!(suggestions("invalid_grants").first(), Some(&"invalid_grant"));
    assert!(suggestions("gateway").contains(&"gateway-suspected"));
    assert!(suggestions("retry").len() <= MAX_SUGGESTIONS);
    assert!(suggestions("xyz").is_empty());
    assert!(suggestions("").is_empty());
    assert!(suggestions(&"a".repeat(MAX_NAME_LENGTH + 1)).is_empty());
}

#[test]
fn a3_pasted_text_is_not_repeated() {
    const CANARY: &str = "canary-8c1f";
    let message = format!("secret_key={CANARY}: the credentials were refused: UNAUTHORIZED");
    let found = find(&message);
    assert_eq!(found.len(), 2);
    for topic in found {
        assert!(!topic.to_string().contains(CANARY));
        assert!(!serde_json::to_string(topic).unwrap().contains(CANARY));
    }
    assert!(!suggestions(&message).concat().contains(CANARY));
}

#[test]
fn topic_is_written_as_text_and_json() {
    let text = topic("UNAUTHORIZED").to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "UNAUTHORIZED (FlinksCode; Connect; status 401)");
    assert!(lines[2].starts_with("  If `generateAuthorizeToken` returned it (FixConfiguration): "));
    assert!(lines[3].starts_with("  If `authorize` returned it (AskUser): "));
    assert_eq!(lines[4], "  Commands: flinks doctor connect, flinks config list");
    assert!(topic("RETRY_LATER").to_string().contains("\n  What to do (RetryLater): "));
    assert_eq!(topic("UNAUTHORIZED").summary(), "Connect rejected the secret key, or the bank rejected the login");

    let json = serde_json::to_value(topic("invalid_grant")).unwrap();
    assert_eq!(json["kind"], "oauth-error");
    assert_eq!(json["products"], serde_json::json!(["outbound"]));
    assert_eq!(json["advice"], "StartOver");
    assert!(json.get("cases").is_none());
    assert!(json.get("fragments").is_none());
}
