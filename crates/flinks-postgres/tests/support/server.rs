//! A PostgreSQL server for one test program.
//!
//! The server runs as an unprivileged user, because `initdb` refuses to run as root.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A PostgreSQL server with its own data directory. Dropping this value stops the server and removes
/// the directory.
pub(crate) struct Server {
    child: Child,
    port: u16,
    settings: Vec<String>,
    folder: tempfile::TempDir,
}

/// The superuser of each server. Connections over TCP need no password unless the test changes
/// `pg_hba.conf`.
pub(crate) const SUPERUSER: &str = "postgres";

/// The user and the group that the server runs as, or `None` to keep the test program's user and
/// group.
pub(crate) static UNPRIVILEGED: LazyLock<Option<(u32, u32)>> = LazyLock::new(|| {
    let id = |arguments: &[&str]| -> Option<u32> {
        let output = Command::new("id").args(arguments).output().ok().filter(|output| output.status.success())?;
        String::from_utf8_lossy(&output.stdout).trim().parse().ok()
    };
    if id(&["-u"])? != 0 {
        return None;
    }
    ["postgres", "nobody"].iter().find_map(|user| Some((id(&["-u", user])?, id(&["-g", user])?)))
});

/// The folder with the newest installed PostgreSQL programs, or `None` if none are installed.
static PROGRAMS: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, folder)| folder.join("initdb").exists())
        .collect();
    folders.sort();
    let in_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
    };
    folders.pop().map(|(_, folder)| folder).or_else(in_path)
});

impl Server {
    pub(crate) fn is_installed() -> bool {
        PROGRAMS.is_some()
    }

    /// Creates a data directory and starts a server with these settings, such as
    /// `log_statement=all`.
    pub(crate) fn start(settings: &[&str]) -> Self {
        let folder = create_folder();
        let arguments = ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--username", SUPERUSER];
        run_successfully(
            program("initdb", folder.path()).arg("--pgdata").arg(folder.path().join("data")).args(arguments),
        );
        Self::start_in(folder, settings)
    }

    /// Starts a standby that replicates this server. Data changes on this server are visible there
    /// after a delay, unless `synchronous_commit` is `remote_apply`.
    pub(crate) fn start_standby(&self, settings: &[&str]) -> Self {
        let folder = create_folder();
        run_successfully(
            program("pg_basebackup", folder.path())
                .args(["--host", "127.0.0.1", "--username", SUPERUSER, "--port", &self.port.to_string()])
                .args(["--checkpoint=fast", "--write-recovery-conf", "--no-sync", "--pgdata"])
                .arg(folder.path().join("data")),
        );
        Self::start_in(folder, settings)
    }

    fn start_in(folder: tempfile::TempDir, settings: &[&str]) -> Self {
        let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        // If another process takes the port first, the next attempt uses another port.
        for _ in 0..10 {
            let port = free_port();
            if let Some(child) = spawn(port, &settings, folder.path()) {
                return Self { child, port, settings, folder };
            }
        }
        panic!("PostgreSQL did not start: {}", read_log(folder.path()));
    }

    /// Returns the URL of a database for the superuser.
    pub(crate) fn url(&self, database: &str) -> String {
        self.url_as(SUPERUSER, database)
    }

    /// Returns the URL of a database for this user, who may be given as `user:password`.
    pub(crate) fn url_as(&self, user: &str, database: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// Returns a database URL that connects over the server's Unix socket.
    pub(crate) fn socket_url(&self, database: &str) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://{SUPERUSER}@{folder}:{}/{database}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the folder that contains the data directory.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Creates an empty database and returns its name.
    pub(crate) fn create_database(&self) -> String {
        self.create_database_with("")
    }

    /// Creates an empty database with these `CREATE DATABASE` options, and returns its name.
    pub(crate) fn create_database_with(&self, options: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0 {options}"));
        name
    }

    /// Runs SQL statements as the superuser and returns the output, with one line for each row and
    /// `|` between the columns.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        let output = run_successfully(
            program("psql", self.folder.path())
                .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"])
                .args(["--dbname", &self.url(database), "--command", sql]),
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Returns the text of the server's log.
    pub(crate) fn log(&self) -> String {
        read_log(self.folder.path())
    }

    /// Replaces `pg_hba.conf` and makes the server read it.
    pub(crate) fn set_access_rules(&self, rules: &str) {
        write_as_server(&self.folder.path().join("data/pg_hba.conf"), rules.as_bytes());
        self.reload();
    }

    /// Makes the server read its configuration files again.
    pub(crate) fn reload(&self) {
        self.control(&["reload"]);
    }

    /// Writes a file that only the server can read, such as a private key, and returns its path.
    pub(crate) fn write_file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        write_as_server(&path, content);
        path
    }

