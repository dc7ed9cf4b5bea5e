//! Performs the TLS handshake and records the server's certificates. No application data is sent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, InvalidMessage, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::certificate::{self, CertificateProblem, Presented, Summary};
use super::configuration::{Certificates, Target};
use super::report::{Outcome, Step};
use crate::failure::Exit;

/// A TLS configuration, and the certificates that a server presented to it.
pub(super) struct Tls {
    pub(super) config: ClientConfig,
    presented: Arc<Mutex<Option<Presented>>>,
}

impl Tls {
    /// Creates a configuration that trusts the same authorities as the clients: those of the
    /// platform and those that the section specifies.
    ///
    /// # Errors
    ///
    /// Returns a failed outcome if the platform has no authorities, or if a certificate is invalid.
    pub(super) fn new(certificates: &Certificates) -> Result<Self, Outcome> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier::new_with_extra_roots(certificates.roots.iter().cloned(), Arc::clone(&provider));
        let verifier = verifier.map_err(|_| no_authorities())?;
        let presented = Arc::default();
        let recorder = Recorder { verifier, presented: Arc::clone(&presented) };
        let config = config(provider, recorder, certificates).map_err(|_| invalid_client_certificate())?;
        Ok(Self { config, presented })
    }

    /// Creates a configuration that trusts no authority, for requests over plain HTTP.
    pub(super) fn without_authorities() -> Option<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
        let config = config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
        Some(Self { config, presented: Arc::default() })
    }

    fn presented(&self) -> Option<Presented> {
        self.presented.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn config(
    provider: Arc<CryptoProvider>,
    recorder: Recorder,
    certificates: &Certificates,
) -> Result<ClientConfig, Error> {
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(recorder));
    match &certificates.client {
        None => Ok(config.with_no_client_auth()),
        Some((chain, key)) => config.with_client_auth_cert(chain.clone(), key.clone_key()),
    }
}

fn no_authorities() -> Outcome {
    Outcome::failed(
        Exit::Configuration,
        "this machine trusts no certificate authority, or `root_certificates` contains an invalid certificate",
        "install the package ca-certificates, or correct the file that `root_certificates` names",
    )
}

fn invalid_client_certificate() -> Outcome {
    Outcome::failed(
        Exit::Configuration,
        "the client certificate is invalid or does not match its private key",
        "replace the files that `client_certificate` and `client_key` name",
    )
}

/// Records the certificates that a server presents, and verifies them as the platform does.
#[derive(Debug)]
struct Recorder {
    verifier: Verifier,
    presented: Arc<Mutex<Option<Presented>>>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verify = |now| self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let verified = verify(now);
        let chain: Vec<_> = std::iter::once(end_entity).chain(intermediates).map(|der| Summary::of(der)).collect();
        // Find out whether the certificates would be accepted at another time.
        let is_valid_at_another_time = certificate::common_time(&chain).is_some_and(|time| verify(time).is_ok());
        let leaf = chain.into_iter().next().flatten();
        let presented = Presented { leaf, is_valid_at_another_time };
        *self.presented.lock().unwrap_or_else(PoisonError::into_inner) = Some(presented);
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// The reason a handshake or a request over TLS failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TlsFailure {
    Certificate(CertificateProblem),
    /// The server does not use TLS on this port.
    NotTls,
    /// The server supports only versions older than TLS 1.2, or only algorithms that the client
    /// does not support.
    Incompatible,
    /// The server requires a client certificate, or rejected the one that was presented.
    ClientCertificate,
    /// The server sent another alert.
    Alert,
    /// The server closed the connection.
    Closed,
    Timeout,
}

