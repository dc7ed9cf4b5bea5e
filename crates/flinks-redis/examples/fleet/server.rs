//! A Flinks of ten million consents: of each it keeps which refresh token is good, and since when. Each exchange gives another
//! one, and the old one is good no longer.

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
    is_away: AtomicBool,
    /// Of each consent, which of its refresh tokens is good, and when that was exchanged, in seconds.
    consents: Mutex<Vec<(u32, u32)>>,
    refused: AtomicU32,
}

/// An access token lives for so many seconds (O4).
const LIFETIME: u32 = 1800;
/// A refresh token idles out after 30 days (O5).
const IDLE: u32 = 30 * 24 * 60 * 60;

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
            Mutex::new(last_refreshed_at.into_iter().map(|last_refreshed_at| (0, last_refreshed_at)).collect());
        let (is_away, refused) = (AtomicBool::new(false), AtomicU32::new(0));
        Arc::new(Self { now: Box::new(now), meter, is_away, consents, refused })
    }

    /// Where it is, as an URL.
    pub(crate) async fn listen(self: &Arc<Self>) -> io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let server = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = Arc::clone(&server);
                let answer = service_fn(move |request| {
                    let server = Arc::clone(&server);
                    async move { Ok::<_, Infallible>(server.answer(request).await) }
                });
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        Ok(address)
    }

    /// Answers 503 from now on, or again as it should.
    pub(crate) fn leave(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::Relaxed);
    }

    /// How many refresh tokens were none, or no longer.
    pub(crate) fn refused(&self) -> u32 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Whether `token` is the one that is good.
    pub(crate) fn takes(&self, token: &str) -> bool {
        let consents = self.consents.lock().unwrap();
        parse(token).and_then(|(consent, version)| Some(consents.get(consent)?.0 == version)).unwrap_or_default()
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        self.meter.count();
        if self.is_away.load(Ordering::Relaxed) {
            return reply(StatusCode::SERVICE_UNAVAILABLE, &json!({"error": "temporarily_unavailable"}));
        }
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        match self.exchange(body["refresh_token"].as_str().unwrap_or_default()) {
            Some((consent, version)) => {
                let token = refresh_token(consent, version);
                let access_token = format!("access-{token}");
                reply(
                    StatusCode::OK,
                    &json!({"access_token": access_token, "token_type": "Bearer", "expires_in": LIFETIME, "refresh_token": token}),
                )
            }
            None => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                reply(StatusCode::BAD_REQUEST, &json!({"error": "invalid_grant"}))
            }
        }
    }

    fn exchange(&self, token: &str) -> Option<(usize, u32)> {
        let now = seconds((self.now)());
        let (consent, version) = parse(token)?;
        let mut consents = self.consents.lock().unwrap();
        let (good, last_refreshed_at) = consents.get_mut(consent)?;
        if *good != version || now.saturating_sub(*last_refreshed_at) > IDLE {
            return None;
        }
        (*good, *last_refreshed_at) = (version + 1, now);
        Some((consent, version + 1))
    }
}

fn parse(token: &str) -> Option<(usize, u32)> {
    let (consent, version) = token.strip_prefix("refresh-token-")?.split_once('-')?;
    Some((consent.parse().ok()?, version.parse().ok()?))
}

fn reply(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut reply = Response::new(Full::new(Bytes::from(body.to_string())));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    reply
}
