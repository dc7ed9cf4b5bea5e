//! Formats code as one line of text and reads attributes.

use quote::ToTokens;
use syn::Visibility;

use crate::Error;

pub(super) fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Formats code as one line and shortens absolute paths.
pub(super) fn text(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (long, short) in [
        (":: std :: option :: Option", "Option"),
        (":: std :: string :: String", "String"),
        (":: std :: vec :: Vec", "Vec"),
        (":: std :: boxed :: Box", "Box"),
        (":: std ::", "std ::"),
        (":: flinks_core ::", "flinks_core ::"),
        (":: serde ::", "serde ::"),
        (":: uuid ::", "uuid ::"),
        (" :: ", "::"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        ("& ", "&"),
        ("( ", "("),
        (" (", "("),
        (" )", ")"),
        ("[ ", "["),
        (" ]", "]"),
        // Removes trailing commas.
        (",>", ">"),
        (",)", ")"),
    ] {
        if text.contains(long) {
            text = text.replace(long, short);
        }
    }
    text
}

/// Returns whether an item is hidden from the documentation.
pub(super) fn is_hidden(attributes: &[syn::Attribute]) -> bool {
    let is_list = |attribute: &&syn::Attribute| matches!(attribute.meta, syn::Meta::List(_));
    attributes
        .iter()
        .filter(is_list)
        .any(|attribute| attribute.path().is_ident("doc") && text(&attribute.meta).contains("(hidden)"))
}

pub(super) fn unknown(item: &impl ToTokens) -> Error {
    let item: String = text(item).chars().take(200).collect();
    Error::new(format!("cannot list this kind of public item: {item}")).help("extend xtask/src/generate/public_api")
}
