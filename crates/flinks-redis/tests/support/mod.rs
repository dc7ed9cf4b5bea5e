//! Servers of the tests: a real one, one that is broken, and Flinks.

#![allow(dead_code)] // each program uses a part

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use flinks::outbound::{Client, ClientCredentials, RefreshToken};
use flinks::{Clock, RedirectUrl, Settings, Sleep};
use flinks_emulator::credentials::{OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET, OUTBOUND_PROVIDER_ID};
use flinks_emulator::{Emulator, Operation, When};

/// A `redis-server` of a test's own. It ends with it.
pub(crate) struct Server {
    child: Child,
    port: u16,
    arguments: Vec<String>,
    folder: tempfile::TempDir,
}

impl Server {
    pub(crate) fn is_installed() -> bool {
        let version = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    }

    /// One that speaks TLS, too.
    pub(crate) fn start_with_tls(arguments: &[&str]) -> Self {
        // In what a cluster's port for its nodes leaves.
        let port = (0..).map(|_| free_port()).find(|port| *port < 55_536).unwrap();
        Self::start(&[&["--tls-port", &port.to_string()], arguments].concat())
    }

    pub(crate) fn tls_address(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.arguments[1])
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.arguments.iter().any(|argument| argument == "--cluster-enabled")
    }

    pub(crate) fn start(arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let folder = tempfile::tempdir().unwrap();
        // Another may take the port before the server does.
        for _ in 0..10 {
            let port = free_port();
            if let Some(child) = spawn(port, &arguments, &folder) {
                return Self { child, port, arguments, folder };
            }
        }
        panic!("redis-server does not start");
    }

    pub(crate) fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn start_again(&mut self) {
        // Another may have the port for a moment.
        let started = (0..100).find_map(|_| spawn(self.port, &self.arguments, &self.folder));
        self.child = started.unwrap();
    }

    fn connection(&self) -> redis::Connection {
        redis::Client::open(self.address()).unwrap().get_connection().unwrap()
    }

    pub(crate) fn command(&self, words: &[&str]) {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.exec(&mut self.connection()).unwrap();
    }

    pub(crate) fn info(&self) -> String {
        redis::cmd("INFO").arg("errorstats").query(&mut self.connection()).unwrap()
    }

    /// In bytes.
    pub(crate) fn used_memory(&self) -> u64 {
        let info: String = redis::cmd("INFO").arg("memory").query(&mut self.connection()).unwrap();
        info.lines().find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok()).unwrap()
    }

    pub(crate) fn command_as(&self, password: &str, words: &[&str]) {
        let address = self.address().replace("redis://", &format!("redis://:{password}@"));
        let mut connection = redis::Client::open(address).unwrap().get_connection().unwrap();
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.exec(&mut connection).unwrap();
    }

    /// Without that which tells the key for names.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut self.connection()).unwrap();
        keys.retain(|key| !key.ends_with(":names"));
        keys.sort();
        keys
    }

    pub(crate) fn get(&self, key: &str) -> Vec<u8> {
        redis::cmd("GET").arg(key).query(&mut self.connection()).unwrap()
    }

    pub(crate) fn set(&self, key: &str, value: &[u8]) {
        self.set_bytes(key.as_bytes(), value);
    }

    pub(crate) fn set_bytes(&self, key: &[u8], value: &[u8]) {
        redis::cmd("SET").arg(key).arg(value).exec(&mut self.connection()).unwrap();
    }

    /// As time does.
    pub(crate) fn end_leases(&self) {
        for lease in self.keys().into_iter().filter(|key| key.ends_with(":worker")) {
            self.command(&["DEL", &lease]);
        }
    }

    /// How many deadlines are kept.
    pub(crate) fn deadlines(&self) -> usize {
        let sets = self.keys().into_iter().filter(|key| key.ends_with(":due"));
        sets.map(|key| redis::cmd("ZCARD").arg(key).query::<usize>(&mut self.connection()).unwrap()).sum()
    }

    /// Each key, with all that is in it.
    pub(crate) fn everything(&self) -> Vec<(String, Vec<u8>)> {
        let dump = |key: String| {
            let mut connection = self.connection();
            let value = redis::cmd("GET").arg(&key).query(&mut connection).unwrap_or_else(|_| {
                let members: Vec<String> =
                    redis::cmd("ZRANGE").arg(&key).arg(0).arg(-1).arg("WITHSCORES").query(&mut connection).unwrap();
                members.join(" ").into_bytes()
            });
            (key, value)
        };
        self.keys().into_iter().map(dump).collect()
    }

    /// A cluster of one.
    pub(crate) fn own_all_slots(&self) {
        join(std::slice::from_ref(self));
    }
}

