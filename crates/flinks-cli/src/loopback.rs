//! A web server on a loopback port: it receives a callback, or sends a browser to a secret URL.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use crate::failure::{Exit, Failure};

/// Binds a loopback port. Port 0 selects a free port.
///
/// # Errors
///
/// Returns a failure if another program uses the port.
pub(crate) async fn bind(port: u16) -> Result<TcpListener, Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).await.map_err(|error| {
        let failure = Failure::new(format!("failed to listen on {address}: {error}"));
        match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                failure.with_next("stop the program that uses the port, or register a redirect URL with another port")
            }
            _ => failure,
        }
    })
}

/// Opens a secret URL in the default browser. Other users can see the arguments of a process, so the
/// browser opens a loopback URL that redirects to the secret URL once.
///
/// # Errors
///
/// Returns a failure if no browser can be started, or if the browser does not open the page in
/// time.
pub(crate) async fn open_in_browser(url: &str, limit: Duration) -> Result<(), Failure> {
    let listener = bind(0).await?;
    let start = OneShot::new(url)?;
    let address = listener.local_addr().map_err(|error| Failure::new(format!("failed to listen: {error}")))?;
    let link = format!("http://{address}{}", start.path);
    let (opened, mut is_opened) = mpsc::channel(1);
    let router = Router::new().fallback(redirect_once).with_state((start, opened));
    let server = Server::start(listener, router);
    open_link(&link)?;
    let outcome = timeout(limit, is_opened.recv()).await;
    server.stop().await;
    match outcome {
        Ok(Some(())) => Ok(()),
        _ => Err(Failure::new(format!("no browser opened the page within {} seconds", limit.as_secs()))),
    }
}

