#![doc = include_str!("../README.md")]

mod connect;
pub mod credentials;
mod outbound;
mod pay;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running emulator. Dropping it ends it.
#[derive(Debug)]
pub struct Emulator {
    base_url: String,
    server: JoinHandle<io::Result<()>>,
}

impl Emulator {
    /// Starts one on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// Where no port can be had.
    pub async fn start() -> io::Result<Self> {
        Self::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Starts one at `address`, where port 0 is any free port.
    ///
    /// # Errors
    ///
    /// Where the address is not a loopback address, or is taken.
    pub async fn listen(address: SocketAddr) -> io::Result<Self> {
        if !address.ip().is_loopback() {
            let message = "the emulator listens on a loopback address only: its credentials are known to everybody";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let listener = TcpListener::bind(address).await?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let server = tokio::spawn(async move { axum::serve(listener, router()).await });
        Ok(Self { base_url, server })
    }

    /// The base URL of all three products, such as `http://127.0.0.1:41739`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn router() -> Router {
    Router::new()
        .route("/api/v1/authorize", post(pay::authorize))
        .route("/v3/{customer_id}/BankingServices/GenerateAuthorizeToken", post(connect::generate_authorize_token))
        .route("/api/v1/token", post(outbound::token))
}
