//! Tests for the `flinks-emulator` program. Some of these tests run commands from Flinks'
//! documentation against the program.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use flinks_emulator::Emulator;
use flinks_emulator::credentials::*;
use serde_json::Value;

/// A `flinks-emulator` process that listens on a free port. Dropping this value stops the process.
struct Program {
    child: Child,
    base_url: String,
    /// The program's standard output after the base URL.
    rest: BufReader<ChildStdout>,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flinks-emulator"));
        if !arguments.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.args(arguments).env_remove("RUST_LOG");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut rest = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        rest.read_line(&mut line).unwrap();
        Self { child, base_url: line.trim_end().to_owned(), rest }
    }

    /// Stops the program with a signal, as a service manager or Ctrl-C would.
    fn stop(mut self, signal: &str) -> Stopped {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &process]).status().unwrap().success());
        let mut guide = String::new();
        let mut log = String::new();
        self.rest.read_to_string(&mut guide).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        let is_success = self.child.wait().unwrap().success();
        Stopped { is_success, guide, log }
    }
}

/// The result of [`Program::stop`].
struct Stopped {
    is_success: bool,
    /// The text on standard output after the base URL.
    guide: String,
    /// The text on standard error.
    log: String,
}

impl Drop for Program {
    fn drop(&mut self) {
        // This call returns an error if the program has already exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command line as a reader of the documentation would, but without this machine's proxy
/// settings.
fn run(command: &str) -> Output {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .env_remove("http_proxy")
        .env_remove("all_proxy")
        .env_remove("ALL_PROXY")
        .output()
        .unwrap()
}

/// Runs a command line and parses its output as JSON.
fn shell(command: &str) -> Value {
    let Output { stdout, stderr, .. } = run(command);
    serde_json::from_slice(&stdout).unwrap_or_else(|_| panic!("{command}\n{}", String::from_utf8_lossy(&stderr)))
}

/// Runs the two commands from the "Set Up Authorization" page of Flinks' documentation. Only the
/// host and the example values are replaced.
#[test]
fn the_commands_of_the_flinks_documentation_work() {
    let program = Program::start(&[]);
    let generate = r#"curl --request POST \
     --url https://toolbox-api.private.fin.ag/v3/{customerId}/BankingServices/GenerateAuthorizeToken \
     --header 'Content-Type: application/json' \
     --header 'flinks-auth-key: YOUR_SECRET_KEY'
"#;
    let generate = generate
        .replace("https://toolbox-api.private.fin.ag", &program.base_url)
        .replace("{customerId}", CONNECT_CUSTOMER_ID)
        .replace("YOUR_SECRET_KEY", CONNECT_SECRET_KEY);
    let token = shell(&generate)["Token"].as_str().unwrap().to_owned();

    let authorize = r#"curl --request POST \
  --url https://yourinstance-api.private.fin.ag/v3/{customerId}/BankingServices/Authorize \
  --header 'Content-Type: application/json' \
  --header 'flinks-auth-key: d65f1adb-8ebc-48dc-be8b-20c773ba1565' \
  --data '{
    "LoginId": "your-login-id",
    "MostRecentCached": true
  }'
"#;
    let authorize = authorize
        .replace("https://yourinstance-api.private.fin.ag", &program.base_url)
        .replace("{customerId}", CONNECT_CUSTOMER_ID)
        .replace("d65f1adb-8ebc-48dc-be8b-20c773ba1565", &token)
        .replace("your-login-id", CONNECT_LOGIN_ID);
    assert_eq!(shell(&authorize)["HttpStatusCode"], 200);
    let again = shell(&authorize);
    assert_eq!(again["HttpStatusCode"], 401);
    assert_eq!(again["FlinksCode"], "ACCESS_DENIED");
}

#[test]
fn the_printed_commands_work_in_their_order() {
    let guide = Program::start(&[]).stop("-TERM").guide;
    let program = Program::start(&[]);
    let printed_base_url =
        guide.lines().find_map(|line| line.trim().strip_prefix("curl ")?.split("/api").next()).unwrap();
    let mut variables: Vec<(&str, String)> = Vec::new();
    let mut commands = 0;
    for line in guide.lines().filter(|line| line.trim_start().starts_with("curl ")) {
        let mut command = line
            .trim()
            .replace(printed_base_url, &program.base_url)
            .replace("curl ", "curl --silent --fail-with-body ");
        for (name, value) in &variables {
            command = command.replace(name, value);
        }
        assert!(!command.contains('$'), "{command}");
        let output = run(&command);
        assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stdout));
        commands += 1;
        let Ok(response) = serde_json::from_slice::<Value>(&output.stdout) else { continue };
        // The comments in the guide define these variables.
        let token = if command.contains("/api/v1/token") { "$USER_TOKEN" } else { "$SESSION_TOKEN" };
        for (field, name) in [
            ("access_token", token),
            ("sessionId", "$SESSION_ID"),
            ("requestId", "$REQUEST_ID"),
            ("Token", "$AUTHORIZE_TOKEN"),
            ("RequestId", "$DATA_REQUEST_ID"),
        ] {
            if let Some(value) = response[field].as_str() {
                variables.retain(|(known, _)| *known != name);
                variables.push((name, value.to_owned()));
            }
        }
    }
    assert_eq!(commands, 20);
}