/// A running web server.
struct Server {
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    fn start(listener: TcpListener, router: Router) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            // The sender is dropped if the command fails.
            let stopped = async { drop(stopped.await) };
            // `serve` returns an error only if the listener fails. The command then reaches its
            // time limit.
            let _ = axum::serve(listener, router).with_graceful_shutdown(stopped).await;
        });
        Self { stop: Some(stop), task }
    }

    /// Stops the server after it has sent its responses.
    async fn stop(mut self) {
        const LIMIT: Duration = Duration::from_secs(2);
        drop(self.stop.take());
        if timeout(LIMIT, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

fn open_link(link: &str) -> Result<(), Failure> {
    open::that_detached(link).map_err(|error| Failure::new(format!("failed to start a browser: {error}")))
}

/// A secret path that redirects to a URL once.
#[derive(Clone)]
pub(crate) struct OneShot {
    path: String,
    location: Arc<Mutex<Option<HeaderValue>>>,
    /// Signalled by the second request. The browser that this program starts sends exactly one
    /// request, so somebody else must have sent one of the two.
    opened_again: Arc<Notify>,
}

impl OneShot {
    pub(crate) fn new(url: &str) -> Result<Self, Failure> {
        let mut location =
            HeaderValue::from_str(url).map_err(|_| Failure::new("the URL cannot be sent to a browser"))?;
        location.set_sensitive(true);
        Ok(Self {
            path: format!("/{}", Uuid::new_v4().simple()),
            location: Arc::new(Mutex::new(Some(location))),
            opened_again: Arc::default(),
        })
    }

    /// Returns the redirect if this is the first request for the secret path.
    fn respond(&self, path: &str) -> Option<Response> {
        if path != self.path {
            return None;
        }
        let Some(location) = self.location.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            self.opened_again.notify_one();
            return None;
        };
        let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Some((StatusCode::FOUND, [(header::LOCATION, location), no_store]).into_response())
    }
}

async fn redirect_once(State((start, opened)): State<(OneShot, mpsc::Sender<()>)>, request: Request) -> Response {
    match start.respond(request.uri().path()) {
        Some(response) => {
            let _ = opened.send(()).await;
            response
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Receives callbacks on the path of a redirect URL.
pub(crate) struct CallbackServer {
    callbacks: mpsc::Receiver<Callback>,
    server: Server,
    start_link: Option<String>,
    opened_again: Arc<Notify>,
}

/// A request to the redirect URL from a browser that is waiting for a page.
pub(crate) struct Callback {
    /// The query of the request. It contains secrets.
    pub(crate) query: String,
    respond: mpsc::Sender<Page>,
}

/// The page that the browser shows.
#[derive(Clone, Copy)]
pub(crate) enum Page {
    Done,
    Declined,
    WrongTab,
    Failed,
}

impl CallbackServer {
    /// Starts the server. `path` is the path of the redirect URL, and `start` redirects the browser
    /// to the page where the end user consents.
    pub(crate) fn start(listener: TcpListener, path: String, start: Option<OneShot>) -> Result<Self, Failure> {
        let address = listener.local_addr().map_err(|error| Failure::new(format!("failed to listen: {error}")))?;
        let start_link = start.as_ref().map(|start| format!("http://{address}{}", start.path));
        let opened_again = start.as_ref().map(|start| Arc::clone(&start.opened_again)).unwrap_or_default();
        let (sender, callbacks) = mpsc::channel(16);
        let state = Arc::new(Handler { path, start, sender });
        let router = Router::new().fallback(receive).with_state(state);
        let server = Server::start(listener, router);
        Ok(Self { callbacks, server, start_link, opened_again })
    }

    /// Opens the page where the end user consents.
    pub(crate) fn open_in_browser(&self) -> Result<(), Failure> {
        match &self.start_link {
            Some(link) => open_link(link),
            None => Ok(()),
        }
    }

    /// Stops the server after it has sent its pages.
    pub(crate) async fn stop(self) {
        drop(self.callbacks);
        self.server.stop().await;
    }

    /// Returns the next callback.
    ///
    /// # Errors
    ///
    /// Returns a failure if no callback arrives before the deadline, or if the start page was
    /// opened twice.
    pub(crate) async fn next(&mut self, deadline: Instant) -> Result<Callback, Failure> {
        let received = async {
            tokio::select! {
                biased;
                () = self.opened_again.notified() => Err(opened_again()),
                callback = self.callbacks.recv() => Ok(callback),
            }
        };
        match timeout_at(deadline, received).await {
            Ok(Err(failure)) => Err(failure),
            Ok(Ok(Some(callback))) => Ok(callback),
            _ => Err(Failure::new("the end user did not return from the consent page in time")
                .with_exit(Exit::ConsentNeeded)),
        }
    }
}

/// The failure for a login whose page another user of the machine may have opened. That user could
/// consent for a different bank account, and the consent would be stored under the id of this
/// login.
fn opened_again() -> Failure {
    Failure::new("the page was opened twice, perhaps by another user of this machine; nothing was stored")
        .with_next("on a machine that you share, use --no-browser")
}

impl Callback {
    /// Sends the page to the browser.
    pub(crate) async fn show(self, page: Page) {
        let _ = self.respond.send(page).await;
    }
}

struct Handler {
    path: String,
    start: Option<OneShot>,
    sender: mpsc::Sender<Callback>,
}

async fn receive(State(handler): State<Arc<Handler>>, request: Request) -> Response {
    let path = request.uri().path();
    if let Some(response) = handler.start.as_ref().and_then(|start| start.respond(path)) {
        return response;
    }
    // A browser also requests paths such as /favicon.ico.
    if path != handler.path || request.method() != Method::GET {
        return StatusCode::NOT_FOUND.into_response();
    }
    let Some(query) = request.uri().query() else { return StatusCode::NOT_FOUND.into_response() };
    let (respond, mut page) = mpsc::channel(1);
    let callback = Callback { query: query.to_owned(), respond };
    if handler.sender.send(callback).await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    match page.recv().await {
        Some(page) => page.into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

impl Page {
    fn into_response(self) -> Response {
        let (status, heading, text) = match self {
            Self::Done => (StatusCode::OK, "Consent stored", "You can close this tab and return to the terminal."),
            Self::Declined => (StatusCode::OK, "No consent", "You can close this tab. The terminal shows the reason."),
            Self::WrongTab => (
                StatusCode::BAD_REQUEST,
                "Wrong tab",
                "This page does not belong to the login that is waiting. Use the tab that the command opened.",
            ),
            Self::Failed => (StatusCode::BAD_GATEWAY, "Login failed", "The terminal shows the reason."),
        };
        let page = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
             <meta name=\"color-scheme\" content=\"light dark\"><title>{heading}</title>\
             <main style=\"font: 1.1rem system-ui; max-width: 32rem; margin: 4rem auto; padding: 0 1rem\">\
             <h1>{heading}</h1><p>{text}</p></main></html>"
        );
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CONNECTION, "close"),
        ];
        (status, headers, page).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_path_redirects_once() {
        let start = OneShot::new("https://flinks.example/?token=t").unwrap();
        assert!(start.respond("/").is_none());
        assert!(start.respond(&format!("{}x", start.path)).is_none());
        let response = start.respond(&start.path).unwrap();
        assert_eq!(response.status(), StatusCode::FOUND);
        assert_eq!(response.headers()[header::LOCATION], "https://flinks.example/?token=t");
        assert!(start.respond(&start.path).is_none());
    }
}
