//! The environment variables for a program that uses an emulator.

use crate::config::{ClientAuthentication, Config};
use crate::transport::Transport;

/// Returns the variables. They contain the configured credentials.
pub(crate) fn variables(base_url: &str, config: &Config, transport: &Transport) -> Vec<(&'static str, String)> {
    let Config { pay, connect, outbound, .. } = config;
    let client_authentication = match outbound.client_authentication {
        ClientAuthentication::FieldsOrBasic | ClientAuthentication::Fields => "fields",
        ClientAuthentication::Basic => "basic",
        ClientAuthentication::None => "none",
    };
    let mut variables = vec![
        ("FLINKS_PAY_URL", base_url.to_owned()),
        ("FLINKS_PAY_USERNAME", pay.username.clone()),
        ("FLINKS_PAY_PASSWORD", pay.password.clone()),
        ("FLINKS_CONNECT_URL", base_url.to_owned()),
        ("FLINKS_CONNECT_CUSTOMER_ID", connect.customer_id.clone()),
        ("FLINKS_CONNECT_SECRET_KEY", connect.secret_key.clone()),
        ("FLINKS_CONNECT_API_KEY", connect.api_key.clone()),
        ("FLINKS_OUTBOUND_URL", base_url.to_owned()),
        ("FLINKS_OUTBOUND_CLIENT_ID", outbound.client_id.clone()),
        ("FLINKS_OUTBOUND_CLIENT_SECRET", outbound.client_secret.clone()),
        ("FLINKS_OUTBOUND_CLIENT_AUTHENTICATION", client_authentication.to_owned()),
    ];
    variables.extend(certificates(transport));
    variables
}

/// Returns the variables that make common TLS libraries trust the emulator's authority.
fn certificates(transport: &Transport) -> Vec<(&'static str, String)> {
    match transport {
        Transport::Plain => Vec::new(),
        #[cfg(feature = "tls")]
        Transport::Tls { files: None, .. } => Vec::new(),
        #[cfg(feature = "tls")]
        Transport::Tls { files: Some(files), .. } => {
            let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
            let authority = [
                "FLINKS_ROOT_CERTIFICATES",
                "CURL_CA_BUNDLE",
                "NODE_EXTRA_CA_CERTS",
                "REQUESTS_CA_BUNDLE",
                "SSL_CERT_FILE",
            ];
            let mut variables: Vec<_> = authority.into_iter().map(|name| (name, text(&files.authority))).collect();
            if let Some((certificate, key)) = &files.client {
                variables.extend([("FLINKS_CLIENT_CERTIFICATE", text(certificate)), ("FLINKS_CLIENT_KEY", text(key))]);
            }
            variables
        }
    }
}
