//! `flinks inspect`.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::failure::Failure;
use crate::input;
use crate::output;
use crate::timestamp;

/// Show the claims of a token from standard input
///
/// The signature is not verified, so do not rely on the claims. The token is not sent anywhere. A
/// token that is not a JWT has no claims to show.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Accepted only so that the command can explain that a token must not be passed as an
    /// argument. The parser's message would repeat the token.
    #[arg(hide = true)]
    extra: Vec<String>,
}

/// The claims, keyed by name. Their order must not depend on the features of `serde_json`.
type Claims = BTreeMap<String, Value>;

/// The JSON form of a token.
#[derive(Serialize)]
struct JsonToken {
    header: Claims,
    claims: Claims,
    expires_at: Option<String>,
    is_signature_verified: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if !arguments.extra.is_empty() {
        return Err(Failure::usage("a token must not be passed as an argument, because other users can see arguments")
            .with_next("pass it on standard input"));
    }
    let token = input::secret("a token")?;
    let token = token.expose_secret().trim();
    // Accept the output of `flinks token --output header` as well.
    let token = token.strip_prefix("authorization: ").unwrap_or(token);
    let token = token.strip_prefix("Bearer ").unwrap_or(token);
    let mut parts = token.split('.');
    let (Some(header), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(not_a_jwt("it does not have three parts"));
    };
    let header = object(header).ok_or_else(|| not_a_jwt("its header is not a JSON object in base64url"))?;
    let claims = object(claims).ok_or_else(|| not_a_jwt("its claims are not a JSON object in base64url"))?;
    let expiry = numeric_date(&claims, "exp");
    let issued = numeric_date(&claims, "iat");
    if arguments.json {
        return output::json(&JsonToken {
            header,
            claims,
            expires_at: expiry.map(timestamp::utc),
            is_signature_verified: false,
        });
    }
    for (name, value) in header.iter().chain(&claims) {
        output::line(&format!("{:<14}{}", name.escape_debug().to_string(), text(name, value)))?;
    }
    if let (Some(issued), Some(expiry)) = (issued, expiry)
        && let Ok(lifetime) = expiry.duration_since(issued)
    {
        output::line(&format!("{:<14}{}", "lifetime", timestamp::duration(lifetime)))?;
    }
    if let Some(expiry) = expiry {
        output::line(&format!("{:<14}{}", "expires", timestamp::relative(expiry, SystemTime::now())))?;
    }
    output::warning("signature not verified");
    Ok(())
}

fn not_a_jwt(problem: &str) -> Failure {
    Failure::new(format!("the token is not a JWT: {problem}"))
        .with_next("a token that is not a JWT has no claims to show; send it to Flinks to find out whether it is valid")
}

fn object(part: &str) -> Option<Claims> {
    let bytes = URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn numeric_date(claims: &Claims, name: &str) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(claims.get(name)?.as_u64()?))
}

/// Returns a claim as text. A numeric date becomes a readable time.
fn text(name: &str, value: &Value) -> String {
    match (name, value) {
        ("exp" | "iat" | "nbf", Value::Number(number)) => {
            let time =
                number.as_u64().and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
            time.map_or_else(|| number.to_string(), timestamp::utc)
        }
        (_, Value::String(text)) => text.escape_debug().to_string(),
        (_, value) => output::printable(&value.to_string()),
    }
}