#[test]
fn the_log_contains_operations_but_no_values() {
    let program = Program::start(&[]);
    let url = &program.base_url;
    shell(&format!("curl --silent '{url}/__emulator/counts?{CONNECT_SECRET_KEY}'"));
    let path = format!("{url}/v3/{CONNECT_CUSTOMER_ID}/BankingServices/GenerateAuthorizeToken");
    let key = format!("-H 'flinks-auth-key: {CONNECT_SECRET_KEY}'");
    let token = shell(&format!("curl --silent -X POST {path} {key} -H 'Content-Type: application/json'"));
    let token = token["Token"].as_str().unwrap();
    shell(&format!("curl --silent '{url}/{CONNECT_SECRET_KEY}?authorizeToken={token}'"));
    let Stopped { is_success, guide, log } = program.stop("-INT");
    assert!(is_success);
    assert!(guide.contains("curl "), "{guide}");
    assert!(log.contains("operation=\"connect.generate_authorize_token\" status=200"), "{log}");
    for secret in [CONNECT_SECRET_KEY, token, "emu_"] {
        assert!(!log.contains(secret), "{log}");
    }
}

/// The emulator must keep running if the process that started it stops reading its output.
#[test]
fn the_program_keeps_running_if_nobody_reads_its_output() {
    let mut program = Program::start(&[]);
    drop(program.child.stderr.take());
    program.rest = BufReader::new(Command::new("true").stdout(Stdio::piped()).spawn().unwrap().stdout.take().unwrap());
    let counts = format!("curl --silent {}/__emulator/counts", program.base_url);
    for _ in 0..3 {
        run(&format!("curl --silent {}/nothing", program.base_url));
    }
    assert_eq!(shell(&counts)["requests"], 3);
    assert!(run(&format!("curl --silent --fail {}/__emulator/tokens", program.base_url)).status.success());
}

#[test]
fn the_printed_commands_contain_no_configured_credential() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("emulator.toml");
    let settings = "[pay]\npassword = \"canary-1\"\n[connect]\nsecret_key = \"canary-2\"\napi_key = \"canary-5\"\n\
                    [outbound]\nclient_id = \"canary-3\"\nclient_secret = \"canary-4\"\nclient_authentication = \"basic\"\n";
    std::fs::write(&file, settings).unwrap();
    let Stopped { guide, log, .. } = Program::start(&["--config", file.to_str().unwrap()]).stop("-TERM");
    assert!(guide.contains("$SECRET_KEY"), "{guide}");
    assert!(guide.contains("-u \"$CLIENT_ID:$CLIENT_SECRET\""), "{guide}");
    assert!(!guide.replace("client_id=canary-3", "").contains("canary"), "{guide}");
    assert!(!log.contains("canary"), "{log}");
}

#[test]
fn the_printed_commands_use_the_configured_token_header() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("emulator.toml");
    std::fs::write(&file, "[pay]\ntoken_header = \"X-Flinks-Token\"\n").unwrap();
    let guide = Program::start(&["--config", file.to_str().unwrap()]).stop("-TERM").guide;
    assert_eq!(guide.matches("-H \"X-Flinks-Token: Bearer $SESSION_TOKEN\"").count(), 3, "{guide}");
    assert!(!guide.contains("Authorization: Bearer $SESSION_TOKEN"), "{guide}");
}

#[test]
fn print_config_prints_a_file_that_config_accepts() {
    let defaults = Command::new(env!("CARGO_BIN_EXE_flinks-emulator")).arg("--print-config").output().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("emulator.toml");
    std::fs::write(&file, &defaults.stdout).unwrap();
    let program = Program::start(&["--config", file.to_str().unwrap()]);
    let config = shell(&format!("curl --silent {}/__emulator/config", program.base_url));
    assert_eq!(config, serde_json::to_value(flinks_emulator::Config::default()).unwrap());
}

