//! `flinks login`.

use std::time::Duration;

use clap::Args;
use flinks_consents::flinks::outbound::{AuthorizationCode, Client, PendingAuthorization};
use flinks_consents::flinks::{Cause, RedirectUrl, SpendError};
use flinks_consents::{ConsentId, Consents, OwnerId, Replaced};
use tokio::time::Instant;

use crate::context::Context;
use crate::failure::{Exit, Failure, login_command};
use crate::loopback::{self, CallbackServer, OneShot, Page};
use crate::output;
use crate::profile::Login;
use crate::timestamp;

/// Obtain a consent for Outbound in the browser and store it
///
/// The browser returns to a loopback address, which must be registered with Flinks as a redirect URL.
/// An existing consent with the same id is replaced. Its owner and label are kept unless new ones are
/// given.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The id under which the consent is stored
    #[arg(long, value_name = "ID", default_value = "default")]
    consent: ConsentId,
    /// The id of the bank; default: `login.provider_id` from the profile
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    /// The loopback address to which the browser returns; default: `login.redirect_url` from the
    /// profile
    #[arg(long, value_name = "URL")]
    redirect_url: Option<RedirectUrl>,
    /// Scopes, separated by spaces; default: `login.scope` from the profile
    #[arg(long)]
    scope: Option<String>,
    /// The owner of the consent, such as the id of a user
    #[arg(long, value_name = "ID")]
    owner: Option<OwnerId>,
    /// A label for the consent, such as the name of the bank
    #[arg(long)]
    label: Option<String>,
    /// If a consent with the same id exists, revoke that consent at Flinks after the new one is
    /// stored
    #[arg(long)]
    revoke_replaced: bool,
    /// Print the URL of the consent page instead of opening a browser
    #[arg(long)]
    no_browser: bool,
}

/// The redirect URL that is used if neither an argument nor the profile specifies one.
pub(crate) const DEFAULT_REDIRECT_URL: &str = "http://127.0.0.1:8765/callback";
/// How long the end user may take. The client rejects a callback that arrives after more than ten
/// minutes.
const LIMIT: Duration = Duration::from_secs(10 * 60);

pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let login = context.profile()?.login().clone();
    let redirect_url = redirect_url(arguments, &login)?;
    let provider = arguments.provider.clone().or(login.provider_id).ok_or_else(|| {
        Failure::configuration("the id of the bank is not set")
            .with_next("pass --provider, or run `flinks config set login.provider_id ID`")
    })?;
    // Open the store first, so that a store error appears before the end user consents.
    let (consents, _) = context.consents().await?;
    let (port, path) = address_of(&redirect_url)?;
    let listener = loopback::bind(port).await?;

    let client = consents.client();
    let mut request = client.authorization(provider, &redirect_url)?;
    let scope = arguments.scope.as_deref().or(login.scope.as_deref()).unwrap_or_default();
    let scopes: Vec<&str> = scope.split_whitespace().collect();
    if !scopes.is_empty() {
        request = request.scope(&scopes);
    }
    let started = request.start();
    let url = started.url.expose_secret();
    let start = if arguments.no_browser { None } else { Some(OneShot::new(url)?) };
    let mut server = CallbackServer::start(listener, path, start)?;
    if arguments.no_browser {
        output::note("open this URL in a browser on this machine");
        output::line(url)?;
    } else {
        server.open_in_browser().map_err(|failure| failure.with_next("run the command again with --no-browser"))?;
        output::note("continue in the browser");
    }
    let outcome = match receive_code(&mut server, client, started.pending, &arguments.consent).await {
        Ok((code, callback)) => {
            let stored = store_consent(&consents, arguments, code).await;
            callback.show(if stored.is_ok() { Page::Done } else { Page::Failed }).await;
            stored
        }
        Err(failure) => Err(failure),
    };
    server.stop().await;
    outcome
}

fn redirect_url(arguments: &Arguments, login: &Login) -> Result<RedirectUrl, Failure> {
    match (&arguments.redirect_url, &login.redirect_url) {
        (Some(url), _) => Ok(url.clone()),
        (None, Some(url)) => url.parse().map_err(Failure::from),
        (None, None) => DEFAULT_REDIRECT_URL.parse().map_err(Failure::from),
    }
}

