//! The widget: a page of Flinks' in an iframe of yours (C5).

use flinks_core::Secret;

use super::{AuthorizeToken, Client};
use crate::error::{Error, Kind, SpendError};
use crate::operation::Operation;
use crate::validate::query;
use crate::{Language, RedirectUrl};

impl Client {
    /// A widget that leads to `redirect_url`, which then gets `loginId` and `institution`.
    pub fn widget(&self, redirect_url: &RedirectUrl) -> Widget {
        Widget {
            base_url: self.iframe.as_str().to_owned(),
            redirect_url: redirect_url.as_str().to_owned(),
            parameters: Vec::new(),
        }
    }
}

/// The looks and the behaviour of a widget (C5), before it has a token. It can be used for any number of them.
///
/// ```no_run
/// # async fn page(client: &flinks::connect::Client) -> Result<String, flinks::Error> {
/// let redirect_url = "https://app.example/done".parse()?;
/// let widget = client.widget(&redirect_url).language(flinks::Language::French).customer_name("My App");
/// let url = widget.url(client.generate_authorize_token().await?)?;
/// // The attribute form is safe between double quotes.
/// let page = format!("<iframe src=\"{}\" title=\"Flinks\"></iframe>", url.to_html_attribute());
/// // Your `message` listener must check `event.origin` against this.
/// let origin = widget.message_origin();
/// # Ok(page + &origin) }
/// ```
#[derive(Clone, derive_more::Debug)]
#[debug("Widget {{ base_url: {base_url:?}, .. }}")]
#[must_use = "a widget does nothing until `url` gives it a token"]
pub struct Widget {
    base_url: String,
    redirect_url: String,
    parameters: Vec<(String, String)>,
}

/// Which colours the widget has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Theme {
    /// Light.
    Light,
    /// Dark.
    Dark,
    /// As the end user's system has it.
    System,
}

impl Widget {
    /// `demo`: shows the banks of the sandbox. Only there.
    pub fn demo(self, is_demo: bool) -> Self {
        self.set("demo", &is_demo.to_string())
    }

    /// Sets `language`.
    pub fn language(self, language: Language) -> Self {
        self.set("language", language.as_str())
    }

    /// `theme`.
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

    /// `consentEnable`: shows Flinks' own consent screen.
    pub fn consent(self, is_shown: bool) -> Self {
        self.set("consentEnable", &is_shown.to_string())
    }

    /// `customerName`: your name, on that screen.
    pub fn customer_name(self, name: &str) -> Self {
        self.set("customerName", name)
    }

    /// `tag`: a text of yours that comes back with the data.
    pub fn tag(self, tag: &str) -> Self {
        self.set("tag", tag)
    }

    /// `termsUrl`: your terms.
    pub fn terms_url(self, url: &str) -> Self {
        self.set("termsUrl", url)
    }

    /// `daysOfTransactions`: how far back, in the form that Flinks names, such as `Days90`.
    pub fn days_of_transactions(self, days: &str) -> Self {
        self.set("daysOfTransactions", days)
    }

    /// `scheduleRefresh`: refreshes the account every night.
    pub fn schedule_refresh(self, is_scheduled: bool) -> Self {
        self.set("scheduleRefresh", &is_scheduled.to_string())
    }

    /// Another of the [parameters](https://docs.flinks.com/guides/connect/flinks-connect/widget.md), such as `headerEnable`.
    /// One that is set twice has its last value.
    ///
    /// # Errors
    ///
    /// An [`Error`] where the name is not made of ASCII letters and digits, or is `authorizeToken` or `redirectUrl`, in any
    /// case.
    pub fn parameter(self, name: &str, value: &str) -> Result<Self, Error> {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Error::configuration("parameter", "has a name that is not made of ASCII letters and digits"));
        }
        if ["authorizeToken", "redirectUrl"].iter().any(|own| own.eq_ignore_ascii_case(name)) {
            return Err(Error::configuration("parameter", "has a name that the widget sets by itself"));
        }
        Ok(self.set(name, value))
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.parameters.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The origin that a `message` listener must check `event.origin` against, before it believes an event.
    pub fn message_origin(&self) -> String {
        url::Url::parse(&self.base_url).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
    }

    /// Spends a token: the address for one iframe, to be loaded once (C5).
    ///
    /// # Errors
    ///
    /// A [`SpendError`] where the token has expired (C3).
    pub fn url(&self, token: AuthorizeToken) -> Result<WidgetUrl, SpendError<AuthorizeToken>> {
        if token.is_expired() {
            return Err(SpendError::new(token, Error::new(Operation::ConnectWidget, Kind::ExpiredLocally)));
        }
        let parameters = self.parameters.iter().map(|(name, value)| (&**name, &**value));
        let first = [("redirectUrl", &*self.redirect_url)].into_iter();
        let query = query(first.chain(parameters).chain([("authorizeToken", token.secret.expose_secret())]));
        Ok(WidgetUrl(Secret::new(format!("{}/v2/?{query}", self.base_url))))
    }
}

/// The address of one iframe, which holds a token.
#[derive(Debug)]
#[must_use = "the authorize token is spent on this address"]
pub struct WidgetUrl(Secret);

impl WidgetUrl {
    /// The address. Keep it out of logs.
    pub fn expose_url(&self) -> &str {
        self.0.expose_secret()
    }

    /// The address for an attribute in HTML, between quotes.
    pub fn to_html_attribute(&self) -> String {
        // What is percent-encoded holds none of the other characters that HTML knows.
        self.0.expose_secret().replace('&', "&amp;")
    }
}
