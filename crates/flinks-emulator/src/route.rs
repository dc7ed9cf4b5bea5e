//! Finds the operation that matches the method and path of a request.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use hyper::{Method, Uri};

use crate::operation::Operation;
use crate::start;

pub(crate) enum Route {
    /// An operation, and the parameters in its path.
    Operation(Operation, Vec<String>),
    /// The start page at the base URL.
    Start,
    /// The start page's form, which opens the iframe page with a new token.
    IframeDemo,
    /// The path exists, but supports only these methods.
    WrongMethod(String),
    /// The path does not exist.
    NotFound,
}

pub(crate) fn route(method: &Method, uri: &Uri) -> Route {
    let path = uri.path();
    if path == "/" && *method == Method::GET && !start::is_iframe_query(uri.query().unwrap_or_default()) {
        return Route::Start;
    }
    if path == start::IFRAME_DEMO {
        if *method != Method::POST {
            return Route::WrongMethod(Method::POST.to_string());
        }
        return Route::IframeDemo;
    }
    let Ok(found) = ROUTER.at(path) else { return Route::NotFound };
    match found.value.iter().find(|(allowed, _)| allowed == method) {
        Some((_, operation)) => {
            Route::Operation(*operation, found.params.iter().map(|(_, value)| value.to_owned()).collect())
        }
        None => {
            let methods: Vec<&str> = found.value.iter().map(|(method, _)| *method).collect();
            Route::WrongMethod(methods.join(", "))
        }
    }
}

/// The operations at a path, each with its method.
type Methods = Vec<(&'static str, Operation)>;

static ROUTER: LazyLock<matchit::Router<Methods>> = LazyLock::new(|| {
    let mut paths = BTreeMap::<&str, Methods>::new();
    for operation in Operation::ALL {
        for (method, path) in operation.routes().iter().filter_map(|route| route.split_once(' ')) {
            paths.entry(path).or_default().push((method, operation));
        }
    }
    let mut router = matchit::Router::new();
    for (path, methods) in paths {
        // An error means that two paths in the table conflict. The test
        // `each_route_leads_to_its_operation` detects such a conflict.
        let _ = router.insert(path, methods);
    }
    router
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_leads_to_its_operation() {
        for operation in Operation::ALL {
            for found in operation.routes() {
                let (method, path) = found.split_once(' ').unwrap();
                // At the path `/`, the query selects the iframe page instead of the start page.
                let uri: Uri = format!("{path}?redirectUrl=x").replace(['{', '}'], "").parse().unwrap();
                let Route::Operation(reached, parameters) = route(&method.parse().unwrap(), &uri) else {
                    panic!("{found}: no operation");
                };
                assert_eq!(reached, operation, "{found}");
                assert_eq!(parameters.len(), path.matches('{').count(), "{found}");
            }
        }
    }
}
