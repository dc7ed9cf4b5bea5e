//! The hosts of Flinks' products, so that a base URL of another product is refused.

use flinks_core::BaseUrl;

use crate::error::Error;
use crate::operation::Product;

/// Refuses a base URL if its host is one that Flinks' pages name for another product, or if it has a path on a host that they
/// name for this one. Other hosts, such as those of a gateway, are accepted.
pub(crate) fn check_host(base_url: &BaseUrl, product: Product) -> Result<(), Error> {
    let reason = match product_of(base_url.host()) {
        Some(other) if other == product && base_url.has_path() => {
            "has a path; leave it out, because the client appends it"
        }
        Some(Product::Pay) if product != Product::Pay => "is a host of Flinks Pay",
        Some(Product::Connect) if product != Product::Connect => "is a host of Flinks Connect",
        Some(Product::Outbound) if product != Product::Outbound => "is a host of Flinks Outbound",
        _ => return Ok(()),
    };
    Err(Error::configuration("base URL", reason))
}

/// Returns the product that a host belongs to (P7, C8, O11).
fn product_of(host: &str) -> Option<Product> {
    match host {
        "payments.flinksapp.com" | "payments-uat.flinksapp.com" => Some(Product::Pay),
        "api.flinks.io" | "ob.flinksapp.com" => Some(Product::Outbound),
        _ if host.ends_with(".private.fin.ag") => Some(Product::Connect),
        _ => None,
    }
}
