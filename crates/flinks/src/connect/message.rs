//! The events that the widget posts to its parent page (C5).

use flinks_core::Secret;
use serde_json::Value;

use super::Widget;
use crate::error::Error;

/// An event that the widget posted to its parent page with `window.postMessage`.
///
/// `Debug` omits the text of the event, because it is untrusted.
#[derive(Clone, derive_more::Debug)]
#[non_exhaustive]
pub enum WidgetMessage {
    /// The end user has connected an account, and the widget is redirecting the browser
    /// (`REDIRECT`).
    #[debug("Redirect {{ .. }}")]
    #[non_exhaustive]
    Redirect {
        /// The bank's name.
        institution: Option<String>,
        /// The landing URL, to be verified with
        /// [`Client::verify_landing`](super::Client::verify_landing).
        url: Secret,
    },
    /// Any other step, such as `APP_MOUNTED`, or an error code.
    #[debug("Step {{ .. }}")]
    #[non_exhaustive]
    Step {
        /// The name of the step.
        step: String,
        /// The bank's name.
        institution: Option<String>,
    },
}

impl Widget {
    /// Reads a `message` event that a script on your page received and sent to your application.
    /// `origin` is `event.origin`, which this method compares with the widget's origin, and `data`
    /// is the JSON text of `event.data`. Sends nothing. [C5](crate::rules)
    ///
    /// The script must also compare `event.origin` with [`message_origin`](Self::message_origin),
    /// because other pages can post messages to your page. The end user controls the script, so
    /// neither comparison authenticates the message. Verify the URL of a redirect with
    /// [`Client::verify_landing`](super::Client::verify_landing).
    ///
    /// A landing can be verified only once. If your application verifies the landing from the
    /// message, ignore the request that results from the redirect.
    ///
    /// # Errors
    ///
    /// Returns an error with [`Cause::Input`](crate::Cause::Input). [`Error::field`] returns
    ///
    /// - `message origin` if the event did not come from the widget, or
    /// - `message data` if the text is not a JSON object with a `step`, or if the step is
    ///   `REDIRECT` and there is no `url`.
    ///
    /// Ignore an event for which this method returns an error. Such an event may come from a
    /// browser extension, for example.
    pub fn message(&self, origin: &str, data: &str) -> Result<WidgetMessage, Error> {
        let expected = self.message_origin();
        if expected.is_empty() || origin != expected {
            return Err(Error::input("message origin", "must be the widget's origin"));
        }
        let invalid = |reason| Error::input("message data", reason);
        // The JSON parser's own reason is omitted, because it may quote the text.
        let event: Value = serde_json::from_str(data).map_err(|_| invalid("must be JSON"))?;
        let text = |name: &str| event.get(name).and_then(Value::as_str).map(str::to_owned);
        let step = text("step").ok_or_else(|| invalid("must be an object with a `step`"))?;
        let institution = text("institution");
        if step != "REDIRECT" {
            return Ok(WidgetMessage::Step { step, institution });
        }
        let url = text("url").ok_or_else(|| invalid("must have a `url` if its `step` is `REDIRECT`"))?;
        Ok(WidgetMessage::Redirect { institution, url: Secret::new(url) })
    }
}
