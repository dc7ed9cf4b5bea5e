//! Defines the three Flinks products and the paths of their files.

use std::path::{Path, PathBuf};

/// A Flinks product. Each product has one document and one crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[allow(missing_docs)]
pub enum Product {
    Pay,
    Connect,
    Outbound,
}

impl Product {
    /// All products, in the order in which their code is generated.
    pub const ALL: [Self; 3] = [Self::Pay, Self::Connect, Self::Outbound];

    /// Returns the name of the product.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pay => "pay",
            Self::Connect => "connect",
            Self::Outbound => "outbound",
        }
    }

    /// Returns the server URL from the document, or `None` if the URL does not identify the
    /// product. An import uses the URL to find the product for a page that does not name its
    /// product.
    pub fn server(self) -> Option<&'static str> {
        match self {
            Self::Pay => Some("https://www.{baseurl}.com"),
            Self::Connect => Some("https://{instance}-api.private.fin.ag"),
            Self::Outbound => None,
        }
    }

    /// Returns the name of the crate, which is also the name of the document.
    pub fn crate_name(self) -> &'static str {
        match self {
            Self::Pay => "flinks-pay",
            Self::Connect => "flinks-connect",
            Self::Outbound => "flinks-outbound",
        }
    }

    /// Returns the path of the document, relative to the project's root.
    pub fn document(self) -> PathBuf {
        Path::new("openapi").join(self.crate_name()).with_extension("yaml")
    }

    /// Returns the path of the overlay, relative to the project's root.
    pub fn overlay(self) -> PathBuf {
        Path::new("openapi/overlays").join(self.crate_name()).with_extension("yaml")
    }

    /// Returns the path of the generated file, relative to the project's root.
    pub fn generated(self) -> PathBuf {
        self.folder().join("src/generated.rs")
    }

    /// Returns the path of the list of public items, relative to the project's root.
    pub fn public_api(self) -> PathBuf {
        self.folder().join("public-api.txt")
    }

    /// Returns the folder of the crate, relative to the project's root.
    pub fn folder(self) -> PathBuf {
        Path::new("crates").join(self.crate_name())
    }
}
