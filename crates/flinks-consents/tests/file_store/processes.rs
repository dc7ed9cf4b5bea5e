//! Tests that use several processes or another user.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::SystemTime;

use flinks::RedirectUrl;
use flinks::outbound::{AuthorizationCode, RefreshToken};
use flinks_emulator::credentials::OUTBOUND_PROVIDER_ID;
use flinks_emulator::{Emulator, Operation};

use crate::prelude::*;
use crate::{NOWHERE, assert_refused, client, consents, files, id, load, record_file, shared, stored};

const TOKEN: Operation = Operation::OutboundToken;

/// Another process that runs this program.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    pub(crate) fn start(mut command: Command, role: &str, arguments: &[&str]) -> Self {
        command.arg(format!("role:{role}")).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = child.stdout.take().unwrap();
        Self { child, input, output: BufReader::new(output) }
    }

    fn start_role(role: &str, arguments: &[&str]) -> Self {
        Self::start(Command::new(std::env::current_exe().unwrap()), role, arguments)
    }

    pub(crate) fn send_line(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    /// Reads a line from the process's output. Returns `None` if the process has exited.
    pub(crate) fn read_line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        (!line.is_empty()).then(|| line.trim_end().to_owned())
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn wait_for_success(mut self) {
        drop(self.input);
        let mut rest = String::new();
        while self.output.read_line(&mut rest).unwrap() > 0 {}
        assert!(self.child.wait().unwrap().success(), "{rest}");
    }
}

/// Performs the role that the parent process assigned to this process.
#[tokio::main]
pub(crate) async fn run_role(role: &str) {
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    let directory = Path::new(&arguments[0]);
    match role {
        "role:write" => write_endlessly(directory).await,
        "role:count" => write_many(directory).await,
        "role:refresh" => refresh_on_demand(directory, &arguments[1]).await,
        "role:full" => write_to_a_full_disk(directory).await,
        "role:member" => shared::write_as_a_member(directory).await,
        "role:elsewhere" => use_a_relative_path(directory).await,
        "role:nobody" => use_stores_as_another_user(directory).await,
        _ => panic!("unknown role"),
    }
}

pub(crate) fn token(number: u32) -> RefreshToken {
    RefreshToken::new(format!("{}-number-{number}.", "x".repeat(3000))).unwrap()
}

/// Writes records endlessly and prints a line before and after each write.
async fn write_endlessly(directory: &Path) {
    let consents = consents(directory, NOWHERE);
    for number in 1.. {
        println!("begin {number}");
        consents.import(&id("user-7"), token(number), SystemTime::now()).await.unwrap();
        println!("done {number}");
    }
}

pub(crate) async fn killed_process_leaves_the_old_or_the_new_record() {
    for round in 0..200 {
        let (_temporary, directory, _) = stored().await;
        let mut process = Process::start_role("write", &[directory.to_str().unwrap()]);
        // Kills the process during or between writes, after a random number of writes.
        let mut last = String::new();
        for _ in 0..fastrand::u32(1..12) {
            last = process.read_line().unwrap();
        }
        process.kill();
        let (what, number) = last.split_once(' ').unwrap();
        let number: u32 = number.parse().unwrap();
        let record = load(&directory).await.unwrap().unwrap().encode().unwrap();
        let holds = |number: u32| record.expose_secret().contains(&format!("-number-{number}."));
        // The process may complete more writes before it is killed.
        let possible = match what {
            "begin" => number.saturating_sub(1)..number + 8,
            _ => number..number + 8,
        };
        let is_first = number == 1 && what == "begin" && record.expose_secret().contains("emu_first");
        assert!(is_first || possible.clone().any(holds), "round {round}: {last}");
        assert!(files(&directory, ".new").is_empty());
        assert!(files(&directory, ".damaged").is_empty());
    }
}

pub(crate) async fn reader_never_sees_half_a_record() {
    let (_temporary, directory, _) = stored().await;
    let path = record_file(&directory);
    let mut process = Process::start_role("write", &[directory.to_str().unwrap()]);
    for _ in 0..300 {
        process.read_line().unwrap();
        for _ in 0..50 {
            // Reads the file without the lock so that the read can overlap with a write.
            Record::decode(&id("user-7"), &fs::read(&path).unwrap()).unwrap();
        }
    }
    process.kill();
}

const WRITES: u32 = 100;

async fn write_many(directory: &Path) {
    let consents = consents(directory, NOWHERE);
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    for number in 0..WRITES {
        // Each process writes different records, because the loss of an identical write would go
        // unnoticed.
        let refresh_token = RefreshToken::new(format!("{} {number}", std::process::id())).unwrap();
        consents.import(&id("user-7"), refresh_token, SystemTime::now()).await.unwrap();
        let own = id(&format!("process {} number {number}", std::process::id()));
        consents.import(&own, token(number), SystemTime::now()).await.unwrap();
    }
}