#[test]
fn an_error_in_a_config_file_names_the_line_but_no_value() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("emulator.toml");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "frozen_clock = true\n[connect]\nsecret_key = \"mine\"\n").unwrap();
    let program = Program::start(&["--config", path]);
    let config = shell(&format!("curl --silent {}/__emulator/config", program.base_url));
    assert_eq!(config["connect"]["secret_key"], "mine");
    assert_eq!(config["pay"]["token_seconds"], 299);

    let refused = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_flinks-emulator")).args(arguments).output().unwrap();
        assert!(!output.status.success());
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    for text in [
        "\n[connect]\nsecret_key = canary",
        "\n[connect]\nsecret_key = { canary = 1 }",
        "\n[pay]\ntoken_seconds = \"canary\"",
        "\n\ncanary = 1",
    ] {
        std::fs::write(&file, text).unwrap();
        let message = refused(&["--config", path]);
        assert!(message.contains("line 3"), "{message}");
        assert!(!message.contains("canary"), "{message}");
    }
    std::fs::write(&file, "[connect]\ncustomer_id = \"canary\"").unwrap();
    let message = refused(&["--config", path]);
    assert!(message.contains("`connect.customer_id` must be a GUID"), "{message}");
    assert!(!message.contains("canary"), "{message}");
    std::fs::write(&file, "[pay]\ntoken_second = 5").unwrap();
    let message = refused(&["--config", path]);
    assert!(message.contains("unknown field, expected one of `username`"), "{message}");
    assert!(refused(&["--config", "/nothing.toml"]).contains("/nothing.toml"));
    assert!(refused(&["--listen", "0.0.0.0:0"]).contains("--dangerously-listen-anywhere"));
    assert!(refused(&["--listen", "8080"]).contains("such as 127.0.0.1:8080"));
}

#[test]
fn the_scenario_option_takes_a_name_or_a_file() {
    let loaded =
        |program: &Program| shell(&format!("curl --silent {}/__emulator/scenario", program.base_url))["loaded"].clone();
    assert_eq!(loaded(&Program::start(&["--scenario", "rate-limit"]))["name"], "rate-limit");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "description = \"mine\"\n[config.pay]\ntoken_seconds = 7\n").unwrap();
    let program = Program::start(&["--scenario", path]);
    assert_eq!(loaded(&program)["description"], "mine");
    let config = shell(&format!("curl --silent {}/__emulator/config", program.base_url));
    assert_eq!(config["pay"]["token_seconds"], 7);

    let refused = |name: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_flinks-emulator")).args(["--scenario", name]).output().unwrap();
        assert!(!output.status.success());
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    std::fs::write(&file, "\n\ncanary = 1").unwrap();
    let message = refused(path);
    assert!(
        message.contains(&format!("{path}: invalid scenario: line 3: unknown field, expected one of")),
        "{message}"
    );
    assert!(!message.contains("canary"), "{message}");
    let message = refused("rate-limits");
    assert!(message.contains("`rate-limits` is neither a scenario file"), "{message}");
    assert!(message.contains("bank-outage, consent-revoked"), "{message}");
}

#[cfg(feature = "tls")]
#[test]
fn the_printed_commands_make_curl_trust_the_authority() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let arguments = ["--tls", folder, "--tls-client-certificates", "required"];
    let guide = Program::start(&arguments).stop("-TERM").guide;
    let program = Program::start(&arguments);
    assert!(program.base_url.starts_with("https://127.0.0.1:"));
    let exports: Vec<&str> = guide.lines().map(str::trim).filter(|line| line.starts_with("export ")).collect();
    assert!(exports.iter().any(|line| line.contains("NODE_EXTRA_CA_CERTS")), "{guide}");
    let exports = exports.join("; ");
    let url = format!("{}/__emulator/counts", program.base_url);
    let certificate = "--cert \"$FLINKS_CLIENT_CERTIFICATE\" --key \"$FLINKS_CLIENT_KEY\"";
    assert_eq!(shell(&format!("{exports}; curl --silent --noproxy '*' {certificate} {url}"))["requests"], 0);
    assert!(!run(&format!("{exports}; curl --silent --noproxy '*' {url}")).status.success(), "no client certificate");
    assert!(!run(&format!("curl --silent --noproxy '*' {certificate} {url}")).status.success(), "no authority");
}

