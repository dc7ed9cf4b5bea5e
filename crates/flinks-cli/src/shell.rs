//! Commands that the user can copy into a shell.

use std::sync::OnceLock;

/// The profile that an argument or a variable selected.
static SELECTED_PROFILE: OnceLock<String> = OnceLock::new();

/// Remembers the selected profile, so that suggested commands select it as well.
pub(crate) fn select_profile(name: &str) {
    // The program calls this function once.
    let _ = SELECTED_PROFILE.set(name.to_owned());
}

/// Returns a `flinks` command with the selected profile, in backquotes.
pub(crate) fn command(arguments: &str) -> String {
    match SELECTED_PROFILE.get() {
        Some(name) => format!("`flinks {arguments} --profile {}`", quoted(name)),
        None => format!("`flinks {arguments}`"),
    }
}

/// Quotes text for a shell, unless it contains only characters that need no quotes.
pub(crate) fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_for_a_shell() {
        for (text, expected) in
            [("user-7", "user-7"), ("", "''"), ("user 7", "'user 7'"), ("a'b", r"'a'\''b'"), ("$(x)", "'$(x)'")]
        {
            assert_eq!(quoted(text), expected);
        }
    }
}