    /// Stops the server in the given mode: `smart`, `fast` or `immediate`, which is like a crash.
    pub(crate) fn stop(&mut self, mode: &str) {
        self.control(&["stop", "--mode", mode]);
        self.child.wait().unwrap();
    }

    /// Kills the server's main process. The server's other processes exit on their own.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts the server again on the same port after it was stopped or killed.
    pub(crate) fn start_again(&mut self) {
        // Retries because the processes of a killed server, or another process, may be using the
        // port or the data directory briefly.
        let started = (0..100).find_map(|_| spawn(self.port, &self.settings, self.folder.path()));
        self.child = started.unwrap();
    }

    /// Makes a standby the primary server.
    pub(crate) fn promote(&self) {
        self.control(&["promote"]);
    }

    fn control(&self, arguments: &[&str]) {
        let data = self.folder.path().join("data");
        run_successfully(program("pg_ctl", self.folder.path()).args(arguments).arg("--pgdata").arg(data));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The main process removes its shared memory and its other processes when it receives
        // SIGQUIT, which `pg_ctl stop --mode immediate` sends.
        let data = self.folder.path().join("data");
        let mut stop = program("pg_ctl", self.folder.path());
        let _ = stop.args(["stop", "--mode", "immediate", "--pgdata"]).arg(data).output();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Creates a folder that belongs to the user that the server runs as.
fn create_folder() -> tempfile::TempDir {
    // Unix socket paths are limited to about 100 bytes, so the folder is not below a long path.
    let folder = tempfile::Builder::new().prefix("pg-").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    give_to_server(folder.path());
    folder
}

fn give_to_server(path: &Path) {
    if let Some((user, group)) = *UNPRIVILEGED {
        chown(path, Some(user), Some(group)).unwrap();
    }
}

fn write_as_server(path: &Path, content: &[u8]) {
    let _ = std::fs::remove_file(path);
    let mut file = std::fs::File::create_new(path).unwrap();
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).unwrap();
    file.write_all(content).unwrap();
    give_to_server(path);
}

/// Returns a command that runs one of PostgreSQL's programs as the unprivileged user.
fn program(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(PROGRAMS.as_ref().unwrap().join(name));
    // The user may have no access to the current directory.
    command.current_dir(folder).env_remove("PGOPTIONS").env("PGCONNECT_TIMEOUT", "30").stdin(Stdio::null());
    if let Some((user, group)) = *UNPRIVILEGED {
        command.uid(user).gid(group);
    }
    command
}

fn run_successfully(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?} failed: {text}", command.get_program());
    output
}

fn read_log(folder: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(folder.join("log")).unwrap_or_default()).into_owned()
}

/// Starts a server and waits until it accepts connections. Returns `None` if it does not start.
fn spawn(port: u16, settings: &[String], folder: &Path) -> Option<Child> {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    let port = port.to_string();
    let mut command = program("postgres", folder);
    command.arg("-D").arg(folder.join("data")).args(["-p", &port, "-k"]).arg(folder);
    // These settings make the tests faster. The data need not survive a machine crash.
    for setting in ["listen_addresses=127.0.0.1", "fsync=off", "full_page_writes=off", "max_connections=300"] {
        command.args(["-c", setting]);
    }
    for setting in settings {
        command.args(["-c", setting]);
    }
    let mut child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        let is_ready = program("pg_isready", folder)
            .args(["--quiet", "--host", "127.0.0.1", "--port", &port])
            .status()
            .is_ok_and(|status| status.success());
        if is_ready {
            return Some(child);
        }
        if child.try_wait().unwrap().is_some() {
            return None;
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// Returns a free port.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