pub(crate) async fn concurrent_writers_lose_nothing() {
    let (_temporary, directory, _) = stored().await;
    let before = load(&directory).await.unwrap().unwrap().generation();
    let mut both = [0; 2].map(|_| Process::start_role("count", &[directory.to_str().unwrap()]));
    for process in &mut both {
        assert_eq!(process.read_line().as_deref(), Some("ready"));
    }
    for process in &mut both {
        process.send_line("go");
    }
    both.into_iter().for_each(Process::wait_for_success);
    // Each write increments the generation, so the difference shows that no write was lost.
    assert_eq!(load(&directory).await.unwrap().unwrap().generation() - before, u64::from(2 * WRITES));
    assert_eq!(files(&directory, ".json").len(), 1 + 2 * WRITES as usize);
}

/// Requests ten access tokens concurrently for each id that is read from standard input.
async fn refresh_on_demand(directory: &Path, base_url: &str) {
    let consents = consents(directory, base_url);
    println!("ready");
    for line in std::io::stdin().lines() {
        let consent = consents.consent(&id(&line.unwrap()));
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let consent = consent.clone();
                tokio::spawn(async move { consent.access_token().await.unwrap().expose_secret().to_owned() })
            })
            .collect();
        let mut tokens = Vec::new();
        for task in tasks {
            tokens.push(task.await.unwrap());
        }
        tokens.dedup();
        println!("{} {}", tokens.len(), tokens[0]);
    }
}

pub(crate) async fn o5_eight_processes_make_one_refresh_of_a_rotating_token() {
    const ROUNDS: u64 = 20;
    let emulator = Emulator::start().await.unwrap();
    emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
    let (_temporary, directory, _) = stored().await;
    let consents = consents(&directory, emulator.base_url());
    let mut processes: Vec<_> =
        (0..8).map(|_| Process::start_role("refresh", &[directory.to_str().unwrap(), emulator.base_url()])).collect();
    for process in &mut processes {
        assert_eq!(process.read_line().as_deref(), Some("ready"));
    }
    for round in 0..ROUNDS {
        // Imports a consent with only its refresh token, so no process has an access token.
        let tokens = client(emulator.base_url()).exchange_code(code(&emulator)).await.unwrap();
        let name = id(&format!("round {round}"));
        consents.import(&name, tokens.refresh_token.unwrap(), SystemTime::now()).await.unwrap();
        let before = emulator.count(TOKEN);
        for process in &mut processes {
            process.send_line(name.as_str());
        }
        let mut lines: Vec<_> = processes.iter_mut().map(|process| process.read_line().unwrap()).collect();
        assert!(lines.iter().all(|line| line.starts_with("1 ")), "a process received more than one token");
        lines.dedup();
        assert_eq!(lines.len(), 1, "round {round}");
        assert_eq!(emulator.count(TOKEN) - before, 1, "round {round}");
    }
    processes.into_iter().for_each(Process::wait_for_success);
}

fn code(emulator: &Emulator) -> AuthorizationCode {
    let redirect_uri: RedirectUrl = "https://app.example/".parse().unwrap();
    let client = client(emulator.base_url());
    let flinks::Started { url, pending, .. } =
        client.authorization(OUTBOUND_PROVIDER_ID, &redirect_uri).unwrap().start();
    let url = url::Url::parse(url.expose_secret()).unwrap();
    let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let code = emulator.issue_code(redirect_uri.as_str());
    client.verify(pending, &format!("?code={code}&state={state}")).unwrap()
}

async fn write_to_a_full_disk(directory: &Path) {
    let consents = consents(directory, NOWHERE);
    let error = consents.import(&id("user-7"), token(2), SystemTime::now()).await.unwrap_err();
    assert!(error.is_store());
    assert!(error.is_transient());
    let text = error.to_string();
    assert!(text.contains("the token store has reached a file size limit"), "{text}");
    assert!(text.contains(directory.to_str().unwrap()), "{text}");
    assert!(text.contains("File too large (os error 27)"), "{text}");
}

pub(crate) async fn full_disk_leaves_the_old_record() {
    let (_temporary, directory, _) = stored().await;
    let _ = consents(&directory, NOWHERE).import(&id("user-7"), token(1), SystemTime::now()).await.unwrap();
    // A file size limit of one block simulates a disk that becomes full while a record is written.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    Process::start(shell, "full", &[directory.to_str().unwrap()]).wait_for_success();
    let record = load(&directory).await.unwrap().unwrap().encode().unwrap();
    assert!(record.expose_secret().contains("-number-1."));
    assert!(files(&directory, ".new").is_empty());
}

/// Opens a store and then changes the working directory.
async fn use_a_relative_path(directory: &Path) {
    std::env::set_current_dir(directory.parent().unwrap()).unwrap();
    let consents = consents(Path::new(directory.file_name().unwrap()), NOWHERE);
    std::env::set_current_dir("/").unwrap();
    consents.import(&id("user-8"), token(1), SystemTime::now()).await.unwrap();
}

