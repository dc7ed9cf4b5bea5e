//! The credentials, a command for each endpoint and the `.env` block, ready to copy.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::view::View;
use crate::config::Config;
use crate::environment;
use crate::guide::guide;
use crate::transport::Transport;

pub(super) fn panel(config: &Config, transport: &Transport, view: &View, base_url: &str) -> Markup {
    let guide = guide(base_url, config);
    let sections = sections(&guide);
    let env = env(config, transport, view, base_url);
    html! {
        section.panel #try tabindex="-1" aria-labelledby="try-title" {
            h2 #try-title { "Try it" }
            p.hint { "Replace a " code { "$PLACEHOLDER" } " with the value from an earlier response or from your configuration." }
            div.title { h3 { "Environment (.env)" } button.quiet.small type="button" data-copy="env" { "Copy" } }
            pre #env tabindex="0" { (env) }
            @for (section, Section { name, lines }) in sections.iter().enumerate() {
                details open[section == 0] {
                    summary { (name) }
                    div.commands {
                        @for (index, line) in lines.iter().enumerate() { (copyable(line, &format!("line-{section}-{index}"))) }
                    }
                }
            }
        }
    }
}

fn copyable(line: &Line, id: &str) -> Markup {
    let copy = |label: &str| {
        html! {
            button.quiet.small type="button" data-copy=(id) aria-label={ "Copy " (label) } { "Copy" }
        }
    };
    html! {
        @match line {
            Line::Credential(name, value) => div.credential { span { (name) } code id=(id) { (value) } (copy(name)) },
            Line::Comment(text) => p.comment { (text) },
            Line::Command(text) => div.command { pre id=(id) tabindex="0" { (text) } (copy("the command")) },
        }
    }
}

/// The lines of the guide that belong to a product or to the control API.
struct Section {
    name: String,
    lines: Vec<Line>,
}

/// A line of the guide.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Credential(String, String),
    Comment(String),
    Command(String),
}

/// Splits the guide into sections. A section starts with its name in the first column, and its first
/// credential is on the same line.
fn sections(guide: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut is_inside = false;
    for line in guide.lines() {
        let mut text = line.trim();
        if !line.is_empty() && !line.starts_with(' ') {
            let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
            is_inside = ["pay", "connect", "outbound", "control"].contains(&name);
            if is_inside {
                sections.push(Section { name: capitalized(name), lines: Vec::new() });
            }
            text = rest.trim();
        }
        if let Some(section) = sections.last_mut()
            && is_inside
            && !text.is_empty()
        {
            section.lines.push(parse_line(text));
        }
    }
    sections
}

fn parse_line(text: &str) -> Line {
    if let Some(comment) = text.strip_prefix("# ") {
        return Line::Comment(capitalized(comment));
    }
    if text.starts_with("curl ") || text.starts_with("http") {
        return Line::Command(text.to_owned());
    }
    credential(text)
}

/// Splits a line such as `secret key  emulator-secret-key`.
fn credential(line: &str) -> Line {
    let names =
        ["user name", "password", "customer id", "secret key", "API key", "login id", "bank users", "client id"];
    let names = names.iter().chain(&["client secret", "refresh token", "code"]);
    for name in names {
        if let Some(value) = line.strip_prefix(name) {
            return Line::Credential(capitalized(name), value.trim().to_owned());
        }
    }
    Line::Comment(capitalized(line))
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// Returns the variables from [`Emulator::env`](crate::Emulator::env) as the lines of an `.env`
/// file. A credential that differs from the default may be real, so its value is shown only if the
/// page reveals values.
fn env(config: &Config, transport: &Transport, view: &View, base_url: &str) -> String {
    let variables = environment::variables(base_url, config, transport);
    let defaults = environment::variables(base_url, &Config::default(), transport);
    let mut text = String::new();
    for ((name, value), (_, default)) in variables.into_iter().zip(defaults) {
        let value = if value == default || view.is_revealed() { quoted(&value) } else { "…".to_owned() };
        let _ = writeln!(text, "{name}={value}");
    }
    text
}

/// Quotes a value for an `.env` file, unless it consists of plain characters. Single quotes prevent
/// the substitution of variables. A value that contains a single quote or a newline is enclosed in
/// double quotes instead.
fn quoted(value: &str) -> String {
    if value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte)) {
        return value.to_owned();
    }
    if value.contains(['\'', '\n']) {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$").replace('\n', "\\n");
        return format!("\"{escaped}\"");
    }
    format!("'{value}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_is_split_into_sections_of_credentials_comments_and_commands() {
        let guide = guide("http://127.0.0.1:1", &Config::default());
        let sections = sections(&guide);
        assert_eq!(
            sections.iter().map(|section| &*section.name).collect::<Vec<_>>(),
            ["Pay", "Connect", "Outbound", "Control"]
        );
        let lines: Vec<Line> = sections.into_iter().flat_map(|section| section.lines).collect();
        assert_eq!(lines.iter().filter(|line| matches!(line, Line::Credential(..))).count(), 11);
        let commands: Vec<&str> = lines
            .iter()
            .filter_map(|line| match line {
                Line::Command(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        let in_guide = guide
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("curl ") || line.starts_with("http://127.0.0.1:1/"));
        assert_eq!(commands, in_guide.collect::<Vec<_>>());
        assert!(lines.contains(&Line::Credential("Secret key".into(), crate::credentials::CONNECT_SECRET_KEY.into())));
        assert!(!lines.iter().any(|line| matches!(line, Line::Credential(_, value) if value.is_empty())));
    }

    #[test]
    fn values_of_env_lines_are_quoted_if_necessary() {
        for (value, expected) in [
            ("abc-1.2:/x", "abc-1.2:/x"),
            ("a b&$c", "'a b&$c'"),
            ("it's $x \"y\" \\", "\"it's \\$x \\\"y\\\" \\\\\""),
            ("two\nlines", "\"two\\nlines\""),
        ] {
            assert_eq!(quoted(value), expected);
        }
    }
}
