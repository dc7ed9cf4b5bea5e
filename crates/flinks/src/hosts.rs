//! The known hosts of Flinks products. A client rejects a base URL whose host belongs to another
//! product.

use flinks_core::BaseUrl;

use crate::error::Error;
use crate::operation::Product;

/// Rejects a base URL whose host belongs to another product according to the Flinks documentation.
/// Also rejects a base URL with a path if the host belongs to `product`. Any other host is
/// accepted, for example the host of a gateway.
pub(crate) fn check_host(base_url: &BaseUrl, product: Product) -> Result<(), Error> {
    let reason = match product_of(base_url.host()) {
        Some(other) if other == product && base_url.has_path() => "must not have a path; the client appends the path",
        Some(Product::Pay) if product != Product::Pay => "belongs to Flinks Pay",
        Some(Product::Connect) if product != Product::Connect => "belongs to Flinks Connect",
        Some(Product::Outbound) if product != Product::Outbound => "belongs to Flinks Outbound",
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