#[cfg(feature = "tls")]
#[test]
fn an_invalid_tls_option_is_explained() {
    let folder = tempfile::NamedTempFile::new().unwrap();
    let file = folder.path().to_str().unwrap();
    for (arguments, message) in [
        (&["--tls-name", "x.example"][..], "--tls"),
        (&["--tls", file], "failed to write the certificates to"),
        (&["--tls", "--tls-name", "é"], "invalid --tls-name"),
        (&["--tls", file, "--tls-client-certificates", "perhaps"], "optional, required"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_flinks-emulator")).args(arguments).output().unwrap();
        assert!(!output.status.success());
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(message), "{arguments:?}: {text}");
    }
}

#[tokio::test]
async fn a_non_loopback_address_needs_the_dangerous_function() {
    let any = "0.0.0.0:0".parse().unwrap();
    let error = Emulator::listen(any, Default::default()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    let emulator = Emulator::dangerously_listen_anywhere(any, Default::default()).await.unwrap();
    let response = crate::client().get(format!("{}/__emulator/", emulator.base_url())).send().await.unwrap();
    assert_eq!(response.status(), 200);
}

#[test]
fn the_program_prints_the_address_of_the_dashboard() {
    let program = Program::start(&[]);
    let page = run(&format!("curl --silent --fail {}/__emulator/ui", program.base_url));
    assert!(String::from_utf8_lossy(&page.stdout).contains("Act as the end user"));
    let line = format!("dashboard {}/__emulator/ui", program.base_url);
    let guide = program.stop("-TERM").guide;
    assert_eq!(guide.lines().last(), Some(&*line), "{guide}");

    let program = Program::start(&["--allow-host", "emulator.test"]);
    let base_url = program.base_url.clone();
    let fetch = |arguments: &str| {
        let command = format!("curl --silent --fail {arguments} {base_url}/__emulator/ui");
        run(&command).status.success()
    };
    assert!(!fetch("-H 'Host: emulator.test'"), "the token is missing");
    assert!(!fetch("-H 'Host: other.test'"));
    let guide = program.stop("-TERM").guide;
    let address = guide.lines().last().unwrap();
    let (address, token) = address.strip_prefix("dashboard ").unwrap().split_once("#token=").unwrap();
    assert_eq!(address, format!("{base_url}/__emulator/ui"));
    assert_eq!(token.len(), 32);
}

#[test]
fn an_emulator_on_all_addresses_prints_a_token() {
    let program = Program::start(&["--dangerously-listen-anywhere", "--listen", "0.0.0.0:0"]);
    let guide = program.stop("-TERM").guide;
    assert!(guide.lines().last().unwrap().contains("#token="), "{guide}");
}

#[test]
fn the_program_records_and_does_not_keep_unknown_values() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recording.har");
    let canary = "canary0sk1live2";
    for (option, is_kept) in [(None, false), (Some("--keep-values"), true)] {
        let arguments = ["--record", file.to_str().unwrap()].into_iter().chain(option);
        let program = Program::start(&arguments.collect::<Vec<_>>());
        run(&format!("curl --silent {}/{canary} -H 'flinks-auth-key: {canary}'", program.base_url));
        let requests = shell(&format!("curl --silent {}/__emulator/requests", program.base_url));
        assert_eq!(requests.to_string().contains(canary), is_kept, "{requests}");
        let recording: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(recording["log"]["entries"].as_array().unwrap().len(), 1);
        assert!(!recording.to_string().contains(canary), "{recording}");
    }
    let missing = folder.path().join("missing/recording.har");
    let output = Command::new(env!("CARGO_BIN_EXE_flinks-emulator")).arg("--record").arg(&missing).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains(&format!("failed to create the recording `{}`", missing.display())), "{message}");
}

/// The browser is a script that writes its argument to a file.
#[cfg(target_os = "linux")]
#[test]
fn open_opens_the_dashboard_without_the_token() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let browser = folder.path().join("xdg-open");
    let opened = folder.path().join("opened");
    std::fs::write(&browser, format!("#!/bin/sh\nmkfifo {0}\necho \"$@\" > {0}\n", opened.display())).unwrap();
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_flinks-emulator"));
    command.args(["--open", "--allow-host", "emulator.test"]).env("PATH", path).stderr(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let started = std::time::Instant::now();
    while !opened.exists() {
        assert!(started.elapsed() < std::time::Duration::from_secs(30), "the browser was not opened");
        std::thread::yield_now();
    }
    // Reading waits until the script has written its argument.
    let address = std::fs::read_to_string(&opened).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(address.trim(), format!("{}/__emulator/ui", line.trim()));
}
