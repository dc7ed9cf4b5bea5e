//! Expands `macro_rules!` macros that have a single rule. A single rule is enough for macros that
//! define types and implementations.

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, Group, Ident, Punct, Spacing, TokenStream, TokenTree};

/// The rule of a macro, or `None` if the macro has an unsupported form. Calling an unsupported
/// macro is an error.
#[derive(Debug)]
pub(super) struct Rule(Option<(Vec<TokenTree>, Vec<TokenTree>)>);

/// The tokens that a pattern variable matched.
#[derive(Clone, Debug)]
enum Binding {
    One(Vec<TokenTree>),
    Many(Vec<Binding>),
}

type Bindings = BTreeMap<String, Binding>;

/// A part of a pattern or body.
enum Part<'a> {
    /// `$name`.
    Variable(&'a Ident, &'a [TokenTree]),
    /// `$( … ) sep *`, with its separator.
    Repetition(Vec<TokenTree>, Option<char>, &'a [TokenTree]),
    Token(&'a TokenTree, &'a [TokenTree]),
}

impl Rule {
    /// Parses `(pattern) => { body };`.
    pub(super) fn new(tokens: &TokenStream) -> Self {
        let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
        let is_end = |rest: &[TokenTree]| match rest {
            [] => true,
            [TokenTree::Punct(end)] => end.as_char() == ';',
            _ => false,
        };
        Self(match tokens.as_slice() {
            [
                TokenTree::Group(pattern),
                TokenTree::Punct(_),
                TokenTree::Punct(_),
                TokenTree::Group(body),
                rest @ ..,
            ] if is_end(rest) => Some((pattern.stream().into_iter().collect(), body.stream().into_iter().collect())),
            _ => None,
        })
    }

    /// Returns the expanded body for a call, or `None` if the call or the macro has an unsupported
    /// form.
    pub(super) fn expand(&self, input: &TokenStream) -> Option<TokenStream> {
        let (pattern, body) = self.0.as_ref()?;
        let input: Vec<TokenTree> = input.clone().into_iter().collect();
        let mut bindings = Bindings::new();
        let rest = match_pattern(pattern, &input, &mut bindings)?;
        if !rest.is_empty() {
            return None;
        }
        let mut out = Vec::new();
        transcribe(body, &bindings, &mut out)?;
        Some(out.into_iter().collect())
    }
}

fn next_part(tokens: &[TokenTree]) -> Option<Part<'_>> {
    let (first, rest) = tokens.split_first()?;
    let is_dollar = matches!(first, TokenTree::Punct(dollar) if dollar.as_char() == '$');
    match rest.split_first() {
        Some((TokenTree::Ident(name), rest)) if is_dollar => Some(Part::Variable(name, rest)),
        Some((TokenTree::Group(group), rest)) if is_dollar => {
            let inner = group.stream().into_iter().collect();
            match rest {
                [TokenTree::Punct(operator), rest @ ..] if matches!(operator.as_char(), '*' | '+' | '?') => {
                    Some(Part::Repetition(inner, None, rest))
                }
                [TokenTree::Punct(separator), TokenTree::Punct(_), rest @ ..] => {
                    Some(Part::Repetition(inner, Some(separator.as_char()), rest))
                }
                _ => None,
            }
        }
        _ => Some(Part::Token(first, rest)),
    }
}

/// Matches a pattern against the start of the input and returns the rest of the input.
fn match_pattern<'a>(
    pattern: &[TokenTree],
    input: &'a [TokenTree],
    bindings: &mut Bindings,
) -> Option<&'a [TokenTree]> {
    if pattern.is_empty() {
        return Some(input);
    }
    match next_part(pattern)? {
        Part::Variable(name, rest) => {
            let [TokenTree::Punct(_), TokenTree::Ident(kind), rest @ ..] = rest else { return None };
            let (taken, left) = input.split_at_checked(token_count(&kind.to_string(), input)?)?;
            bindings.insert(name.to_string(), Binding::One(taken.to_vec()));
            match_pattern(rest, left, bindings)
        }
        Part::Repetition(inner, separator, rest) => {
            let mut left = input;
            let mut all: BTreeMap<String, Vec<Binding>> =
                variables(&inner).into_iter().map(|name| (name, Vec::new())).collect();
            while !left.is_empty() {
                let mut one = Bindings::new();
                let Some(after) = match_pattern(&inner, left, &mut one) else { break };
                if after.len() == left.len() {
                    break;
                }
                for (name, binding) in one {
                    all.entry(name).or_default().push(binding);
                }
                left = match (separator, after) {
                    (Some(separator), [TokenTree::Punct(found), rest @ ..]) if found.as_char() == separator => rest,
                    _ => after,
                };
            }
            bindings.extend(all.into_iter().map(|(name, many)| (name, Binding::Many(many))));
            match_pattern(rest, left, bindings)
        }
        Part::Token(token, rest) => {
            let (found, left) = input.split_first()?;
            match (token, found) {
                (TokenTree::Group(pattern), TokenTree::Group(found)) if pattern.delimiter() == found.delimiter() => {
                    let pattern: Vec<TokenTree> = pattern.stream().into_iter().collect();
                    let found: Vec<TokenTree> = found.stream().into_iter().collect();
                    if !match_pattern(&pattern, &found, bindings)?.is_empty() {
                        return None;
                    }
                }
                _ if token.to_string() != found.to_string() => return None,
                _ => {}
            }
            match_pattern(rest, left, bindings)
        }
    }
}

