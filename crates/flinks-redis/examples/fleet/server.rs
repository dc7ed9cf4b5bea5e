//! A simulated Flinks server that can store ten million consents.
//!
//! For each consent, the server stores only the version of the valid refresh token and the time of
//! the last refresh. Each refresh replaces the refresh token and invalidates the previous one.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::meter::Meter;

pub(crate) struct Server {
    now: Box<dyn Fn() -> SystemTime + Send + Sync>,
    meter: Arc<Meter>,
    is_unavailable: AtomicBool,
    consents: Mutex<Vec<ServerConsent>>,
    /// The number of requests with an invalid refresh token.
    invalid_requests: AtomicU32,
}

/// The state of a consent on the simulated Flinks server.
#[derive(Clone, Copy)]
struct ServerConsent {
    /// The version of the valid refresh token.
    version: u32,
    /// The time of the last refresh, in seconds since the Unix epoch.
    last_refreshed_at: u32,
}

/// The lifetime of an access token, in seconds (O4).
const LIFETIME: u32 = 1800;
/// The time after which an unused refresh token idles out: 30 days, in seconds (O5).
const IDLE: u32 = 30 * 24 * 60 * 60;

/// Converts a time to seconds since the Unix epoch.
pub(crate) fn seconds(time: SystemTime) -> u32 {
    u32::try_from(time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()).unwrap_or(u32::MAX)
}

pub(crate) fn refresh_token(consent: usize, version: u32) -> String {
    format!("refresh-token-{consent:08}-{version:08}")
}

impl Server {
    pub(crate) fn new(
        last_refreshed_at: Vec<u32>,
        meter: Arc<Meter>,
        now: impl Fn() -> SystemTime + Send + Sync + 'static,
    ) -> Arc<Self> {
        let consents =
            last_refreshed_at.into_iter().map(|last_refreshed_at| ServerConsent { version: 0, last_refreshed_at });
        Arc::new(Self {
            now: Box::new(now),
            meter,
            is_unavailable: AtomicBool::new(false),
            consents: Mutex::new(consents.collect()),
            invalid_requests: AtomicU32::new(0),
        })
    }

    /// Starts listening on a loopback address and returns the server's URL.
    pub(crate) async fn listen(self: &Arc<Self>) -> io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let server = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = Arc::clone(&server);
                let service = service_fn(move |request| {
                    let server = Arc::clone(&server);
                    async move { Ok::<_, Infallible>(server.respond(request).await) }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(address)
    }

    /// Sets whether the server is unavailable. An unavailable server responds with status 503.
    pub(crate) fn set_unavailable(&self, is_unavailable: bool) {
        self.is_unavailable.store(is_unavailable, Ordering::Relaxed);
    }

    /// Returns the number of requests with an invalid refresh token.
    pub(crate) fn invalid_requests(&self) -> u32 {
        self.invalid_requests.load(Ordering::Relaxed)
    }

    /// Returns whether `token` is the valid refresh token for its consent.
    pub(crate) fn is_valid(&self, token: &str) -> bool {
        let Some((consent, version)) = parse(token) else { return false };
        self.consents.lock().unwrap().get(consent).is_some_and(|consent| consent.version == version)
    }

    async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        self.meter.count();
        if self.is_unavailable.load(Ordering::Relaxed) {
            return json_response(StatusCode::SERVICE_UNAVAILABLE, &json!({"error": "temporarily_unavailable"}));
        }
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        match self.refresh(body["refresh_token"].as_str().unwrap_or_default()) {
            Some((consent, version)) => {
                let token = refresh_token(consent, version);
                let access_token = format!("access-{token}");
                json_response(
                    StatusCode::OK,
                    &json!({"access_token": access_token, "token_type": "Bearer", "expires_in": LIFETIME, "refresh_token": token}),
                )
            }
            None => {
                self.invalid_requests.fetch_add(1, Ordering::Relaxed);
                json_response(StatusCode::BAD_REQUEST, &json!({"error": "invalid_grant"}))
            }
        }
    }

    /// Replaces a refresh token. Returns the consent and the version of the new token, or `None` if
    /// the old token is invalid.
    fn refresh(&self, token: &str) -> Option<(usize, u32)> {
        let now = seconds((self.now)());
        let (index, version) = parse(token)?;
        let mut consents = self.consents.lock().unwrap();
        let consent = consents.get_mut(index)?;
        if consent.version != version || now.saturating_sub(consent.last_refreshed_at) > IDLE {
            return None;
        }
        *consent = ServerConsent { version: version + 1, last_refreshed_at: now };
        Some((index, version + 1))
    }
}

/// Returns the consent that a refresh token belongs to, and the token's version.
fn parse(token: &str) -> Option<(usize, u32)> {
    let (consent, version) = token.strip_prefix("refresh-token-")?.split_once('-')?;
    Some((consent.parse().ok()?, version.parse().ok()?))
}

fn json_response(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}
