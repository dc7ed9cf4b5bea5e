//! A PgBouncer process in transaction mode.

use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::server::{SUPERUSER, Server, UNPRIVILEGED, free_port};

/// A PgBouncer process for one test. Dropping this value kills the process.
pub(crate) struct PgBouncer {
    child: Child,
    port: u16,
}

const PROGRAMS: [&str; 2] = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"];

impl PgBouncer {
    pub(crate) fn is_installed() -> bool {
        PROGRAMS.iter().any(|program| Path::new(program).exists())
    }

    /// Starts PgBouncer in front of a server, with at most `pool_size` connections to each database.
    pub(crate) fn start(server: &Server, pool_size: usize) -> Self {
        let program = PROGRAMS.iter().find(|program| Path::new(program).exists()).unwrap();
        let users = server.write_file("users.txt", format!("\"{SUPERUSER}\" \"\"\n").as_bytes());
        for _ in 0..10 {
            let port = free_port();
            let settings = format!(
                "[databases]\n* = host=127.0.0.1 port={} user={SUPERUSER}\n\
                 [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
                 auth_type = any\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = {pool_size}\n\
                 max_client_conn = 1000\n",
                server.port(),
                users.display(),
            );
            let file = server.write_file(&format!("pgbouncer-{port}.ini"), settings.as_bytes());
            let mut command = Command::new(program);
            command.current_dir(server.folder()).arg("--quiet").arg(&file).stdin(Stdio::null());
            if let Some((user, group)) = *UNPRIVILEGED {
                command.uid(user).gid(group);
            }
            let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let mut bouncer = Self { child, port };
            if bouncer.wait_until_ready() {
                return bouncer;
            }
        }
        panic!("PgBouncer did not start");
    }

    fn wait_until_ready(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(30) {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Returns the URL of a database.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
