//! Code as one line of text, and what its attributes say.

use quote::ToTokens;
use syn::Visibility;

use crate::Error;

pub(super) fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Code in one line, with the paths short that are long only to be safe.
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
        // Commas that the layout of a long line adds.
        (",>", ">"),
        (",)", ")"),
    ] {
        text = text.replace(long, short);
    }
    text
}

/// Whether an item is left out of the documentation, so that nobody may rely on it.
pub(super) fn is_hidden(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("doc") && text(&attribute.meta).contains("(hidden)"))
}

pub(super) fn unknown(item: &impl ToTokens) -> Error {
    let item: String = text(item).chars().take(200).collect();
    Error::new(format!("has a form that the list of public items does not know: {item}"))
        .help("teach xtask/src/generate/public_api this form")
}
