//! Tests that invalid base URLs and redirect URLs are rejected (A1, P7, O11).

use flinks::{BaseUrl, Cause, Error, RedirectUrl, Settings};
use flinks_emulator::{Fault, Operation};

use crate::configuration::check;
use crate::{clients, local};

#[test]
fn a1_p7_unsafe_base_urls_are_refused() {
    for bad in [
        "https://{host}",
        "https://www.{baseurl}.com",
        "http://127.0.0.1.evil.com",
        "http://evil.com",
        "https://canary@evil.com",
        "https://evil.com?canary",
        "https://evil.com/#canary",
        "file:///etc/passwd",
        "https://evil.com:0",
    ] {
        let error = Error::from(bad.parse::<BaseUrl>().unwrap_err());
        assert!(matches!(error.cause(), Cause::Input | Cause::Configuration));
        assert_eq!(error.field(), Some("base URL"));
        assert!(!error.to_string().contains("canary"), "{error}");
        assert!(!error.to_string().contains("evil"), "{error}");
    }
}

/// The client appends the endpoint's path to the base URL. If the base URL already ended with that
/// path, requests would contain the path twice.
#[test]
fn base_url_with_the_path_of_an_endpoint_is_refused() {
    let id = "43387ca6-0391-4c82-857d-70d95f087ecb";
    for path in [
        "/api/v1/token",
        "/api/v1/authorize",
        "/api/v1/revoke",
        "/api/v1/sessions/initiate",
        "/api/v1",
        "/flinks/api/v1/token",
        "/v3/oauth/authorize",
        &format!("/v3/{id}"),
        &format!("/v3/{id}/BankingServices"),
        &format!("/v3/{id}/BankingServices/GenerateAuthorizeToken"),
        &format!("/v3/{id}/BankingServices/Authorize"),
        &format!("/flinks/v3/{}/BankingServices/Authorize", id.replace('-', "")),
    ] {
        for path in [path.to_owned(), format!("{path}/"), path.to_uppercase(), path.to_lowercase()] {
            let error = format!("https://x.example{path}").parse::<BaseUrl>().map_err(Error::from).unwrap_err();
            assert_eq!(error.field(), Some("base URL"));
            assert!(error.to_string().contains("endpoint"), "{path}: {error}");
        }
    }
    for path in [
        "",
        "/",
        "/flinks",
        "/flinks/",
        "/api",
        "/v1",
        "/v3",
        "/flinks/v1",
        "/v1/flinks",
        "/api/v1/flinks",
        "/api/v1/banking/flinks",
        "/token",
        "/authorize",
        "/token-proxy/v1",
        "/apis/v2",
        "/api/v1beta/flinks",
        &format!("/tenants/{id}"),
    ] {
        assert!(format!("https://x.example{path}").parse::<BaseUrl>().is_ok(), "{path}");
    }
}

/// Reads the paths of all endpoints from the generated clients, so that the test automatically
/// covers new endpoints.
#[test]
fn every_documented_path_is_refused_in_a_base_url() {
    let mut paths = 0;
    for product in ["pay", "connect", "outbound"] {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(file.join(format!("../flinks-{product}/src/generated.rs"))).unwrap();
        for path in text.split('"').filter(|text| text.starts_with('/') && !text.contains(char::is_whitespace)) {
            let path = path.replace("{}", "43387ca6-0391-4c82-857d-70d95f087ecb");
            assert!(format!("https://x.example{path}").parse::<BaseUrl>().is_err(), "{path}");
            paths += 1;
        }
    }
    assert_eq!(paths, 6, "the number of operations has changed");
}

#[tokio::test]
async fn status_404_suggests_to_check_the_base_url() {
    let local = local().await;
    for (fault, suggests_base_url) in [
        (Fault::status(404), true),
        (Fault::reply(404, "<html>Not Found</html>"), true),
        (Fault::reply(404, r#"{"error":"Not Found"}"#), true),
        (Fault::reply(404, r#"{"FlinksCode":"NO_ROUTE"}"#), true),
        (Fault::reply(404, r#"{"FlinksCode":"SESSION_NONEXISTENT"}"#), false),
        (Fault::status(403), false),
    ] {
        local.emulator.fail_next(Operation::ConnectGenerateAuthorizeToken, fault.clone());
        let error = local.connect.generate_authorize_token().await.unwrap_err();
        assert_eq!(error.to_string().contains("check the base URL"), suggests_base_url, "{error}");
        assert!(!error.to_string().contains("NO_ROUTE"), "{error}");
    }
    local.emulator.fail_next(Operation::PayAuthorize, Fault::status(404));
    let error = local.pay.authorize().await.unwrap_err();
    assert!(error.to_string().contains("check the base URL"), "{error}");
}

#[tokio::test]
async fn a1_base_url_is_normalized_once() {
    let local = local().await;
    for suffix in ["/", "/flinks", "/flinks/"] {
        let base_url: BaseUrl = format!("{}{suffix}", local.emulator.base_url()).parse().unwrap();
        let (pay, connect) = clients(&base_url, &Settings::new());
        let _ = pay.authorize().await;
        let _ = connect.generate_authorize_token().await;
    }
    let targets: Vec<String> = local.emulator.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets[0].as_str(), "/api/v1/authorize");
    assert_eq!(targets[2].as_str(), "/flinks/api/v1/authorize");
    assert_eq!(targets[4].as_str(), "/flinks/api/v1/authorize");
    assert_eq!(targets.len(), 6, "{targets:?}");
    assert!(!targets.iter().any(|target| target.contains("//")), "{targets:?}");
}

#[test]
fn invalid_redirect_urls_are_refused() {
    for bad in [
        "",
        "done",
        "/done",
        "//evil.com",
        "https:\\\\evil.com",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://evil.com/canary",
        "http://127.0.0.1.evil.com",
        "https://u:canary@evil.com",
        "https://canary@evil.com",
        "https://:canary@evil.com",
        "https://evil.com/#canary",
        "https://evil.com/ canary",
        "https://evil.com/\ncanary",
        "app.example:80/x",
    ] {
        check(bad.parse::<RedirectUrl>(), "redirect URL", bad);
    }
    // Browsers, resolvers and URL parsers interpret these hosts differently.
    for host in [
        "a_b.example",
        "-x.example",
        "x-.example",
        "a..example",
        ".example",
        "app.example.",
        "app.example:0",
        "%61pp.example",
        "app%2eexample",
        "app.example%00",
        "@app.example",
        ":@app.example",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.1",
        "2130706433",
        "127.0.0.1.",
        "1.2.3",
        "a!b.example",
        "a'b.example",
        "*.example",
    ] {
        for scheme in ["https", "http"] {
            let url = format!("{scheme}://{host}/done");
            check(url.parse::<RedirectUrl>(), "redirect URL", &url);
            check(url.parse::<BaseUrl>().map_err(Error::from), "base URL", &url);
        }
    }
    for good in ["https://APP.example:443/%7e/", "http://127.0.0.1:8080/x?y=z", "http://[::1]/", "http://localhost:1"] {
        assert_eq!(good.parse::<RedirectUrl>().unwrap().as_str(), good, "the URL was changed");
    }
    let url: RedirectUrl = "https://APP.example:443/canary?canary=canary".parse().unwrap();
    assert_eq!(url.origin(), "https://app.example");
    assert_eq!(format!("{url:?}").as_str(), "RedirectUrl(\"https://app.example\")");
}