/// Makes one cluster of servers that own nothing yet, and waits until each knows all.
pub(crate) fn join(servers: &[Server]) {
    let each = 16_384 / servers.len() + 1;
    for (number, server) in servers.iter().enumerate() {
        let (first, last) = (number * each, ((number + 1) * each).min(16_384) - 1);
        server.command(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
        server.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
    }
    for other in &servers[1..] {
        servers[0].command(&["CLUSTER", "MEET", "127.0.0.1", &other.port.to_string()]);
    }
    let nodes = format!("cluster_known_nodes:{}\r", servers.len());
    let start = std::time::Instant::now();
    for server in servers {
        loop {
            assert!(start.elapsed() < Duration::from_secs(40), "they make no cluster");
            let info: String = redis::cmd("CLUSTER").arg("INFO").query(&mut server.connection()).unwrap();
            if ["cluster_state:ok", "cluster_slots_assigned:16384", &nodes].iter().all(|line| info.contains(line)) {
                break;
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// None where the server ended before it was ready.
fn spawn(port: u16, arguments: &[String], folder: &tempfile::TempDir) -> Option<Child> {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(folder.path());
    let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let is_ready = lines.map_while(Result::ok).any(|line| line.contains("Ready to accept connections"));
    if is_ready {
        return Some(child);
    }
    child.wait().unwrap();
    None
}

/// A server that answers each command of a call with whatever a test says; those with which a client introduces itself, as a good
/// one. `None` is silence.
pub(crate) struct Fake(u16);

impl Fake {
    pub(crate) fn start(answer: impl Fn(&[Vec<u8>]) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (answer, names) = (Arc::new(answer), Arc::new(Mutex::new(Vec::new())));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, answer, names) = (stream.unwrap(), Arc::clone(&answer), Arc::clone(&names));
                std::thread::spawn(move || serve(stream, &*answer, &names));
            }
        });
        Self(port)
    }

    /// One that ends each connection with the first command of a call.
    pub(crate) fn hanging_up() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                drop(stream.unwrap());
            }
        });
        Self(port)
    }

    pub(crate) fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.0)
    }
}

fn serve(stream: TcpStream, answer: &impl Fn(&[Vec<u8>]) -> Option<Vec<u8>>, names: &Mutex<Vec<u8>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    loop {
        let words = command(&mut reader)?;
        let name = String::from_utf8_lossy(&words[0]).to_ascii_uppercase();
        let reply = match name.as_str() {
            "CLIENT" | "HELLO" | "SELECT" | "AUTH" => Some(b"+OK\r\n".to_vec()),
            "SET" if words[1].ends_with(b":names") => {
                names.lock().unwrap().clone_from(&words[2]);
                Some(b"+OK\r\n".to_vec())
            }
            "GET" if words[1].ends_with(b":names") => {
                let names = names.lock().unwrap();
                Some([format!("${}\r\n", names.len()).as_bytes(), &names, b"\r\n"].concat())
            }
            _ => answer(&words),
        };
        // Silence: the connection stays.
        if let Some(reply) = reply {
            writer.write_all(&reply).ok()?;
        }
    }
}

/// The words of a command, as a client sends them.
fn command(reader: &mut BufReader<impl Read>) -> Option<Vec<Vec<u8>>> {
    let line = |reader: &mut BufReader<_>| {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        line.trim_end().get(1..)?.parse::<usize>().ok()
    };
    let count = line(reader)?;
    let mut words = Vec::new();
    for _ in 0..count {
        let mut word = vec![0; line(reader)? + 2];
        reader.read_exact(&mut word).ok()?;
        word.truncate(word.len() - 2);
        words.push(word);
    }
    Some(words)
}

/// Something between a store and its server that does to commands what a test says.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Between>,
}

struct Between {
    server: AtomicU16,
    plan: Mutex<Option<(usize, Fault)>>,
    holds: AtomicBool,
    /// Connections with a smaller number get no more replies.
    forgotten: AtomicUsize,
    connections: AtomicUsize,
}

