//! The options for TLS.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::{ClientCertificates, Emulator, Tls};
use clap::{Args, ValueEnum};

#[derive(Args)]
pub(super) struct TlsOptions {
    /// Use TLS with a new certificate authority, and write its certificate to this folder
    #[arg(long, value_name = "FOLDER", num_args = 0..=1, default_missing_value = "flinks-emulator-tls")]
    tls: Option<PathBuf>,
    /// Additional host name or IP address for the certificate; can be repeated
    #[arg(long, value_name = "NAME", requires = "tls")]
    tls_name: Vec<String>,
    /// Request a certificate from each client, and write a client certificate and its key to the
    /// folder
    #[arg(long, value_name = "WHETHER", requires = "tls")]
    tls_client_certificates: Option<Requested>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Requested {
    Optional,
    Required,
}

impl TlsOptions {
    /// Creates the authority and writes its files, or returns `None` if TLS was not requested.
    ///
    /// # Errors
    ///
    /// Returns an error message for the user if the authority cannot be created or its files cannot
    /// be written.
    pub(super) fn create(&self) -> Result<Option<Tls>, String> {
        let Self { tls: Some(folder), tls_name, tls_client_certificates } = self else { return Ok(None) };
        let client_certificates = match tls_client_certificates {
            None => ClientCertificates::NotRequested,
            Some(Requested::Optional) => ClientCertificates::Optional,
            Some(Requested::Required) => ClientCertificates::Required,
        };
        let tls = Tls::new(tls_name).map_err(|error| format!("invalid --tls-name: {error}"))?;
        let written = tls.client_certificates(client_certificates).write_to(folder);
        let problem = |error| format!("failed to write the certificates to `{}`: {error}", folder.display());
        Ok(Some(written.map_err(problem)?))
    }
}

/// Returns the text that describes how to trust the emulator, or an empty string if TLS is not in
/// use.
pub(super) fn guide(emulator: &Emulator) -> String {
    let variables = emulator.env();
    let value = |wanted: &str| variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value);
    let Some(authority) = value("SSL_CERT_FILE") else { return String::new() };
    let mut text = format!(
        r#"
tls       authority {authority}

  The authority is new. It can issue certificates only for this emulator, and its private key is not stored.
  # trust it in this shell; except for Node, these programs then trust no other authority
  export CURL_CA_BUNDLE="{authority}" SSL_CERT_FILE="{authority}" REQUESTS_CA_BUNDLE="{authority}"
  export NODE_EXTRA_CA_CERTS="{authority}" FLINKS_ROOT_CERTIFICATES="{authority}"
"#
    );
    if let (Some(certificate), Some(key)) = (value("FLINKS_CLIENT_CERTIFICATE"), value("FLINKS_CLIENT_KEY")) {
        let _ = write!(
            text,
            r#"  # the client certificate; for curl: --cert "{certificate}" --key "{key}"
  export FLINKS_CLIENT_CERTIFICATE="{certificate}" FLINKS_CLIENT_KEY="{key}"
"#
        );
    }
    text
}
