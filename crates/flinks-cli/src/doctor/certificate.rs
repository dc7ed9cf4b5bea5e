//! Problems with a certificate, and how to fix them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls_pki_types::{CertificateDer, UnixTime};

use super::bounded;
use super::report::Outcome;
use crate::failure::Exit;
use crate::timestamp;

/// How long before a certificate expires it causes a warning.
const EXPIRES_SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// The certificates that a server presented.
#[derive(Clone, Debug)]
pub(super) struct Presented {
    /// The certificate of the server. `None` if it cannot be parsed.
    pub(super) leaf: Option<Summary>,
    /// Whether the certificates would be valid at another time.
    pub(super) is_valid_at_another_time: bool,
}

/// The relevant fields of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// Escaped and limited in length.
    pub(super) subject: String,
    /// Escaped and limited in length.
    pub(super) issuer: String,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
    pub(super) is_self_signed: bool,
}

/// The reason a certificate was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CertificateProblem {
    Expired,
    NotYetValid,
    UnknownIssuer,
    WrongName,
    Revoked,
    Invalid,
}

impl Summary {
    /// Extracts the relevant fields. Returns `None` if the certificate cannot be parsed.
    pub(super) fn of(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        let time = |timestamp: i64| {
            let seconds = u64::try_from(timestamp).unwrap_or_default();
            UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH)
        };
        Some(Self {
            subject: bounded(&certificate.subject().to_string()),
            issuer: bounded(&certificate.issuer().to_string()),
            not_before: time(certificate.validity().not_before.timestamp()),
            not_after: time(certificate.validity().not_after.timestamp()),
            is_self_signed: certificate.subject().as_raw() == certificate.issuer().as_raw(),
        })
    }
}

/// Returns a time at which all certificates are valid, or `None` if there is none.
pub(super) fn common_time(chain: &[Option<Summary>]) -> Option<UnixTime> {
    let parsed: Vec<&Summary> = chain.iter().flatten().collect();
    let start = parsed.iter().map(|summary| summary.not_before).max()?;
    let end = parsed.iter().map(|summary| summary.not_after).min()?;
    let since = start.duration_since(UNIX_EPOCH).ok()?;
    (start <= end).then(|| UnixTime::since_unix_epoch(since))
}

/// Returns the outcome for a certificate that was verified.
pub(super) fn verified(presented: Option<&Presented>, version: &str, now: SystemTime) -> Outcome {
    let Some(leaf) = presented.and_then(|presented| presented.leaf.as_ref()) else {
        return Outcome::passed(format!("{version}, certificate verified"));
    };
    let expiry = timestamp::utc(leaf.not_after);
    match leaf.not_after.duration_since(now) {
        Ok(remaining) if remaining < EXPIRES_SOON => Outcome::warning(
            format!(
                "the certificate of {} expires at {expiry}, {}",
                leaf.subject,
                timestamp::relative(leaf.not_after, now)
            ),
            "the operator of the server must renew it before then; tell Flinks or, if your proxy issued the \
             certificate, the operator of the proxy",
        ),
        _ => Outcome::passed(format!("{version}, {}, issued by {}, expires at {expiry}", leaf.subject, leaf.issuer)),
    }
}

