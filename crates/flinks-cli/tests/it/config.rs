//! `flinks init` and `flinks config`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Home, assert_command};

#[test]
fn init_creates_a_profile_for_the_emulator() {
    let home = Home::empty();
    let url = home.emulator.base_url().to_owned();
    assert_command!(home, ["init", "--emulator", &url]);
    assert_command!(home, ["config", "list"]);
    assert_command!(home, ["config", "show"]);
    for file in ["config.toml", "secrets.toml"] {
        let mode = fs::metadata(home.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    home.assert_no_secret(&fs::read_to_string(home.config_file()).unwrap());
}

#[test]
fn init_reads_sections_from_standard_input() {
    let home = Home::empty();
    let config = home.emulator.config();
    let text = format!(
        "[pay]\nurl = \"{}\"\nusername = \"{}\"\npassword = \"{}\"\ntimeout_seconds = 7\n",
        home.emulator.base_url(),
        config.pay.username,
        config.pay.password
    );
    assert_command!(home, ["init", "--profile", "test"], input: &text);
    home.settings().bind(|| insta::assert_snapshot!(fs::read_to_string(home.config_file()).unwrap()));
    home.succeed(&["token", "pay"]);
}

#[test]
fn invalid_sections_are_refused_and_nothing_is_written() {
    let home = Home::empty();
    for (input, name) in [
        ("", "empty"),
        ("[pay\nurl", "not TOML"),
        ("password = \"s3cret-canary\"", "no section"),
        ("[bank]\nurl = \"x\"", "unknown section"),
        ("[pay]\npassword = 7", "a number as a secret"),
        ("[pay]\npasword_ = \"s3cret-canary\"", "a misspelled secret"),
        ("[pay]\npassword = \"s3cret-canary\"\ntimeout_seconds = [1]", "a list"),
        ("[login]\nprovider_id = 1000", "a number instead of a text"),
    ] {
        let output = home.run_with_input(&["init"], input);
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("s3cret-canary"), "{name}");
        assert!(!home.config_file().exists(), "{name}");
        assert!(!home.path().join("secrets.toml").exists(), "{name}");
    }
    let output = home.run_with_input(&["init", "--profile", "../x"], "[pay]\nurl = \"x\"");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn values_and_comments_are_kept() {
    let home = Home::with_profile();
    let text = fs::read_to_string(home.config_file()).unwrap();
    fs::write(home.config_file(), format!("# my settings\n{text}")).unwrap();
    home.succeed(&["config", "set", "pay.timeout_seconds", "9"]);
    home.succeed(&["config", "set", "login.scope", "ACCOUNT_BASIC TRANSACTIONS"]);
    let text = fs::read_to_string(home.config_file()).unwrap();
    assert!(text.starts_with("# my settings\n"));
    assert!(text.contains("timeout_seconds = 9"));
    assert!(home.succeed(&["config", "show"]).contains("login.scope = \"ACCOUNT_BASIC TRANSACTIONS\""));
    home.succeed(&["config", "unset", "pay.timeout_seconds"]);
    assert!(!fs::read_to_string(home.config_file()).unwrap().contains("timeout_seconds"));
    home.succeed(&["token", "pay"]);
}

#[test]
fn secrets_never_come_from_arguments() {
    let home = Home::with_profile();
    assert_command!(home, ["config", "set", "pay.password", "x"]);
    assert_command!(home, ["config", "set", "store.url", "redis://127.0.0.1"]);
    home.succeed(&["config", "set", "store.kind", "redis"]);
    home.succeed(&["config", "set", "store.url", "redis://127.0.0.1"]);
    assert_command!(home, ["config", "set", "store.url", "redis://:x@127.0.0.1"]);
    assert_command!(home, ["config", "set-secret", "pay.url"], input: "x");
    assert_command!(home, ["config", "set", "pay.pass", "x"]);
}

#[test]
fn a_line_break_after_a_secret_is_removed() {
    let home = Home::with_profile();
    let key = home.emulator.config().connect.secret_key;
    for text in [format!("{key}\n"), format!("{key}\r\n"), key] {
        let output = home.run_with_input(&["config", "set-secret", "connect.secret_key"], &text);
        assert!(output.status.success());
        home.succeed(&["token", "connect"]);
    }
}

#[test]
fn a_removed_secret_is_missing() {
    let home = Home::with_profile();
    home.succeed(&["config", "unset", "pay.password"]);
    assert_command!(home, ["token", "pay"]);
}

#[test]
fn a_secret_in_the_configuration_file_is_refused() {
    let home = Home::with_profile();
    let text = fs::read_to_string(home.config_file()).unwrap();
    fs::write(
        home.config_file(),
        text.replace("[profiles.emulator.pay]", "[profiles.emulator.pay]\npassword = \"p4ssword-canary\""),
    )
    .unwrap();
    assert_command!(home, ["token", "pay"]);
}

#[test]
fn a_secret_of_another_profile_in_the_configuration_file_is_refused() {
    let home = Home::with_profile();
    let text = fs::read_to_string(home.config_file()).unwrap();
    fs::write(home.config_file(), format!("{text}\n[profiles.other.outbound]\nclient_secret = \"s3cret-canary\"\n"))
        .unwrap();
    assert_command!(home, ["token", "pay"]);
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let home = Home::with_profile();
    let text = fs::read_to_string(home.config_file()).unwrap();
    fs::write(home.config_file(), format!("{text}\n[profiles.emulator.bank]\nurl = \"x\"\n")).unwrap();
    assert_command!(home, ["config", "list"]);
}

#[test]
fn an_unknown_field_of_a_section_is_named() {
    let home = Home::with_profile();
    let text = fs::read_to_string(home.config_file()).unwrap();
    fs::write(home.config_file(), text.replace("[profiles.emulator.pay]", "[profiles.emulator.pay]\nurls = \"x\""))
        .unwrap();
    assert_command!(home, ["token", "pay"]);
}

#[test]
fn files_that_others_can_change_or_read_are_refused() {
    let home = Home::with_profile();
    fs::set_permissions(home.path().join("secrets.toml"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_command!(home, ["token", "pay"]);
    fs::set_permissions(home.config_file(), fs::Permissions::from_mode(0o666)).unwrap();
    assert_command!(home, ["token", "pay"]);
}

#[test]
fn an_unknown_profile_is_refused() {
    let home = Home::with_profile();
    assert_command!(home, ["token", "pay", "--profile", "production"]);
    assert_command!(home, ["config", "use", "production"]);
}

#[test]
fn a_machine_without_a_keyring_is_told_what_to_do() {
    let home = Home::with_profile();
    let text = fs::read_to_string(home.config_file()).unwrap();
    fs::write(home.config_file(), text.replace("secrets = \"file\"", "secrets = \"keyring\"")).unwrap();
    let output = home.run(&["token", "pay"]);
    assert_eq!(output.status.code(), Some(4));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("failed to use the keyring"), "{stderr}");
    assert!(stderr.contains("flinks config secrets file"), "{stderr}");
}

#[test]
fn a_profile_is_selected_and_removed() {
    let home = Home::with_profile();
    let other = home.run_with_input(
        &["init", "--profile", "other", "--secrets", "file"],
        "[connect]\ninstance = \"toolbox\"\nsecret_key = \"k3y-canary\"\n",
    );
    assert!(other.status.success());
    assert!(fs::read_to_string(home.path().join("secrets.toml")).unwrap().contains("k3y-canary"));
    home.succeed(&["config", "use", "other"]);
    assert_command!(home, ["config", "list"]);
    home.succeed(&["config", "remove", "other"]);
    assert!(!fs::read_to_string(home.path().join("secrets.toml")).unwrap().contains("k3y-canary"));
    assert_command!(home, ["token", "pay"]);
}

#[test]
fn the_name_of_each_secret_is_known() {
    let home = Home::with_profile();
    for key in ["pay.password", "connect.secret_key", "outbound.client_secret"] {
        assert!(home.run_with_input(&["config", "set-secret", key], "x").status.success(), "{key}");
    }
    home.succeed(&["config", "set", "store.kind", "redis"]);
    for key in ["store.url", "store.name_key", "store.keys"] {
        assert!(home.run_with_input(&["config", "set-secret", key], "x").status.success(), "{key}");
    }
    home.succeed(&["config", "remove", "emulator"]);
    assert_eq!(fs::read_to_string(home.path().join("secrets.toml")).unwrap().trim(), "");
}

#[test]
fn changes_of_several_processes_are_kept() {
    let home = Home::with_profile();
    let scopes = ["pay", "connect", "outbound"];
    let mut running = Vec::new();
    for section in scopes {
        for field in ["timeout_seconds", "connect_timeout_seconds", "max_attempts"] {
            let key = format!("{section}.{field}");
            running.push(home.command(&["config", "set", &key, "3"]).spawn().unwrap());
        }
    }
    for mut process in running {
        assert!(process.wait().unwrap().success());
    }
    assert_eq!(fs::read_to_string(home.config_file()).unwrap().matches("= 3\n").count(), 9);
}

#[test]
fn a_secret_among_the_arguments_is_not_repeated() {
    let home = Home::with_profile();
    assert_command!(home, ["config", "set-secret", "pay.password", "s3cret-canary"]);
}

#[test]
fn secrets_move_to_a_file() {
    let home = Home::with_profile();
    home.succeed(&["config", "secrets", "file"]);
    home.succeed(&["token", "pay"]);
    // A keyring that does not exist contains no secrets, so nothing can be moved out of it.
    let text = fs::read_to_string(home.config_file()).unwrap();
    fs::write(home.config_file(), text.replace("secrets = \"file\"", "secrets = \"keyring\"")).unwrap();
    assert_command!(home, ["config", "secrets", "file"]);
    // Secrets that cannot be read are not lost.
    fs::set_permissions(home.path().join("secrets.toml"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(home.run(&["config", "secrets", "keyring"]).status.code(), Some(4));
    assert!(fs::read_to_string(home.config_file()).unwrap().contains("secrets = \"file\""));
}

#[test]
fn a_plain_address_replaces_a_secret_one() {
    let home = Home::with_profile();
    home.succeed(&["config", "set", "store.kind", "redis"]);
    assert!(home.run_with_input(&["config", "set-secret", "store.url"], "redis://:p@127.0.0.1").status.success());
    home.succeed(&["config", "set", "store.url", "redis://127.0.0.1"]);
    assert!(!fs::read_to_string(home.path().join("secrets.toml")).unwrap().contains("store.url"));
    home.succeed(&["config", "set", "store.kind", "file"]);
    home.succeed(&["config", "unset", "store.url"]);
    home.succeed(&["consents", "list"]);
}

#[test]
fn a_suggested_command_selects_the_same_profile() {
    let home = Home::with_profile();
    assert!(
        home.run_with_input(
            &["init", "--profile", "other", "--secrets", "file"],
            "[pay]\nurl = \"http://127.0.0.1:1\"\nusername = \"u\"\npassword = \"p\""
        )
        .status
        .success()
    );
    let output = home.run(&["token", "pay", "--profile", "other"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("`flinks doctor pay --profile other`"), "{stderr}");
}
