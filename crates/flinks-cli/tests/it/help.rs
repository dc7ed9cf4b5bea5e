//! The help for each command.

use crate::support::{Home, describe};

const COMMANDS: [&[&str]; 30] = [
    &[],
    &["init"],
    &["config"],
    &["config", "list"],
    &["config", "show"],
    &["config", "set"],
    &["config", "set-secret"],
    &["config", "unset"],
    &["config", "use"],
    &["config", "secrets"],
    &["config", "remove"],
    &["config", "path"],
    &["token"],
    &["widget-url"],
    &["login"],
    &["consents"],
    &["consents", "list"],
    &["consents", "show"],
    &["consents", "import"],
    &["consents", "refresh"],
    &["consents", "revoke"],
    &["consents", "forget"],
    &["consents", "due"],
    &["consents", "migrate"],
    &["keep-alive"],
    &["request"],
    &["doctor"],
    &["explain"],
    &["inspect"],
    &["env"],
];

#[test]
fn each_command_has_help() {
    let home = Home::empty();
    for command in COMMANDS {
        let mut arguments = command.to_vec();
        arguments.push("--help");
        let output = home.run(&arguments);
        let name = format!("help_{}", command.join("_").replace('-', "_"));
        home.settings().bind(|| insta::assert_snapshot!(name, describe(&arguments, &output)));
        assert!(output.status.success());
    }
}

#[test]
fn the_list_of_commands_is_complete() {
    let home = Home::empty();
    let help = home.succeed(&["--help"]);
    let commands = help.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    let names =
        commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).filter(|name| !name.is_empty());
    for name in names.filter(|name| !["help", "emulator", "completions", "manual"].contains(name)) {
        assert!(COMMANDS.contains(&&[name][..]), "{name} is missing");
    }
}

#[test]
fn completions_and_manual_pages_are_written() {
    let home = Home::empty();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(home.succeed(&["completions", shell]).contains("keep-alive"), "{shell}");
    }
    home.succeed(&["manual", "."]);
    let page = std::fs::read_to_string(home.path().join("flinks-token.1")).unwrap();
    assert!(page.contains("can be used only once"));
}

#[test]
fn unknown_arguments_are_refused() {
    let home = Home::empty();
    for arguments in [&["tokens"][..], &["token"], &["token", "pay", "--password", "x"], &["token", "bank"]] {
        assert_eq!(home.run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
