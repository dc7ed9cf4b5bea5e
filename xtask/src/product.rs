//! The three Flinks products and the paths that belong to each.

use std::path::{Path, PathBuf};

/// A Flinks product, which has one document and one crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[allow(missing_docs)]
pub enum Product {
    Pay,
    Connect,
    Outbound,
}

impl Product {
    /// All of them, in the order in which they are generated.
    pub const ALL: [Self; 3] = [Self::Pay, Self::Connect, Self::Outbound];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pay => "pay",
            Self::Connect => "connect",
            Self::Outbound => "outbound",
        }
    }

    /// The server of its document, by which a slice is known that does not name the document; none, where the server is any
    /// host at all.
    pub fn server(self) -> Option<&'static str> {
        match self {
            Self::Pay => Some("https://www.{baseurl}.com"),
            Self::Connect => Some("https://{instance}-api.private.fin.ag"),
            Self::Outbound => None,
        }
    }

    /// The name of the crate, which is the name of the document too.
    pub fn crate_name(self) -> &'static str {
        match self {
            Self::Pay => "flinks-pay",
            Self::Connect => "flinks-connect",
            Self::Outbound => "flinks-outbound",
        }
    }

    /// The document, from the project's root.
    pub fn document(self) -> PathBuf {
        Path::new("openapi").join(self.crate_name()).with_extension("yaml")
    }

    /// Our corrections of it, from the project's root.
    pub fn overlay(self) -> PathBuf {
        Path::new("openapi/overlays").join(self.crate_name()).with_extension("yaml")
    }

    /// The generated file, from the project's root.
    pub fn generated(self) -> PathBuf {
        self.folder().join("src/generated.rs")
    }

    /// The list of what the generated file makes public, from the project's root.
    pub fn public_api(self) -> PathBuf {
        self.folder().join("public-api.txt")
    }

    /// The folder of the crate, from the project's root.
    pub fn folder(self) -> PathBuf {
        Path::new("crates").join(self.crate_name())
    }
}