/// Returns the outcome for a certificate that was rejected.
pub(super) fn outcome(
    problem: CertificateProblem,
    presented: Option<&Presented>,
    host: &str,
    now: SystemTime,
) -> Outcome {
    const DO_NOT_CONTINUE: &str = "do not send credentials over this connection";
    let leaf = presented.and_then(|presented| presented.leaf.as_ref());
    let is_time_alone = presented.is_some_and(|presented| presented.is_valid_at_another_time);
    let subject = leaf.map_or("(unreadable)", |leaf| leaf.subject.as_str());
    let issuer = leaf.map_or("(unreadable)", |leaf| leaf.issuer.as_str());
    let clock = timestamp::utc(now);
    match problem {
        CertificateProblem::Expired | CertificateProblem::NotYetValid => {
            let fault = match (problem, leaf) {
                (CertificateProblem::NotYetValid, Some(leaf)) => {
                    format!("is not valid before {}", timestamp::utc(leaf.not_before))
                }
                (_, Some(leaf)) if leaf.not_after <= now => format!("expired at {}", timestamp::utc(leaf.not_after)),
                // The certificate of an issuing authority has expired.
                _ => "is not valid at this time".to_owned(),
            };
            let problem = format!("the certificate of {host} ({subject}) {fault}; this machine's clock reads {clock}");
            if is_time_alone {
                let cure = "check this machine's clock first, for example with `timedatectl`, and run `timedatectl \
                            set-ntp true` if it is wrong; if the clock is right, the operator of the server must renew \
                            the certificate";
                return Outcome::failed(Exit::Failed, problem, cure);
            }
            let cure = format!("{DO_NOT_CONTINUE}: the certificate has other faults as well; check the host name");
            Outcome::failed(Exit::Failed, problem, cure)
        }
        _ if leaf.is_some_and(|leaf| leaf.is_self_signed) => Outcome::failed(
            Exit::Configuration,
            format!("the certificate of {host} is self-signed ({subject})"),
            format!(
                "{DO_NOT_CONTINUE}, unless the server is yours, such as an emulator with TLS: in that case, set \
                 `root_certificates` or FLINKS_ROOT_CERTIFICATES to a PEM file with its certificate authority"
            ),
        ),
        CertificateProblem::UnknownIssuer => Outcome::failed(
            Exit::Configuration,
            format!("this machine does not trust the issuer of the certificate of {host}: {issuer}"),
            "a proxy may intercept TLS: if the issuer belongs to your organization, set `root_certificates` or \
             FLINKS_ROOT_CERTIFICATES to a PEM file with its certificate; otherwise, do not send credentials over this \
             connection",
        )
        .guess(),
        CertificateProblem::WrongName => Outcome::failed(
            Exit::Configuration,
            format!("the certificate ({subject}) is not valid for the host name {host}"),
            "correct the host in the base URL; if it is correct, a proxy or a captive portal intercepts the connection",
        ),
        CertificateProblem::Revoked => Outcome::failed(
            Exit::Failed,
            format!("the certificate of {host} ({subject}) was revoked"),
            format!("{DO_NOT_CONTINUE}, and tell Flinks"),
        ),
        CertificateProblem::Invalid => Outcome::failed(
            Exit::Failed,
            format!("the certificate of {host} ({subject}, issued by {issuer}) is invalid"),
            format!("{DO_NOT_CONTINUE}: a proxy may intercept TLS with a certificate that is not valid for servers"),
        )
        .guess(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Finding;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn at(day: u32) -> SystemTime {
        UNIX_EPOCH + DAY * day
    }

    fn summary(first: u32, last: u32) -> Summary {
        Summary {
            subject: "CN=server".to_owned(),
            issuer: "CN=authority".to_owned(),
            not_before: at(first),
            not_after: at(last),
            is_self_signed: false,
        }
    }

    fn presented(is_valid_at_another_time: bool, is_self_signed: bool) -> Presented {
        Presented { leaf: Some(Summary { is_self_signed, ..summary(100, 200) }), is_valid_at_another_time }
    }

    fn finding(problem: CertificateProblem, presented: &Presented, now: SystemTime) -> Finding {
        match outcome(problem, Some(presented), "host", now) {
            Outcome::Failed { finding, .. } => finding,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_problem_has_its_cure() {
        use CertificateProblem::{Expired, Invalid, NotYetValid, Revoked, UnknownIssuer, WrongName};
        let trusted = presented(true, false);
        let untrusted = presented(false, false);
        let self_signed = presented(false, true);
        for (problem, presented, day, expected, cure) in [
            (Expired, &trusted, 300, "expired at 1970-07-20T00:00:00Z", "set-ntp true"),
            (NotYetValid, &trusted, 50, "is not valid before 1970-04-11T00:00:00Z", "set-ntp true"),
            (Expired, &untrusted, 300, "expired at", "other faults"),
            (UnknownIssuer, &untrusted, 150, "CN=authority", "root_certificates"),
            (UnknownIssuer, &self_signed, 150, "self-signed", "root_certificates"),
            (Invalid, &self_signed, 150, "self-signed", "root_certificates"),
            (WrongName, &untrusted, 150, "not valid for the host name host", "base URL"),
            (Revoked, &untrusted, 150, "revoked", "do not send"),
            (Invalid, &untrusted, 150, "is invalid", "do not send"),
        ] {
            let finding = finding(problem, presented, at(day));
            assert!(finding.problem.contains(expected), "{}", finding.problem);
            assert!(finding.cure.contains(cure), "{}", finding.cure);
        }
    }

    #[test]
    fn a_certificate_that_expires_within_two_weeks_is_a_warning() {
        let presented = presented(true, false);
        assert!(matches!(verified(Some(&presented), "TLS 1.3", at(185)), Outcome::Passed { .. }));
        assert!(matches!(verified(Some(&presented), "TLS 1.3", at(187)), Outcome::Warning(_)));
    }

    #[test]
    fn a_common_time_is_within_the_validity_of_all_certificates() {
        let time = |chain: &[Option<Summary>]| common_time(chain).map(|time| time.as_secs() / DAY.as_secs());
        assert_eq!(time(&[Some(summary(1, 10)), Some(summary(5, 20))]), Some(5));
        assert_eq!(time(&[Some(summary(1, 4)), Some(summary(5, 20))]), None);
        assert_eq!(time(&[None]), None);
    }
}
