//! The commands on a pseudo-terminal.

use rexpect::session::{PtySession, spawn_command};

use crate::support::Home;

const LIMIT_MS: Option<u64> = Some(60_000);

fn spawn(home: &Home, arguments: &[&str]) -> PtySession {
    let mut command = home.command(arguments);
    command.env("TERM", "xterm-256color");
    // Standard input is the terminal.
    command.stdin(std::process::Stdio::inherit());
    spawn_command(command, LIMIT_MS).unwrap()
}

#[test]
fn a_token_is_not_printed_on_a_terminal() {
    let home = Home::with_profile();
    let mut session = spawn(&home, &["token", "pay"]);
    session.exp_string("refusing to print a token on a terminal").unwrap();
    session.exp_eof().unwrap();
    assert!(home.emulator.requests().is_empty());
    let mut session = spawn(&home, &["token", "pay", "--show"]);
    session.exp_string("valid for one use").unwrap();
    session.exp_eof().unwrap();
    assert_eq!(home.emulator.requests().len(), 1);
}

#[test]
fn init_asks_for_values_and_hides_secrets() {
    let home = Home::empty();
    let config = home.emulator.config();
    let mut session = spawn(&home, &["init", "--profile", "test", "--secrets", "file"]);
    session.exp_string("Products").unwrap();
    session.send(" \r").unwrap(); // selects Pay
    session.flush().unwrap();
    session.exp_string("base URL").unwrap();
    // Replaces the default.
    session.send_line(home.emulator.base_url()).unwrap();
    session.exp_string("user name").unwrap();
    session.send_line(&config.pay.username).unwrap();
    session.exp_string("password").unwrap();
    session.send_line(&config.pay.password).unwrap();
    session.exp_string("wrote the profile").unwrap();
    let rest = session.exp_eof().unwrap();
    home.assert_no_secret(&rest);
    home.succeed(&["token", "pay"]);
}

#[test]
fn a_secret_is_read_without_echo() {
    let home = Home::with_profile();
    let mut session = spawn(&home, &["config", "set-secret", "connect.secret_key"]);
    session.exp_string("Enter connect.secret_key").unwrap();
    session.send_line("canary-of-the-terminal").unwrap();
    let text = session.exp_string("stored connect.secret_key").unwrap();
    assert!(!text.contains("canary"), "{text}");
    session.exp_eof().unwrap();
    assert_eq!(home.run(&["token", "connect"]).status.code(), Some(4));
}

#[test]
fn a_narrow_terminal_shows_all_columns() {
    let home = Home::with_profile();
    home.add_consent("a-consent-with-a-rather-long-id-0123456789");
    let mut command = std::process::Command::new("sh");
    let program = env!("CARGO_BIN_EXE_flinks");
    command.args(["-c", &format!("stty rows 24 cols 40; exec {program} consents list")]);
    command.env_clear().env("FLINKS_HOME", home.path()).env("PATH", std::env::var("PATH").unwrap());
    let mut session = spawn_command(command, LIMIT_MS).unwrap();
    let text = session.exp_eof().unwrap();
    assert!(text.contains("active"), "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 40, "{line:?}");
    }
}

#[test]
fn ctrl_c_in_a_prompt_stops_the_command() {
    let home = Home::with_profile();
    for _ in 0..5 {
        let mut session = spawn(&home, &["config", "set-secret", "connect.secret_key"]);
        session.exp_string("Enter connect.secret_key").unwrap();
        session.send_control('c').unwrap();
        session.exp_string("interrupted").unwrap();
        session.exp_eof().unwrap();
        assert!(matches!(session.process().wait(), Ok(rexpect::process::WaitStatus::Exited(_, 130))));
    }
    home.succeed(&["token", "connect"]);
}
