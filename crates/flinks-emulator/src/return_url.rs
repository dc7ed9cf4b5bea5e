//! The addresses to which a page sends the end user back.

use std::str::FromStr as _;

use url::Url;

/// Parses an absolute `http` or `https` URL, whose origin must be in `origins` unless that list is
/// empty. The error continues a sentence that begins with the name of the parameter.
pub(crate) fn parse(text: &str, origins: &[String]) -> Result<Url, &'static str> {
    let url = match Url::from_str(text) {
        // The brief's own example has no scheme (C5).
        Err(url::ParseError::RelativeUrlWithoutBase) if !text.starts_with(['/', '\\']) => {
            Url::from_str(&format!("https://{text}"))
        }
        parsed => parsed,
    };
    let url = url.map_err(|_| "is not an absolute URL")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must be http or https");
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("must not hold user information or a fragment");
    }
    let has_this_origin = |allowed: &String| Url::parse(allowed).is_ok_and(|allowed| allowed.origin() == url.origin());
    if !origins.is_empty() && !origins.iter().any(has_this_origin) {
        return Err("has an origin that is not whitelisted");
    }
    Ok(url)
}

/// Adds parameters to the query of a URL. Each occurs once: it replaces a parameter of the same
/// name, which an application sends if it passes the return URL of an earlier visit (RFC 6749,
/// section 3.1).
pub(crate) fn with_parameters(mut url: Url, parameters: &[(&str, Option<&str>)]) -> Url {
    let added: Vec<(&str, &str)> = parameters.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect();
    let is_added = |name: &str| added.iter().any(|(added, _)| *added == name);
    if url.query_pairs().any(|(name, _)| is_added(&name)) {
        let others = url.query_pairs().into_owned().filter(|(name, _)| !is_added(name));
        let others: Vec<(String, String)> = others.collect();
        url.query_pairs_mut().clear().extend_pairs(others);
    }
    url.query_pairs_mut().extend_pairs(added);
    url
}
