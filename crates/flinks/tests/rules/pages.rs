//! Walks through the emulator's iframe pages as a browser would.

use flinks_emulator::credentials::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::Local;

/// A visit to the iframe page during which the end user connected an account.
pub(crate) struct Visit {
    /// The URL that the browser navigates to at the end.
    pub(crate) landing: String,
    /// The JSON of each event sent to the parent page.
    pub(crate) events: Vec<String>,
}

/// Loads a widget URL and logs in at the bank.
pub(crate) async fn connect_bank(local: &Local, url: &str) -> Visit {
    let path = url.strip_prefix(local.emulator.base_url()).unwrap();
    let mut page = send(local, "GET", path, "").await;
    let mut events = take_events(&page);
    let login = format!("username={BANK_USER_NO_MFA}&password={BANK_PASSWORD}");
    for form in [format!("institution={BANK}"), login] {
        let path = attribute(&page, "action").unwrap();
        send(local, "POST", &path, &form).await;
        // The response is a redirect to the same path.
        page = send(local, "GET", &path, "").await;
        events.extend(take_events(&page));
    }
    Visit { landing: attribute(&page, "data-url").unwrap(), events }
}

/// Sends a request and returns the whole response.
async fn send(local: &Local, method: &str, path: &str, form: &str) -> String {
    let address = local.emulator.base_url().strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\
        Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

fn take_events(page: &str) -> Vec<String> {
    let events = attribute(page, "data-events").unwrap_or_else(|| "[]".to_owned());
    let events: Vec<serde_json::Value> = serde_json::from_str(&events).unwrap();
    events.iter().map(ToString::to_string).collect()
}

/// Returns the value of the first attribute with the given name on a page.
fn attribute(page: &str, name: &str) -> Option<String> {
    let (_, after) = page.split_once(&format!(" {name}=\""))?;
    Some(after.split_once('"').unwrap().0.replace("&quot;", "\"").replace("&amp;", "&"))
}
