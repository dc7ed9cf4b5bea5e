//! Runs the command and checks its report.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use flinks_emulator::{Config, Emulator};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The name key of a store, and the bytes of its encryption key: 32 bytes in base64.
const NAME_KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
/// A key that the store was not written with.
pub(crate) const OTHER_KEY: &str = "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";

/// The runtime for all emulators and servers.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(future)
}

pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    RUNTIME.spawn(future);
}

pub(crate) fn emulator() -> Emulator {
    emulator_with(Config::default())
}

pub(crate) fn emulator_with(config: Config) -> Emulator {
    block_on(Emulator::start_with(config)).unwrap()
}

/// An environment for the command. Every secret starts with `canary`, or is passed to
/// [`hide`](Self::hide), and must not be printed.
pub(crate) struct Doctor {
    folder: TempDir,
    variables: Vec<(String, String)>,
    secrets: Vec<String>,
}

impl Doctor {
    /// Creates an environment without any values.
    pub(crate) fn new() -> Self {
        let this =
            Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new(), secrets: vec!["canary".to_owned()] };
        // With `--verbose`, the log goes to standard error, which is checked as well.
        this.with("RUST_LOG", "trace")
    }

    /// Creates an environment with valid values for an emulator.
    pub(crate) fn of(emulator: &Emulator) -> Self {
        let mut this = Self::new();
        for (name, value) in emulator.env() {
            this.set(name, &value);
        }
        let config = emulator.config();
        this.secrets.extend([config.pay.password, config.connect.secret_key, config.outbound.client_secret]);
        this
    }

    /// Creates an environment with credentials for Outbound at this base URL.
    pub(crate) fn outbound(base_url: &str) -> Self {
        Self::new()
            .with("FLINKS_OUTBOUND_URL", base_url)
            .with("FLINKS_OUTBOUND_CLIENT_ID", "dc-app")
            .with("FLINKS_OUTBOUND_CLIENT_SECRET", "canary-secret")
    }

    /// Adds the values for a store on a server. `kind` is the part of the variable names that
    /// identifies the kind of store.
    pub(crate) fn with_store(self, kind: &str, url: &str) -> Self {
        let variable = |field: &str| format!("FLINKS_{kind}_{field}");
        self.hide(NAME_KEY)
            .hide(OTHER_KEY)
            .with(&variable("URL"), url)
            .with(&variable("NAME_KEY"), NAME_KEY)
            .with(&variable("KEYS"), &format!("1:{NAME_KEY}"))
            .with(&variable("TIMEOUT_SECONDS"), "30")
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(other, _)| other != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(other, _)| other != name);
        self
    }

    /// Checks that the command does not print this text.
    pub(crate) fn hide(mut self, secret: &str) -> Self {
        self.secrets.push(secret.to_owned());
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flinks"));
        command.arg("--verbose").args(arguments).env_clear().env("FLINKS_HOME", self.path()).current_dir(self.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        command
    }

    /// Runs `flinks doctor` with JSON and as text, and returns the report.
    pub(crate) fn run(&self, areas: &[&str]) -> Report {
        // No test waits for this limit.
        self.run_within("60s", areas)
    }

    /// Runs the command with a time limit for each step.
    pub(crate) fn run_within(&self, limit: &str, areas: &[&str]) -> Report {
        let arguments = [&["doctor", "--json", "--timeout", limit][..], areas].concat();
        let output = self.command(&arguments).output().unwrap();
        self.assert_no_secret(&output);
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let json = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("not JSON: {stdout}\n{stderr}"));
        Report { json, exit: output.status.code(), stderr }
    }

    /// Returns the report as text.
    pub(crate) fn text(&self, areas: &[&str]) -> String {
        let output = self.command(&[&["doctor"][..], areas].concat()).output().unwrap();
        self.assert_no_secret(&output);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs another command, with this text as standard input.
    pub(crate) fn succeed(&self, arguments: &[&str], input: &str) {
        use std::io::Write as _;
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Stores a consent. `arguments` are additional arguments to `flinks consents import`.
    pub(crate) fn add_consent(&self, id: &str, arguments: &[&str]) {
        self.succeed(&[&["consents", "import", id][..], arguments].concat(), "canary-refresh-token");
    }

    fn assert_no_secret(&self, output: &Output) {
        for text in [&output.stdout, &output.stderr] {
            let text = String::from_utf8_lossy(text);
            let shown = self.secrets.iter().find(|secret| text.contains(secret.as_str()));
            assert_eq!(shown, None, "the output contains a secret: {text}");
        }
    }
}

/// The report and the exit code of the command.
pub(crate) struct Report {
    json: Value,
    exit: Option<i32>,
    stderr: String,
}

impl Report {
    fn checks(&self) -> &[Value] {
        self.json["checks"].as_array().unwrap()
    }

    /// Checks that the log was written, because every test searches it for secrets.
    pub(crate) fn assert_has_log(&self) {
        assert!(self.stderr.contains("TRACE"), "{}", self.stderr);
    }

    fn with_outcome(&self, outcome: &str) -> Vec<&Value> {
        self.checks().iter().filter(|check| check["outcome"] == outcome).collect()
    }

    /// Returns the outcome of a check.
    pub(crate) fn outcome(&self, section: &str, name: &str) -> &str {
        let check = self.checks().iter().find(|check| check["section"] == section && check["name"] == name);
        check.unwrap_or_else(|| panic!("no check {section} {name}: {}", self.json))["outcome"].as_str().unwrap()
    }

    /// Checks that nothing is wrong.
    #[track_caller]
    pub(crate) fn assert_nothing_is_wrong(&self) {
        assert_eq!(self.with_outcome("failed"), Vec::<&Value>::new(), "{}", self.json);
        assert_eq!(self.with_outcome("warning"), Vec::<&Value>::new(), "{}", self.json);
        assert_eq!(self.exit, Some(0), "{}", self.stderr);
    }

    /// Checks that exactly this check failed, and returns it.
    #[track_caller]
    pub(crate) fn assert_failed(&self, section: &str, name: &str) -> Problem<'_> {
        let failed = self.with_outcome("failed");
        assert_eq!(failed.len(), 1, "{}", self.json);
        assert_eq!(failed[0]["section"], section, "{}", self.json);
        assert_eq!(failed[0]["name"], name, "{}", self.json);
        assert!(self.stderr.contains("checks failed"), "{}", self.stderr);
        Problem { check: failed[0], exit: self.exit }
    }

    /// Returns the first check that failed.
    #[track_caller]
    pub(crate) fn first_failed(&self) -> Problem<'_> {
        Problem { check: self.with_outcome("failed")[0], exit: self.exit }
    }

    /// Checks that nothing failed and that there is exactly this warning, and returns it.
    #[track_caller]
    pub(crate) fn assert_warning(&self, section: &str, name: &str) -> Problem<'_> {
        assert_eq!(self.with_outcome("failed"), Vec::<&Value>::new(), "{}", self.json);
        let warnings = self.with_outcome("warning");
        assert_eq!(warnings.len(), 1, "{}", self.json);
        assert_eq!(warnings[0]["section"], section, "{}", self.json);
        assert_eq!(warnings[0]["name"], name, "{}", self.json);
        Problem { check: warnings[0], exit: self.exit }
    }
}

/// A problem that the command found.
#[must_use]
pub(crate) struct Problem<'a> {
    check: &'a Value,
    exit: Option<i32>,
}

impl Problem<'_> {
    #[track_caller]
    fn field_contains(&self, field: &str, expected: &str) {
        let text = self.check[field].as_str().unwrap();
        assert!(text.contains(expected), "{field}: expected `{expected}` in `{text}`");
    }

    /// Checks the problem.
    #[track_caller]
    pub(crate) fn is(self, expected: &str) -> Self {
        self.field_contains("problem", expected);
        self
    }

    /// Checks the cure.
    #[track_caller]
    pub(crate) fn has_cure(self, expected: &str) -> Self {
        self.field_contains("cure", expected);
        self
    }

    #[track_caller]
    pub(crate) fn guessed(self) -> Self {
        assert_eq!(self.check["is_guess"], true, "{}", self.check);
        self
    }

    /// Checks the exit code of the command.
    #[track_caller]
    pub(crate) fn exits_with(self, expected: i32) {
        assert_eq!(self.exit, Some(expected), "{}", self.check);
    }
}
