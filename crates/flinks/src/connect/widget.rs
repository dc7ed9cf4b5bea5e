//! The widget, a Flinks page that the application shows in an iframe (C5).

use std::sync::Arc;

use flinks_core::{Clock, Secret};

use super::{AuthorizeToken, Client};
use crate::error::{Error, Kind, SpendError};
use crate::operation::Operation;
use crate::validate::query;
use crate::{Language, RedirectUrl};

impl Client {
    /// Creates a widget that adds the `loginId` and `institution` parameters to `redirect_url` and
    /// redirects the end user there. Use [`verify_landing`](Self::verify_landing) to verify the
    /// landing.
    pub fn widget(&self, redirect_url: &RedirectUrl) -> Widget {
        Widget {
            base_url: self.iframe.as_str().to_owned(),
            redirect_url: redirect_url.clone(),
            parameters: Vec::new(),
            clock: Arc::clone(&self.executor.clock),
        }
    }
}

/// The appearance and behaviour of a widget, independent of any token. One `Widget` can be used
/// with any number of tokens. [C5](crate::rules)
///
/// ```no_run
/// # async fn page(client: &flinks::connect::Client) -> Result<String, flinks::Error> {
/// let redirect_url = "https://app.example/done".parse()?;
/// let widget = client.widget(&redirect_url).language(flinks::Language::French).customer_name("My App");
/// let token = client.generate_authorize_token().await?;
/// let started = widget.start(token, flinks::connect::StatePlacement::Query)?;
/// // Keep `started.pending` in the end user's session until the landing.
/// // This form of the URL can be inserted between double quotes.
/// let page = format!("<iframe src=\"{}\" title=\"Flinks\"></iframe>", started.url.to_html_attribute());
/// // The `message` listener of the page must compare `event.origin` with this origin.
/// let origin = widget.message_origin();
/// # Ok(page + &origin) }
/// ```
#[derive(Clone, derive_more::Debug)]
#[debug("Widget {{ base_url: {base_url:?}, .. }}")]
#[must_use = "a widget does nothing until `start` or `url` is called with a token"]
pub struct Widget {
    base_url: String,
    pub(super) redirect_url: RedirectUrl,
    parameters: Vec<(String, String)>,
    pub(super) clock: Arc<dyn Clock>,
}

/// The colours of a widget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Theme {
    /// Light colours.
    Light,
    /// Dark colours.
    Dark,
    /// The colours that the end user's system prefers.
    System,
}

impl Widget {
    /// Sets `demo`, which determines whether the widget shows the sandbox banks. Use it only with
    /// the sandbox.
    pub fn demo(self, is_demo: bool) -> Self {
        self.set("demo", &is_demo.to_string())
    }

    /// Sets `language`.
    pub fn language(self, language: Language) -> Self {
        self.set("language", language.as_str())
    }

    /// Sets `theme`.
    pub fn theme(self, theme: Theme) -> Self {
        self.set(
            "theme",
            match theme {
                Theme::Light => "light",
                Theme::Dark => "dark",
                Theme::System => "system",
            },
        )
    }

    /// Sets `consentEnable`, which determines whether the widget shows Flinks' consent screen.
    pub fn consent(self, is_shown: bool) -> Self {
        self.set("consentEnable", &is_shown.to_string())
    }

    /// Sets `customerName`, the name of your application on the consent screen.
    pub fn customer_name(self, name: &str) -> Self {
        self.set("customerName", name)
    }

    /// Sets `tag`, a string of your choice that Flinks returns with the data.
    pub fn tag(self, tag: &str) -> Self {
        self.set("tag", tag)
    }

    /// Sets `termsUrl`, the URL of your terms and conditions.
    pub fn terms_url(self, url: &str) -> Self {
        self.set("termsUrl", url)
    }

    /// Sets `daysOfTransactions`, the period for which Flinks fetches transactions. Use the format
    /// given in the Flinks documentation, such as `Days90`.
    pub fn days_of_transactions(self, days: &str) -> Self {
        self.set("daysOfTransactions", days)
    }

    /// Sets `scheduleRefresh`, which determines whether Flinks refreshes the account every night.
    pub fn schedule_refresh(self, is_scheduled: bool) -> Self {
        self.set("scheduleRefresh", &is_scheduled.to_string())
    }

    /// Sets another [parameter](https://docs.flinks.com/guides/connect/flinks-connect/widget.md),
    /// such as `headerEnable`. If a parameter is set twice, the last value applies.
    ///
    /// # Errors
    ///
    /// Returns an error if the name is empty, contains characters other than ASCII letters and
    /// digits, or is `authorizeToken` or `redirectUrl`, ignoring case.
    pub fn parameter(self, name: &str, value: &str) -> Result<Self, Error> {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Error::configuration("parameter", "name must contain only ASCII letters and digits"));
        }
        if ["authorizeToken", "redirectUrl"].iter().any(|own| own.eq_ignore_ascii_case(name)) {
            return Err(Error::configuration("parameter", "name must not be `authorizeToken` or `redirectUrl`"));
        }
        Ok(self.set(name, value))
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.parameters.retain(|(existing, _)| !existing.eq_ignore_ascii_case(name));
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Returns the widget's origin. A `message` listener must compare `event.origin` with this
    /// origin before it trusts an event.
    pub fn message_origin(&self) -> String {
        url::Url::parse(&self.base_url).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
    }

    /// Spends the token and returns the URL for one iframe. Load the URL only once.
    /// [C5](crate::rules)
    ///
    /// Your application cannot verify the redirect from a widget that was loaded with this URL. Use
    /// [`start`](Self::start) unless your application protects its landing page in another way.
    ///
    /// # Errors
    ///
    /// Returns a [`SpendError`] if the token has expired. [C3](crate::rules)
    pub fn url(&self, token: AuthorizeToken) -> Result<WidgetUrl, SpendError<AuthorizeToken>> {
        self.url_with_redirect(token, self.redirect_url.as_str())
    }

    pub(super) fn url_with_redirect(
        &self,
        token: AuthorizeToken,
        redirect_url: &str,
    ) -> Result<WidgetUrl, SpendError<AuthorizeToken>> {
        if token.is_expired() {
            return Err(SpendError::new(token, Error::new(Operation::ConnectWidget, Kind::ExpiredLocally)));
        }
        let parameters = self.parameters.iter().map(|(name, value)| (&**name, &**value));
        let first = [("redirectUrl", redirect_url)].into_iter();
        let query = query(first.chain(parameters).chain([("authorizeToken", token.secret.expose_secret())]));
        Ok(WidgetUrl(Secret::new(format!("{}/v2/?{query}", self.base_url))))
    }
}

/// The URL to load in one iframe. It contains the token.
#[derive(Debug)]
#[must_use = "the authorize token was spent to create this URL"]
pub struct WidgetUrl(Secret);

impl WidgetUrl {
    /// Returns the URL. Keep it out of logs.
    pub fn expose_url(&self) -> &str {
        self.0.expose_secret()
    }

    /// Returns the URL in a form that can be inserted into a quoted HTML attribute.
    pub fn to_html_attribute(&self) -> String {
        // Apart from `&`, a percent-encoded URL contains no characters that are special in HTML.
        self.0.expose_secret().replace('&', "&amp;")
    }
}