pub(crate) async fn relative_path_is_resolved_when_the_store_is_opened() {
    let (_temporary, directory, _) = stored().await;
    Process::start_role("elsewhere", &[directory.to_str().unwrap()]).wait_for_success();
    assert_eq!(files(&directory, ".json").len(), 2);
}

const NOBODY: u32 = 65534;

/// Checks, as a user other than root, that a store repairs this user's files and rejects other
/// users' files.
async fn use_stores_as_another_user(directory: &Path) {
    // This directory belongs to root, and everyone can read it.
    let of_root = FileStore::open(directory.join("of root"));
    assert!(matches!(of_root, Err(StoreError::Misconfigured(_))), "the directory of another user was accepted");

    // This directory belongs to the same user, but everyone can write to its parent.
    let error = FileStore::open(directory.join("open").join("own")).unwrap_err();
    assert_refused(&error, "is below a directory that other users can write to", &directory.join("open"));

    let own = directory.join("own");
    let consents = consents(&own, NOWHERE);
    consents.import(&id("user-7"), token(1), SystemTime::now()).await.unwrap();
    let path = record_file(&own);
    println!("{}", path.display());
    // The parent process now makes root the owner of the record file.
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let store = FileStore::open(&own).unwrap();
    let error = store.load(&id("user-7")).await.unwrap_err();
    assert_refused(&error, "contains a file that belongs to another user", &path);
    println!("refused");
    // The parent process now makes the record file unreadable to this user.
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let error = store.load(&id("user-7")).await.unwrap_err();
    assert_refused(&error, "is not accessible", &path);
    let error = consents.import(&id("user-7"), token(2), SystemTime::now()).await.unwrap_err();
    assert!(error.is_store());
    assert!(!error.is_transient());
    assert!(path.exists(), "the record was moved");

    // The lock file has no write permission.
    let [lock] = &files(&own, ".lock")[..] else { panic!("expected one lock file") };
    fs::set_permissions(lock, fs::Permissions::from_mode(0o444)).unwrap();
    let error = consents.import(&id("user-7"), token(2), SystemTime::now()).await.unwrap_err();
    assert_eq!(error.advice(), flinks::Advice::FixConfiguration);
    assert!(error.to_string().contains(lock.to_str().unwrap()), "{error}");

    // A directory without write permission causes a specific error.
    fs::set_permissions(&own, fs::Permissions::from_mode(0o500)).unwrap();
    let error = FileStore::open(&own).unwrap_err();
    assert_refused(&error, "is not accessible", &own);
    assert!(error.to_string().contains("Permission denied (os error 13)"), "{error}");
    let error = consents.import(&id("user-8"), token(2), SystemTime::now()).await.unwrap_err();
    assert!(error.is_store(), "{error}");
    assert!(!error.is_transient(), "{error}");
}

pub(crate) async fn another_user_is_refused() {
    use std::os::unix::fs::chown;
    let temporary = tempfile::tempdir().unwrap();
    fs::set_permissions(temporary.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // Copies the program to a place where the other user can run it.
    let program = temporary.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let directory = temporary.path().join("of nobody");
    fs::create_dir_all(directory.join("of root")).unwrap();
    fs::create_dir_all(directory.join("open")).unwrap();
    fs::set_permissions(directory.join("open"), fs::Permissions::from_mode(0o777)).unwrap();
    chown(&directory, Some(NOBODY), Some(NOBODY)).unwrap();

    // Any user can create a directory inside a directory with the sticky bit, and can rename the
    // new directory later.
    let sticky = temporary.path().join("sticky");
    fs::create_dir_all(sticky.join("of nobody")).unwrap();
    fs::set_permissions(&sticky, fs::Permissions::from_mode(0o1777)).unwrap();
    let _ = FileStore::open(sticky.join("of nobody").join("consents")).unwrap();
    chown(sticky.join("of nobody"), Some(NOBODY), Some(NOBODY)).unwrap();
    let error = FileStore::open(sticky.join("of nobody").join("consents")).unwrap_err();
    assert_refused(&error, "is below a directory that belongs to another user", &sticky.join("of nobody"));

    // A directory's owner can change the directory's contents, so root also refuses another user's
    // directory.
    let error = FileStore::open(&directory).unwrap_err();
    assert_refused(&error, "is in a directory that belongs to another user or group", &directory);

    let mut command = Command::new(program);
    command.uid(NOBODY).gid(NOBODY).current_dir("/");
    let mut process = Process::start(command, "nobody", &[directory.to_str().unwrap()]);
    let path = process.read_line().unwrap();
    chown(&path, Some(0), Some(0)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    process.send_line("go");
    assert_eq!(process.read_line().as_deref(), Some("refused"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    process.send_line("go");
    process.wait_for_success();
}