/// What a command meets.
#[derive(Clone)]
pub(crate) enum Fault {
    /// The connection ends before the command arrives.
    CutBefore,
    /// The connection ends instead of the reply.
    CutAfter,
    /// The reply does not come, and the connection stays.
    Silence,
    /// It does not arrive, and this is the reply.
    Answer(&'static str),
    /// This is done to the server, and the connection ends.
    Do(Arc<dyn Fn() + Send + Sync>),
}

impl Proxy {
    pub(crate) fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Between {
            server: AtomicU16::new(server.port),
            plan: Mutex::new(None),
            holds: AtomicBool::new(false),
            forgotten: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        });
        let between = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let between = Arc::clone(&between);
                std::thread::spawn(move || between.serve(&client.unwrap()));
            }
        });
        Self { port, shared }
    }

    pub(crate) fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Of the reads and the scripts that come from now on, without those of leases, that with this number meets a fault.
    pub(crate) fn at(&self, number: usize, fault: Fault) {
        *self.shared.plan.lock().unwrap() = Some((number, fault));
    }

    /// Whether it met one.
    pub(crate) fn is_done(&self) -> bool {
        self.shared.plan.lock().unwrap().is_none()
    }

    /// From now on, connections go elsewhere.
    pub(crate) fn switch_to(&self, server: &Server) {
        self.shared.server.store(server.port, Ordering::SeqCst);
    }

    /// Keeps replies to itself, until it no longer does.
    pub(crate) fn hold(&self, holds: bool) {
        self.shared.holds.store(holds, Ordering::SeqCst);
    }

    /// The connections that there are stay open, and get no more replies.
    pub(crate) fn forget_connections(&self) {
        self.shared.forgotten.store(self.shared.connections.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

impl Between {
    /// One command after the other. The end of it is the end of the connection.
    fn serve(&self, client: &TcpStream) -> Option<()> {
        let number = self.connections.fetch_add(1, Ordering::SeqCst);
        // The server may have gone.
        let server = TcpStream::connect(("127.0.0.1", self.server.load(Ordering::SeqCst))).ok()?;
        // Several small replies in a row would wait for each other.
        client.set_nodelay(true).ok()?;
        server.set_nodelay(true).ok()?;
        let (mut commands, mut replies) = (BufReader::new(client), Replies { server: &server, rest: Vec::new() });
        let (mut to_client, mut to_server) = (client, &server);
        loop {
            let words = command(&mut commands)?;
            let fault = self.fault(&words);
            match &fault {
                Some(Fault::CutBefore) => return None,
                Some(Fault::Do(act)) => {
                    act();
                    return None;
                }
                Some(Fault::Answer(text)) => {
                    to_client.write_all(format!("-{text}\r\n").as_bytes()).ok()?;
                    continue;
                }
                Some(Fault::CutAfter | Fault::Silence) | None => {}
            }
            let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
            for word in &words {
                bytes.extend([format!("${}\r\n", word.len()).as_bytes(), word, b"\r\n"].concat());
            }
            to_server.write_all(&bytes).ok()?;
            let reply = replies.next()?;
            if let Some(Fault::CutAfter) = fault {
                return None;
            }
            while self.holds.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            if fault.is_none() && number >= self.forgotten.load(Ordering::SeqCst) {
                to_client.write_all(&reply).ok()?;
            }
        }
    }

    fn fault(&self, words: &[Vec<u8>]) -> Option<Fault> {
        let mut plan = self.plan.lock().unwrap();
        let is_of_a_consent = match words {
            [name, key, ..] if name == b"GET" => !key.ends_with(b":names"),
            [name, _, _, key, ..] if name == b"EVALSHA" => !key.ends_with(b":worker"),
            _ => false,
        };
        let (number, _) = plan.as_mut().filter(|_| is_of_a_consent)?;
        match number.checked_sub(1) {
            Some(fewer) => {
                *number = fewer;
                None
            }
            None => plan.take().map(|(_, fault)| fault),
        }
    }
}

struct Replies<'a> {
    server: &'a TcpStream,
    rest: Vec<u8>,
}

impl Replies<'_> {
    fn next(&mut self) -> Option<Vec<u8>> {
        let mut bytes = [0; 65_536];
        loop {
            if let Some(length) = length(&self.rest) {
                return Some(self.rest.drain(..length).collect());
            }
            let count = self.server.read(&mut bytes).ok().filter(|count| *count > 0)?;
            self.rest.extend_from_slice(&bytes[..count]);
        }
    }
}

