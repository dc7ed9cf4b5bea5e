//! Contains the maintenance commands to run after Flinks changes a document, from importing the
//! changed page to releasing the crates.
//!
//! | module | command | purpose |
//! | --- | --- | --- |
//! | [`import`] | `cargo xtask import` | merges published pages into the documents in `openapi/` |
//! | [`diff`] | `cargo xtask diff` | reports what changed between two versions and how the changes affect users |
//! | [`lint`] | `cargo xtask lint` | reports what prevents code generation, and suggests an overlay |
//! | [`update`] | `cargo xtask update` | imports, regenerates, compares, and proposes versions and changelogs |
//! | [`release`] | `cargo xtask release` | writes the proposed versions into manifests and changelogs |
//! | [`spec`] | `cargo xtask spec` | prints the corrected documents for use in other tools |
//!
//! Helper modules:
//!
//! - [`versions`] reads the versions in the manifests.
//! - `changelog` reads and writes changelogs.
//! - `yaml_patch` replaces part of a YAML string and keeps the rest byte for byte.
//! - `bases` reads the current version and the last release of each published crate.
//!
//! Invariants:
//!
//! - A command that fails because of its input writes nothing. The only exception is `update`,
//!   which keeps the imported documents if code cannot be generated from a document. The next
//!   `update` continues from the imported documents.
//! - If a public item was changed or removed, the changelog lists it and the next version is a
//!   breaking release.
//! - [`generate`](crate::generate) and [`spec`](crate::spec) never import this module, so you can
//!   read the generator without reading this module.

mod bases;
mod changelog;
pub mod diff;
pub mod import;
pub mod lint;
pub mod release;
pub mod spec;
pub mod update;
pub mod versions;
mod yaml_patch;
