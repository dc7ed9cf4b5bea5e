//! The certificate authority.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};

/// The name in the emulator's client certificate.
const CLIENT: &str = "flinks-emulator-client";

/// The authority's certificate and the certificates that it has issued.
pub(super) struct Authority {
    pub(super) pem: String,
    certificate: CertificateDer<'static>,
    pub(super) server: Identity,
    pub(super) client: Identity,
}

/// A certificate and its private key.
pub(super) struct Identity {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) certificate_pem: String,
    pub(super) key_pem: String,
}

impl Authority {
    /// Creates an authority and its certificates. The authority's private key is dropped.
    pub(super) fn new(names: &[String]) -> io::Result<Self> {
        // rcgen panics if a name is not ASCII.
        if let Some(name) = names.iter().find(|name| ServerName::try_from(name.as_str()).is_err()) {
            let message = format!("`{name}` is not a host name or an IP address");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let names: Vec<String> =
            ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into_iter().chain(names.iter().cloned()).collect();
        let issuer = issuer(&names).map_err(io::Error::other)?;
        let server = Identity::issue(names, ExtendedKeyUsagePurpose::ServerAuth, &issuer);
        let client = Identity::issue(vec![CLIENT.to_owned()], ExtendedKeyUsagePurpose::ClientAuth, &issuer);
        Ok(Self {
            pem: issuer.pem(),
            certificate: issuer.der().clone(),
            server: server.map_err(io::Error::other)?,
            client: client.map_err(io::Error::other)?,
        })
    }

    /// Returns a store that contains only this authority.
    pub(super) fn roots(&self) -> io::Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).map_err(io::Error::other)?;
        Ok(roots)
    }
}

/// Creates the authority, which can issue certificates only for these names.
fn issuer(names: &[String]) -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut parameters = parameters(Vec::new(), "Flinks emulator, for tests only")?;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let permitted = names.iter().map(String::as_str).chain([CLIENT]).map(|name| match name.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) if address.is_loopback() => {
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([127, 0, 0, 0], 8))
        }
        Ok(IpAddr::V4(address)) => GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix(address.octets(), 32)),
        Ok(IpAddr::V6(address)) => GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(address.octets(), 128)),
        Err(_) => GeneralSubtree::DnsName(name.to_owned()),
    });
    parameters.name_constraints =
        Some(NameConstraints { permitted_subtrees: permitted.collect(), excluded_subtrees: Vec::new() });
    CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)
}

impl Identity {
    fn issue(
        names: Vec<String>,
        purpose: ExtendedKeyUsagePurpose,
        issuer: &CertifiedIssuer<'_, KeyPair>,
    ) -> Result<Self, rcgen::Error> {
        let mut parameters = parameters(names, "Flinks emulator")?;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![purpose];
        parameters.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, issuer)?;
        Ok(Self {
            certificate_pem: certificate.pem(),
            certificate: certificate.into(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            key_pem: key.serialize_pem(),
        })
    }
}

/// Returns parameters for a certificate that is valid for a year. Some clients reject a longer
/// validity period.
fn parameters(names: Vec<String>, common_name: &str) -> Result<CertificateParams, rcgen::Error> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let mut parameters = CertificateParams::new(names)?;
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    let now = SystemTime::now();
    // A client's clock may be slow.
    parameters.not_before = now.checked_sub(DAY).unwrap_or(now).into();
    parameters.not_after = now.checked_add(DAY.saturating_mul(365)).unwrap_or(now).into();
    Ok(parameters)
}
