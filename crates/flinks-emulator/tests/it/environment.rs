//! Tests for the environment variables for programs that use the emulator.

use std::process::Command;

use flinks_emulator::ClientAuthentication;
use flinks_emulator::credentials::*;
use serde_json::Value;

use crate::{local, local_with, send};

#[tokio::test]
async fn the_environment_contains_the_base_url_and_all_credentials() {
    let local = local().await;
    let env = local.emulator.env();
    let url = local.emulator.base_url();
    assert_eq!(
        env,
        [
            ("FLINKS_PAY_URL", url),
            ("FLINKS_PAY_USERNAME", PAY_USERNAME),
            ("FLINKS_PAY_PASSWORD", PAY_PASSWORD),
            ("FLINKS_CONNECT_URL", url),
            ("FLINKS_CONNECT_CUSTOMER_ID", CONNECT_CUSTOMER_ID),
            ("FLINKS_CONNECT_SECRET_KEY", CONNECT_SECRET_KEY),
            ("FLINKS_CONNECT_API_KEY", CONNECT_API_KEY),
            ("FLINKS_OUTBOUND_URL", url),
            ("FLINKS_OUTBOUND_CLIENT_ID", OUTBOUND_CLIENT_ID),
            ("FLINKS_OUTBOUND_CLIENT_SECRET", OUTBOUND_CLIENT_SECRET),
            ("FLINKS_OUTBOUND_CLIENT_AUTHENTICATION", "fields"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
    );

    let shown = send(local.get("/__emulator/env")).await;
    let from_library: Value = env.iter().map(|(name, value)| ((*name).to_owned(), Value::from(&**value))).collect();
    assert_eq!(shown.body, from_library);
}

#[tokio::test]
async fn the_dashboard_shows_the_same_variables_and_hides_changed_values() {
    let local = local_with(|config| config.connect.api_key = "changed".to_owned()).await;
    for (query, is_revealed) in [("", false), ("?reveal=true", true)] {
        let page = send(local.get(&format!("/__emulator/ui{query}"))).await.body.as_str().unwrap().to_owned();
        let (_, block) = page.split_once("<pre id=\"env\" tabindex=\"0\">").unwrap();
        let block = block.split("</pre>").next().unwrap().replace("&amp;", "&").replace('\'', "");
        let shown: Vec<&str> = block.lines().collect();
        let expected = local.emulator.env().into_iter().map(|(name, value)| match &*value {
            "changed" if !is_revealed => format!("{name}=…"),
            value => format!("{name}={value}"),
        });
        assert_eq!(shown, expected.collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn the_environment_follows_the_configuration() {
    let local = local_with(|config| config.pay.password = "changed".to_owned()).await;
    local.emulator.configure(|config| config.outbound.client_authentication = ClientAuthentication::Basic);
    let env = local.emulator.env();
    assert!(env.contains(&("FLINKS_PAY_PASSWORD", "changed".to_owned())));
    assert!(env.contains(&("FLINKS_OUTBOUND_CLIENT_AUTHENTICATION", "basic".to_owned())));
}

/// A shell in a child process sends a request using nothing but its environment.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_child_process_needs_only_the_environment() {
    let local = local().await;
    let command = r#"curl --silent --noproxy '*' "$FLINKS_PAY_URL/api/v1/authorize" -d grant_type=client_credentials \
        --data-urlencode "Username=$FLINKS_PAY_USERNAME" --data-urlencode "Password=$FLINKS_PAY_PASSWORD""#;
    let output = Command::new("sh").args(["-c", command]).envs(local.emulator.env()).output().unwrap();
    let reply: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(reply["token_type"], "bearer");
}
