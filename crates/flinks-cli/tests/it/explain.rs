//! `flinks explain`.

use crate::support::{Home, assert_command};

#[test]
fn codes_and_messages_are_explained() {
    let home = Home::empty();
    assert_command!(home, ["explain", "UNAUTHORIZED"]);
    assert_command!(home, ["explain", "invalid_grant"]);
    assert_command!(home, ["explain", "exit-3"]);
    assert_command!(home, ["explain", "TOO_MANY_REQUESTS", "--json"]);
    assert_command!(
        home,
        ["explain", "failed to start a payment session (Flinks Pay): the token was refused (status 401)"]
    );
}

#[test]
fn unknown_text_is_not_repeated() {
    let home = Home::empty();
    assert_command!(home, ["explain", "s3cret-canary"]);
    assert_command!(home, ["explain", "UNAUTHORISED"]);
    assert_command!(home, ["explain"], input: "error: the credentials were refused (status 400)\n");
}

#[test]
fn each_topic_in_the_list_can_be_explained() {
    let home = Home::empty();
    let topics: serde_json::Value = serde_json::from_str(&home.succeed(&["explain", "--list", "--json"])).unwrap();
    let topics = topics.as_array().unwrap();
    assert!(topics.len() > 40);
    for topic in topics {
        let name = topic["name"].as_str().unwrap();
        assert!(home.succeed(&["explain", name]).starts_with(name), "{name}");
    }
}