/// Returns the number of tokens that a variable of this kind matches.
fn token_count(kind: &str, input: &[TokenTree]) -> Option<usize> {
    match (kind, input) {
        ("ident", [TokenTree::Ident(_), ..]) | ("literal", [TokenTree::Literal(_), ..]) | ("tt", [_, ..]) => Some(1),
        // An attribute: the content of its brackets.
        ("meta", [_, ..]) => Some(input.len()),
        ("vis", [TokenTree::Ident(word), TokenTree::Group(group), ..])
            if word == "pub" && group.delimiter() == Delimiter::Parenthesis =>
        {
            Some(2)
        }
        ("vis", [TokenTree::Ident(word), ..]) if word == "pub" => Some(1),
        ("vis", _) => Some(0),
        // All tokens up to the next comma or the end.
        ("ty" | "expr" | "path", [_, ..]) => {
            let end = input
                .iter()
                .position(|token| matches!(token, TokenTree::Punct(end) if matches!(end.as_char(), ',' | ';')));
            Some(end.unwrap_or(input.len()))
        }
        _ => None,
    }
}

fn variables(tokens: &[TokenTree]) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = tokens;
    while let Some(part) = next_part(rest) {
        rest = match part {
            Part::Variable(name, rest) => {
                names.push(name.to_string());
                rest
            }
            Part::Repetition(inner, _, rest) => {
                names.extend(variables(&inner));
                rest
            }
            Part::Token(token, rest) => {
                if let TokenTree::Group(group) = token {
                    names.extend(variables(&group.stream().into_iter().collect::<Vec<_>>()));
                }
                rest
            }
        };
    }
    names
}

fn transcribe(body: &[TokenTree], bindings: &Bindings, out: &mut Vec<TokenTree>) -> Option<()> {
    let mut rest = body;
    while !rest.is_empty() {
        rest = match next_part(rest)? {
            Part::Variable(name, rest) if name == "crate" => {
                out.push(TokenTree::Ident(name.clone()));
                rest
            }
            Part::Variable(name, rest) => {
                let Binding::One(tokens) = bindings.get(&name.to_string())? else { return None };
                out.extend(tokens.iter().cloned());
                rest
            }
            Part::Repetition(inner, separator, rest) => {
                let used: Vec<(String, &Vec<Binding>)> = variables(&inner)
                    .into_iter()
                    .filter_map(|name| match bindings.get(&name)? {
                        Binding::Many(many) => Some((name, many)),
                        Binding::One(_) => None,
                    })
                    .collect();
                let count = used.iter().map(|(_, many)| many.len()).max()?;
                for index in 0..count {
                    if let Some(separator) = separator
                        && index > 0
                    {
                        out.push(TokenTree::Punct(Punct::new(separator, Spacing::Alone)));
                    }
                    let mut own = bindings.clone();
                    for (name, many) in &used {
                        own.insert(name.clone(), many.get(index)?.clone());
                    }
                    transcribe(&inner, &own, out)?;
                }
                rest
            }
            Part::Token(TokenTree::Group(group), rest) => {
                let mut inner = Vec::new();
                transcribe(&group.stream().into_iter().collect::<Vec<_>>(), bindings, &mut inner)?;
                out.push(TokenTree::Group(Group::new(group.delimiter(), inner.into_iter().collect())));
                rest
            }
            Part::Token(token, rest) => {
                out.push(token.clone());
                rest
            }
        };
    }
    Some(())
}