impl TlsFailure {
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(error) => Self::Certificate(certificate_problem(error)),
            Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
                Self::NotTls
            }
            Error::PeerIncompatible(_) => Self::Incompatible,
            Error::AlertReceived(alert) => match alert {
                AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity => Self::Incompatible,
                // Old servers send `HandshakeFailure` both for a missing client certificate and for
                // an unsupported version, so it is treated like any other alert.
                AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnknownCA
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::AccessDenied => Self::ClientCertificate,
                _ => Self::Alert,
            },
            _ => Self::Alert,
        }
    }

    fn of_io(error: &std::io::Error) -> Self {
        match error.get_ref().and_then(|source| source.downcast_ref::<Error>()) {
            Some(error) => Self::of(error),
            None => Self::Closed,
        }
    }
}

fn certificate_problem(error: &CertificateError) -> CertificateProblem {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => CertificateProblem::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => CertificateProblem::NotYetValid,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            CertificateProblem::WrongName
        }
        CertificateError::UnknownIssuer => CertificateProblem::UnknownIssuer,
        CertificateError::Revoked => CertificateProblem::Revoked,
        _ => CertificateProblem::Invalid,
    }
}

/// Performs a handshake on a connection to the server, and closes the connection.
pub(super) async fn check(stream: TcpStream, target: &Target, tls: &Tls, limit: Duration) -> Step<()> {
    let result = match ServerName::try_from(target.host.clone()) {
        Ok(name) => handshake(stream, name, tls, limit).await,
        Err(_) => Err(TlsFailure::Certificate(CertificateProblem::WrongName)),
    };
    let presented = tls.presented();
    match result {
        Ok(version) => Ok((certificate::verified(presented.as_ref(), version, SystemTime::now()), ())),
        Err(failure) => Err(outcome(failure, presented.as_ref(), target, SystemTime::now())),
    }
}

async fn handshake(
    stream: TcpStream,
    name: ServerName<'static>,
    tls: &Tls,
    limit: Duration,
) -> Result<&'static str, TlsFailure> {
    let connector = TlsConnector::from(Arc::new(tls.config.clone()));
    let stream = match timeout(limit, connector.connect(name, stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(TlsFailure::of_io(&error)),
        Err(_) => return Err(TlsFailure::Timeout),
    };
    Ok(match stream.get_ref().1.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
        _ => "TLS 1.2",
    })
}

/// Returns the outcome of a failed handshake or request.
pub(super) fn outcome(failure: TlsFailure, presented: Option<&Presented>, target: &Target, now: SystemTime) -> Outcome {
    let host = &target.host;
    match failure {
        TlsFailure::Certificate(problem) => certificate::outcome(problem, presented, host, now),
        TlsFailure::NotTls => Outcome::failed(
            Exit::Configuration,
            format!("{host} does not use TLS on port {}", target.port),
            "check the port in the base URL, and whether a proxy or a captive portal intercepts the connection",
        ),
        TlsFailure::Incompatible => Outcome::failed(
            Exit::Failed,
            format!("{host} does not support TLS 1.2 or a newer version"),
            "Flinks supports TLS 1.2: check the host, and the settings of a proxy or load balancer that terminates TLS",
        ),
        TlsFailure::ClientCertificate => Outcome::failed(
            Exit::Configuration,
            format!("{host} requires a client certificate, or rejected this profile's certificate"),
            "set `client_certificate` and `client_key` to the PEM files for this server, for example with the variables \
             FLINKS_CLIENT_CERTIFICATE and FLINKS_CLIENT_KEY",
        ),
        TlsFailure::Alert => Outcome::failed(
            Exit::Failed,
            format!("the TLS handshake with {host} failed"),
            "the server may require a client certificate or another TLS version: check the host, and the settings of a \
             proxy or load balancer that terminates TLS",
        )
        .guess(),
        TlsFailure::Closed => Outcome::failed(
            Exit::TryLater,
            format!("{host} closed the connection during the TLS handshake"),
            "a firewall may block the host by its name: allow it, or try again later",
        )
        .guess(),
        TlsFailure::Timeout => Outcome::failed(
            Exit::TryLater,
            format!("{host} accepted the connection, but did not complete the TLS handshake in time"),
            "a firewall may be stalling the connection: allow the host, try again later, or use a longer --timeout",
        )
        .guess(),
    }
}
