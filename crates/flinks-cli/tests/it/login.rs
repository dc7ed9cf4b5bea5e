//! `flinks login`, with a test that behaves like a browser.

use flinks_emulator::{Fault, Operation};

use crate::support::{Home, Running};

/// A login that waits for the end user.
struct Login {
    running: Running,
    /// The URL of the consent page.
    url: url::Url,
}

impl Login {
    fn start(home: &Home, more: &[&str]) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let redirect_url = format!("http://127.0.0.1:{port}/callback");
        let mut arguments = vec!["login", "--consent", "user-7", "--no-browser", "--redirect-url", &redirect_url];
        arguments.extend(more);
        let mut running = Running::start(&mut home.command(&arguments));
        let url = running.line().parse().unwrap();
        Self { running, url }
    }

    fn redirect_url(&self) -> String {
        self.parameter("redirect_uri")
    }

    fn parameter(&self, name: &str) -> String {
        self.url.query_pairs().find(|(found, _)| found == name).unwrap().1.into_owned()
    }
}

/// Requests a page with curl and returns its status and its body.
fn get(url: &str) -> (u16, String) {
    let output = std::process::Command::new("curl").args(["-s", "-w", "\n%{http_code}", url]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

#[test]
fn o10_a_consent_is_stored_after_the_callback() {
    let home = Home::with_profile();
    let login = Login::start(&home, &["--owner", "owner-1", "--label", "Bank"]);
    let code = home.emulator.issue_code(&login.redirect_url());
    let (status, page) = get(&format!("{}?code={code}&state={}", login.redirect_url(), login.parameter("state")));
    assert_eq!(status, 200);
    assert!(page.contains("Consent stored"));
    let (exit, _, stderr) = login.running.finish();
    assert_eq!(exit, Some(0), "{stderr}");
    home.assert_no_secret(&stderr);
    let shown = home.succeed(&["consents", "show", "user-7"]);
    assert!(shown.contains("owner-1"));
    assert!(shown.contains("Bank"));
    home.succeed(&["token", "outbound", "--consent", "user-7"]);
}

#[test]
fn o10_a_callback_from_another_tab_is_ignored() {
    let home = Home::with_profile();
    let login = Login::start(&home, &[]);
    let code = home.emulator.issue_code(&login.redirect_url());
    let (status, page) = get(&format!("{}?code={code}&state=other", login.redirect_url()));
    assert_eq!(status, 400);
    assert!(page.contains("Wrong tab"));
    assert_eq!(get(&format!("{}/favicon.ico", login.redirect_url())).0, 404);
    let (status, _) = get(&format!("{}?code={code}&state={}", login.redirect_url(), login.parameter("state")));
    assert_eq!(status, 200);
    let (exit, _, stderr) = login.running.finish();
    assert_eq!(exit, Some(0), "{stderr}");
    assert_eq!(home.emulator.count(Operation::OutboundToken), 1);
}

#[test]
fn a_declined_consent_is_exit_code_3() {
    let home = Home::with_profile();
    let login = Login::start(&home, &[]);
    let (status, page) =
        get(&format!("{}?error=access_denied&state={}", login.redirect_url(), login.parameter("state")));
    assert_eq!(status, 200);
    assert!(page.contains("No consent"));
    let (exit, _, stderr) = login.running.finish();
    assert_eq!(exit, Some(3));
    assert!(stderr.contains("access_denied"), "{stderr}");
    assert!(stderr.contains("flinks login --consent user-7"), "{stderr}");
}

#[test]
fn a_refused_code_stores_nothing() {
    let home = Home::with_profile();
    let login = Login::start(&home, &[]);
    home.emulator.fail_always(Operation::OutboundToken, Fault::reply(400, r#"{"error": "invalid_grant"}"#));
    let code = home.emulator.issue_code(&login.redirect_url());
    let (status, page) = get(&format!("{}?code={code}&state={}", login.redirect_url(), login.parameter("state")));
    assert_eq!(status, 502);
    assert!(page.contains("Login failed"));
    let (exit, _, stderr) = login.running.finish();
    assert_eq!(exit, Some(3), "{stderr}");
    assert_eq!(home.run(&["consents", "show", "user-7"]).status.code(), Some(3));
}

#[test]
fn wrong_client_credentials_are_a_configuration_error() {
    let home = Home::with_profile();
    assert!(home.run_with_input(&["config", "set-secret", "outbound.client_secret"], "wrong").status.success());
    let login = Login::start(&home, &[]);
    let code = home.emulator.issue_code(&login.redirect_url());
    let (status, _) = get(&format!("{}?code={code}&state={}", login.redirect_url(), login.parameter("state")));
    assert_eq!(status, 502);
    assert_eq!(login.running.finish().0, Some(4));
}

#[test]
fn a_replaced_consent_is_reported_and_revoked_on_request() {
    let home = Home::with_profile();
    home.add_consent("user-7");
    home.succeed(&["token", "outbound", "--consent", "user-7"]);
    let login = Login::start(&home, &["--revoke-replaced"]);
    let code = home.emulator.issue_code(&login.redirect_url());
    get(&format!("{}?code={code}&state={}", login.redirect_url(), login.parameter("state")));
    let (exit, _, stderr) = login.running.finish();
    assert_eq!(exit, Some(0), "{stderr}");
    assert!(stderr.contains("replaced consent"), "{stderr}");
}

/// In this test, the browser opens the start page after somebody else has already opened it.
#[test]
fn a_login_that_somebody_else_opened_is_stopped() {
    let home = Home::with_profile();
    let browser = home.path().join("xdg-open");
    let script = "#!/bin/sh\ncurl -s -o /dev/null \"$1\"\ncurl -s -o /dev/null \"$1\"\n";
    std::fs::write(&browser, script).unwrap();
    std::fs::set_permissions(&browser, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", home.path().display(), std::env::var("PATH").unwrap());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/callback");
    let output = home.command(&["login", "--redirect-url", &url]).env("PATH", path).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("opened twice"), "{stderr}");
    assert!(!home.succeed(&["consents", "list"]).contains("default"));
}

#[test]
fn a_port_in_use_is_named() {
    let home = Home::with_profile();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/callback", listener.local_addr().unwrap());
    let output = home.run(&["login", "--no-browser", "--redirect-url", &url]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("failed to listen"), "{stderr}");
    assert!(stderr.contains("stop the program that uses the port"), "{stderr}");
}

#[test]
fn a_redirect_url_on_another_machine_is_refused() {
    let home = Home::with_profile();
    for (url, exit) in
        [("https://app.example/callback", 4), ("http://[::1]:8765/callback", 4), ("http://192.168.1.1:80/callback", 2)]
    {
        let output = home.run(&["login", "--no-browser", "--redirect-url", url]);
        assert_eq!(output.status.code(), Some(exit), "{url}");
    }
}

#[test]
fn a_missing_bank_is_a_configuration_error() {
    let home = Home::with_profile();
    home.succeed(&["config", "unset", "login.provider_id"]);
    let output = home.run(&["login", "--no-browser"]);
    assert_eq!(output.status.code(), Some(4));
}
