//! A folder with a configuration, and an emulator.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use flinks_emulator::credentials::OUTBOUND_REFRESH_TOKEN;
use flinks_emulator::{Config, Emulator};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A configuration in its own folder, and an emulator for it.
pub(crate) struct Home {
    pub(crate) emulator: Emulator,
    runtime: Runtime,
    folder: TempDir,
}

impl Home {
    /// Starts an emulator, and creates no profile.
    pub(crate) fn empty() -> Self {
        Self::with_config(Config::default())
    }

    pub(crate) fn with_config(config: Config) -> Self {
        let runtime = Runtime::new().unwrap();
        let emulator = runtime.block_on(Emulator::start_with(config)).unwrap();
        Self { emulator, runtime, folder: tempfile::tempdir().unwrap() }
    }

    /// Starts an emulator that replaces refresh tokens, and creates the profile `emulator` for it.
    pub(crate) fn with_rotation() -> Self {
        let mut config = Config::default();
        config.outbound.rotate_refresh_tokens = true;
        Self::with_config(config).initialized()
    }

    /// Starts an emulator, and creates the profile `emulator` for it.
    pub(crate) fn with_profile() -> Self {
        Self::empty().initialized()
    }

    fn initialized(self) -> Self {
        let home = self;
        let url = home.emulator.base_url().to_owned();
        home.succeed(&["init", "--emulator", &url, "--secrets", "file"]);
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.path().join("config.toml")
    }

    /// Stores a consent whose refresh token the emulator has issued.
    pub(crate) fn add_consent(&self, id: &str) {
        let output = self.run_with_input(
            &["consents", "import", id, "--owner", "user-7", "--label", "Flinks Capital"],
            OUTBOUND_REFRESH_TOKEN,
        );
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flinks"));
        command.args(arguments).env_clear().env("FLINKS_HOME", self.path()).current_dir(self.path());
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.check(self.command(arguments).output().unwrap())
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The command may exit before it reads its input.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        self.check(child.wait_with_output().unwrap())
    }

    /// Runs a command and returns its standard output.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Checks that neither the credentials nor a token appears on standard error. Only a command
    /// that prints a token writes one to standard output.
    fn check(&self, output: Output) -> Output {
        self.assert_no_secret(&String::from_utf8_lossy(&output.stderr));
        output
    }

    pub(crate) fn assert_no_secret(&self, text: &str) {
        let config = self.emulator.config();
        let credentials = [config.pay.password, config.connect.secret_key, config.outbound.client_secret];
        let tokens = self.emulator.issued().into_iter().map(|issued| issued.value);
        for secret in credentials.into_iter().chain(tokens) {
            assert!(!text.contains(&secret), "the output contains a secret");
        }
    }

    /// Runs a future on the emulator's runtime.
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Replaces the values that differ from run to run.
    pub(crate) fn settings(&self) -> insta::Settings {
        let literal = |text: &str| text.replace('.', r"\.");
        let filters = [
            (literal(self.emulator.base_url()), "[EMULATOR]"),
            (literal(&self.path().to_string_lossy()), "[HOME]"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ".to_owned(), "[TIME]"),
            (r"in \d+[a-z]+( \d+[a-z]+)?".to_owned(), "[DISTANCE]"),
            (r"\d+[a-z]+( \d+[a-z]+)? ago".to_owned(), "[DISTANCE]"),
            (r"127\.0\.0\.1:\d+".to_owned(), "[ADDRESS]"),
        ];
        let mut settings = insta::Settings::clone_current();
        settings.set_omit_expression(true);
        for (pattern, replacement) in filters {
            settings.add_filter(&pattern, replacement);
        }
        settings
    }
}

/// Compares the exit code and the output of a command with a snapshot.
macro_rules! assert_command {
    ($home:expr, $arguments:expr) => {{
        let home = &$home;
        let output = home.run(&$arguments);
        $crate::support::assert_output!(home, $arguments, output);
    }};
    ($home:expr, $arguments:expr, input: $input:expr) => {{
        let home = &$home;
        let output = home.run_with_input(&$arguments, $input);
        $crate::support::assert_output!(home, $arguments, output);
    }};
}
pub(crate) use assert_command;

macro_rules! assert_output {
    ($home:expr, $arguments:expr, $output:expr) => {{
        let text = $crate::support::describe(&$arguments, &$output);
        $home.assert_no_secret(&text);
        $home.settings().bind(|| insta::assert_snapshot!(text));
    }};
}
pub(crate) use assert_output;

/// Returns the command line, the exit code and the output as text.
pub(crate) fn describe(arguments: &[&str], output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    format!(
        "$ flinks {}\nexit code: {}\n--- stdout\n{}\n--- stderr\n{}",
        arguments.join(" "),
        output.status.code().map_or_else(|| "none".to_owned(), |code| code.to_string()),
        text(&output.stdout),
        text(&output.stderr)
    )
}

/// A command that is still running. It is killed when the test ends.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Returns the next line of standard output.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        BufReader::with_capacity(1, self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Returns the next line of standard error.
    pub(crate) fn error_line(mut self) -> (Self, String) {
        let mut line = String::new();
        BufReader::with_capacity(1, self.0.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        (self, line)
    }

    /// Waits for the process, and returns its exit code, the rest of standard output, and standard
    /// error.
    pub(crate) fn finish(mut self) -> (Option<i32>, String, String) {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.0.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (self.0.wait().unwrap().code(), stdout, stderr)
    }

    /// Sends the signal that Ctrl-C sends.
    #[cfg(unix)]
    pub(crate) fn interrupt(&self) {
        let status = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
