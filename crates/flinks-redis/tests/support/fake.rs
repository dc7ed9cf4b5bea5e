//! A fake Redis server that sends the responses that a test chooses.

use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::resp::command;

/// A fake Redis server that handles a client's handshake as a real server does.
pub(crate) struct FakeServer(u16);

impl FakeServer {
    /// Starts a server that responds to each command with the result of `respond`. If the result is
    /// `None`, the server does not respond.
    pub(crate) fn start(respond: impl Fn(&[Vec<u8>]) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let respond = Arc::new(respond);
        let names = Arc::new(Mutex::new(Vec::new()));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let respond = Arc::clone(&respond);
                let names = Arc::clone(&names);
                std::thread::spawn(move || serve(stream, &*respond, &names));
            }
        });
        Self(port)
    }

    /// Starts a server that closes each connection immediately.
    pub(crate) fn start_closing_connections() -> Self {
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

fn serve(stream: TcpStream, respond: &impl Fn(&[Vec<u8>]) -> Option<Vec<u8>>, names: &Mutex<Vec<u8>>) -> Option<()> {
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
            _ => respond(&words),
        };
        // Without a response, the connection stays open.
        if let Some(reply) = reply {
            writer.write_all(&reply).ok()?;
        }
    }
}
