//! An application's page that embeds the emulator's page in an iframe.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Starts a server with two pages and returns the server's origin. The first page embeds the iframe
/// and stores the events that it receives. The second page, `/done`, is the return URL.
pub(crate) async fn parent_page(emulator: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let page = r#"<!DOCTYPE html><title>Parent</title><iframe title="Connect" width="400" height="600"></iframe>
        <script>
          const events = [];
          addEventListener("message", (event) => events.push({ data: event.data, origin: event.origin }));
          const query = new URLSearchParams(location.search);
          const returnUrl = query.get("returnUrl") ?? location.origin + "/done";
          const frame = new URL("EMULATOR/v2/");
          frame.searchParams.set("authorizeToken", query.get("token"));
          frame.searchParams.set("redirectUrl", returnUrl);
          document.querySelector("iframe").src = frame;
        </script>"#;
    let page = page.replace("EMULATOR", &emulator);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let page = page.clone();
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let read = stream.read(&mut head).await.unwrap_or_default();
                let body = if head[..read].starts_with(b"GET /?") {
                    page.as_str()
                } else {
                    "<!DOCTYPE html><title>Done</title>"
                };
                let length = body.len();
                let response = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                // Ignore errors, because a browser also opens connections that it does not use.
                let _ = stream.write_all(response.as_bytes()).await;
            });
        }
    });
    origin
}
