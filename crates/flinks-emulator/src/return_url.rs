//! Return URLs, to which a page redirects the end user.

use std::str::FromStr as _;

use url::Url;

use crate::config::RedirectUrlPart;

/// Whether a return URL may contain a fragment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fragment {
    Allowed,
    Forbidden,
}

/// Parses an absolute `http` or `https` URL. Its origin must be in `origins`, unless that list is
/// empty.
///
/// The error text completes a sentence that starts with the parameter's name.
pub(crate) fn parse(text: &str, origins: &[String], fragment: Fragment) -> Result<Url, &'static str> {
    let url = match Url::from_str(text) {
        // The example in Flinks' documentation has no scheme (C5).
        Err(url::ParseError::RelativeUrlWithoutBase) if !text.starts_with(['/', '\\']) => {
            Url::from_str(&format!("https://{text}"))
        }
        parsed => parsed,
    };
    let url = url.map_err(|_| "is not an absolute URL")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must be an http or https URL");
    }
    let has_forbidden_fragment = fragment == Fragment::Forbidden && url.fragment().is_some();
    if !url.username().is_empty() || url.password().is_some() || has_forbidden_fragment {
        return Err("must not contain user information or a fragment");
    }
    let matches_origin = |allowed: &String| Url::parse(allowed).is_ok_and(|allowed| allowed.origin() == url.origin());
    if !origins.is_empty() && !origins.iter().any(matches_origin) {
        return Err("has an origin that is not whitelisted");
    }
    Ok(url)
}

/// Removes everything except `part` from a URL.
pub(crate) fn keep(mut url: Url, part: RedirectUrlPart) -> Url {
    match part {
        RedirectUrlPart::Whole => {}
        RedirectUrlPart::WithoutQuery => url.set_query(None),
        RedirectUrlPart::OriginOnly => {
            url.set_query(None);
            url.set_path("/");
        }
    }
    url
}

/// Adds the parameters that have a value to the query of a URL.
///
/// A parameter must not appear more than once (RFC 6749, section 3.1), so a new parameter replaces
/// an existing one with the same name. If the application reuses the return URL of an earlier
/// visit, the URL already contains that visit's parameters.
pub(crate) fn with_parameters(mut url: Url, parameters: &[(&str, Option<&str>)]) -> Url {
    let new: Vec<(&str, &str)> = parameters.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect();
    let is_replaced = |name: &str| new.iter().any(|(new_name, _)| *new_name == name);
    if url.query_pairs().any(|(name, _)| is_replaced(&name)) {
        let unchanged: Vec<(String, String)> =
            url.query_pairs().into_owned().filter(|(name, _)| !is_replaced(name)).collect();
        url.query_pairs_mut().clear().extend_pairs(unchanged);
    }
    url.query_pairs_mut().extend_pairs(new);
    url
}