/// Returns the port and the path of a redirect URL on this machine.
fn address_of(redirect_url: &RedirectUrl) -> Result<(u16, String), Failure> {
    let url = url::Url::parse(redirect_url.as_str()).ok();
    let address = url.as_ref().and_then(|url| {
        let is_loopback = url.scheme() == "http" && matches!(url.host_str(), Some("127.0.0.1" | "localhost"));
        if is_loopback { Some((url.port_or_known_default()?, url.path().to_owned())) } else { None }
    });
    address.ok_or_else(|| {
        Failure::configuration(
            "invalid redirect URL: must be a loopback address with a port, such as http://127.0.0.1:8765/callback",
        )
    })
}

/// Waits until the end user returns with a code. If a callback has another `state`, for example
/// because it comes from an older tab, the browser shows an error page and the wait continues.
async fn receive_code(
    server: &mut CallbackServer,
    client: &Client,
    pending: PendingAuthorization,
    id: &ConsentId,
) -> Result<(AuthorizationCode, loopback::Callback), Failure> {
    // Verification consumes the pending authorization, even if the callback belongs to another tab.
    let pending =
        serde_json::to_string(&pending).map_err(|_| Failure::new("failed to keep the pending authorization"))?;
    let now = Instant::now();
    let deadline = now.checked_add(LIMIT).unwrap_or(now);
    loop {
        let callback = server.next(deadline).await.map_err(|failure| failure.with_next(try_again(id)))?;
        let pending: PendingAuthorization =
            serde_json::from_str(&pending).map_err(|_| Failure::new("failed to keep the pending authorization"))?;
        match client.verify(pending, &callback.query) {
            Ok(code) => return Ok((code, callback)),
            Err(error) if error.cause() == Cause::InvalidCallback => {
                output::warning(&format!("ignored a callback: {error}"));
                callback.show(Page::WrongTab).await;
            }
            Err(error) => {
                callback.show(Page::Declined).await;
                return Err(Failure::from(&error).with_exit(Exit::ConsentNeeded).with_next(try_again(id)));
            }
        }
    }
}

fn try_again(id: &ConsentId) -> String {
    format!("run {} to try again", login_command(id))
}

async fn store_consent(consents: &Consents, arguments: &Arguments, code: AuthorizationCode) -> Result<(), Failure> {
    let mut consent = consents.new_consent(&arguments.consent);
    if arguments.revoke_replaced {
        consent = consent.revoke_replaced();
    }
    if let Some(owner) = &arguments.owner {
        consent = consent.owner(owner.clone());
    }
    if let Some(label) = &arguments.label {
        consent = consent.label(label);
    }
    let stored = consent.exchange_code(code).await.map_err(|error| {
        let failure = Failure::from(error.error());
        match error {
            SpendError::Unspent(..) => failure,
            // Until the configuration is corrected, it would be pointless to consent again.
            _ if failure.exit() == Exit::Configuration => failure,
            // The code is lost when this process exits.
            _ => failure.with_exit(Exit::ConsentNeeded).with_next(try_again(&arguments.consent)),
        }
    })?;
    report_replaced(&stored.replaced);
    let id = arguments.consent.as_str();
    match stored.consent.idle_deadline().await {
        Ok(deadline) => output::note(&format!("stored the consent {id}; use it before {}", timestamp::utc(deadline))),
        // The consent is stored, so the command succeeds.
        Err(_) => output::note(&format!("stored the consent {id}")),
    }
    Ok(())
}

/// Reports whether a replaced consent's connection may still exist at Flinks.
fn report_replaced(replaced: &Replaced) {
    match replaced {
        Replaced::Kept => output::note(
            "replaced a consent with the same id; its connection at Flinks may still exist (see --revoke-replaced)",
        ),
        Replaced::Revoked => output::note("revoked the replaced consent"),
        Replaced::Failed(error) => {
            output::warning(&format!("failed to revoke the replaced consent, which may still exist: {error}"));
        }
        _ => {}
    }
}
