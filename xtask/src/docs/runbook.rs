//! The guide chapter that lists what to do about each code and message.

use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

use crate::{Error, Result};

pub(super) const PATH: &str = "crates/flinks-guide/pages/runbook.md";
const TOPICS: &str = "crates/flinks-cli/src/explain/topics.toml";

/// The part of `topics.toml` that the chapter shows.
#[derive(Deserialize)]
struct Table {
    topic: Vec<Topic>,
}

#[derive(Deserialize)]
struct Topic {
    name: String,
    kind: String,
    #[serde(default)]
    statuses: Vec<u16>,
    meaning: String,
    advice: Option<String>,
    action: Option<String>,
    #[serde(default)]
    cases: Vec<Case>,
    #[serde(default)]
    commands: Vec<String>,
}

#[derive(Deserialize)]
struct Case {
    when: String,
    advice: Option<String>,
    action: String,
}

const HEAD: &str = "\
<!-- Written by `cargo xtask docs` from crates/flinks-cli/src/explain/topics.toml. Do not edit. -->

# When it fails

Find the code or the message of an error on this page, or let the command line find it:

```console
$ flinks explain invalid_grant
$ flinks doctor outbound
```

`flinks doctor` checks the configuration, the network, TLS, the credentials and the store, and names the cure for
each fault. A word in parentheses is the value of `Error::advice`, on which a program bases its decision.
";

/// A section of the chapter.
struct Section {
    heading: &'static str,
    introduction: &'static str,
    contains: fn(&Topic) -> bool,
}

const SECTIONS: [Section; 5] = [
    Section {
        heading: "Advice",
        introduction: "`Error::advice` and `ConsentError::advice` return one of these values.",
        contains: |topic| topic.kind == "advice",
    },
    Section {
        heading: "Codes of Connect",
        introduction: "`Error::flinks_code` returns these codes.",
        contains: |topic| topic.kind == "flinks-code",
    },
    Section {
        heading: "Errors of Outbound",
        introduction: "`Error::oauth_error` returns these codes.",
        contains: |topic| topic.kind == "oauth-error",
    },
    Section {
        heading: "Messages",
        introduction: "Each name stands for a group of messages, and `flinks explain` recognizes them in a log.",
        contains: |topic| topic.kind == "message" && !is_exit_code(topic),
    },
    Section { heading: "Exit codes of `flinks`", introduction: "The codes are stable.", contains: is_exit_code },
];

fn is_exit_code(topic: &Topic) -> bool {
    topic.name.starts_with("exit-")
}

pub(super) fn text(root: &Path) -> Result<String> {
    let text = super::read(root, Path::new(TOPICS))?;
    let table: Table = toml::from_str(&text).map_err(|error| Error::new(error.message()).in_file(Path::new(TOPICS)))?;
    let mut page = HEAD.to_owned();
    for Section { heading, introduction, contains } in SECTIONS {
        let _ = write!(page, "\n## {heading}\n\n{introduction}\n");
        for topic in table.topic.iter().filter(|topic| contains(topic)) {
            write_topic(&mut page, topic);
        }
    }
    Ok(page)
}

fn write_topic(page: &mut String, topic: &Topic) {
    let _ = write!(page, "\n### {}\n\n{}", topic.name, topic.meaning);
    if !topic.statuses.is_empty() {
        let statuses: Vec<String> = topic.statuses.iter().map(u16::to_string).collect();
        let _ = write!(page, " Status: {}.", statuses.join(", "));
    }
    page.push('\n');
    if let Some(action) = &topic.action {
        let _ = write!(page, "\n{action}{}\n", advice(topic.advice.as_deref()));
    }
    if !topic.cases.is_empty() {
        page.push('\n');
    }
    for case in &topic.cases {
        let _ = writeln!(page, "- If {}: {}{}", case.when, case.action, advice(case.advice.as_deref()));
    }
    if !topic.commands.is_empty() {
        let commands: Vec<String> = topic.commands.iter().map(|command| format!("`{command}`")).collect();
        let _ = write!(page, "\nCommands: {}\n", commands.join(", "));
    }
}

fn advice(name: Option<&str>) -> String {
    name.map(|name| format!(" (`{name}`)")).unwrap_or_default()
}