/// Of the first value in RESP 2, if all of it is there.
pub(crate) fn length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(2).position(|two| two == b"\r\n")? + 2;
    let number = || std::str::from_utf8(bytes.get(1..end - 2)?).ok()?.parse::<i64>().ok();
    match bytes.first()? {
        b'$' => match usize::try_from(number()?) {
            Ok(count) => Some(end + count + 2).filter(|all| bytes.len() >= *all),
            Err(_) => Some(end),
        },
        b'*' => (0..number()?).try_fold(end, |at, _| Some(at + length(bytes.get(at..)?)?)),
        _ => Some(end),
    }
}

/// A Flinks of a test's own.
pub(crate) struct Flinks(Emulator);

pub(crate) async fn emulator() -> Flinks {
    Flinks(Emulator::start().await.unwrap())
}

/// A client of the Flinks at an address.
pub(crate) fn client_of(address: &str, settings: &Settings) -> Client {
    let credentials = ClientCredentials::new(OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET).unwrap();
    Client::with_settings(address.parse().unwrap(), credentials, settings).unwrap()
}

impl Flinks {
    pub(crate) fn address(&self) -> &str {
        self.0.base_url()
    }

    pub(crate) fn client(&self) -> Client {
        client_of(self.address(), &Settings::new())
    }

    /// From now on, each exchange gives another refresh token, and the old one is good no longer.
    pub(crate) fn rotates(&self) {
        self.0.configure(|config| config.outbound.rotate_refresh_tokens = true);
    }

    /// A refresh token of a new consent.
    pub(crate) async fn new_refresh_token(&self) -> RefreshToken {
        let redirect: RedirectUrl = "https://app.example/".parse().unwrap();
        let client = self.client();
        let (url, pending) = client.authorization(OUTBOUND_PROVIDER_ID, &redirect).unwrap().start();
        let state = url.expose_secret().split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
        let code = self.0.issue_code(redirect.as_str());
        let code = client.verify(pending, &format!("?code={code}&state={state}")).unwrap();
        client.exchange_code(code).await.unwrap().refresh_token.unwrap()
    }

    /// Whether it fails each time that a token is asked for.
    pub(crate) fn fails(&self, fails: bool) {
        match fails {
            true => self.0.fail_always(
                Operation::OutboundToken,
                flinks_emulator::Fault::Reply { status: 503, headers: vec![], body: String::new() },
            ),
            false => self.0.clear_faults(),
        }
    }

    /// Whether a gateway in front of it refuses each request with an empty 403.
    pub(crate) fn refuses_as_a_gateway(&self, refuses: bool) {
        self.0.clear_faults();
        if refuses {
            self.0.fail_always(
                Operation::OutboundToken,
                flinks_emulator::Fault::Reply { status: 403, headers: vec![], body: String::new() },
            );
        }
    }

    /// Keeps its next replies to itself.
    pub(crate) fn holds_next(&self, replies: u64) {
        self.0.fail_times(Operation::OutboundToken, flinks_emulator::Fault::Hold { when: When::After }, replies);
    }

    pub(crate) fn releases(&self) {
        self.0.release();
    }

    /// How often a token was asked for.
    pub(crate) fn refreshes(&self) -> u64 {
        self.0.count(Operation::OutboundToken)
    }
}

/// A clock on which the waits for somebody else are over at once, and the deadlines of calls are not.
#[derive(Clone)]
pub(crate) struct Hurried {
    now: Arc<Mutex<(Duration, SystemTime)>>,
    longest: Duration,
}

impl Hurried {
    /// For waits up to `longest`; a deadline is longer.
    pub(crate) fn new(longest: Duration) -> Self {
        Self { now: Arc::new(Mutex::new((Duration::ZERO, SystemTime::now()))), longest }
    }

    pub(crate) fn advance(&self, by: Duration) {
        let mut now = self.now.lock().unwrap();
        now.0 += by;
        now.1 += by;
    }

    pub(crate) fn set_wall(&self, wall: SystemTime) {
        self.now.lock().unwrap().1 = wall;
    }
}

impl Clock for Hurried {
    fn monotonic(&self) -> Duration {
        self.now.lock().unwrap().0
    }

    fn wall(&self) -> SystemTime {
        self.now.lock().unwrap().1
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        if duration > self.longest {
            return Box::pin(std::future::pending());
        }
        let clock = self.clone();
        Box::pin(async move {
            tokio::task::yield_now().await;
            let mut now = clock.now.lock().unwrap();
            now.0 += duration;
            now.1 += duration;
        })
    }
}
