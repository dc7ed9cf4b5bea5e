//! Maintenance: the work after Flinks changes a document, from the changed page to a released
//! crate.
//!
//! | module | command | purpose |
//! | --- | --- | --- |
//! | [`import`] | `cargo xtask import` | merges published pages into the documents in `openapi/` |
//! | [`diff`] | `cargo xtask diff` | reports what changed between two versions, and the effect on users |
//! | [`update`] | `cargo xtask update` | imports, regenerates, compares, and proposes versions and changelogs |
//! | [`release`] | `cargo xtask release` | writes the proposed versions into manifests and changelogs |
//!
//! Helper modules:
//!
//! - [`versions`] reads the versions in the manifests.
//! - `changelog` reads and writes changelogs.
//! - `yaml_patch` replaces a part of a YAML text and keeps the rest byte for byte.
//! - `bases` reads the current version and the last release of each published crate.
//!
//! Invariants:
//!
//! - A command that fails because of its input has written nothing. The exception is `update`: if a
//!   document cannot be generated, the imported documents stay, and the next `update` continues from
//!   there.
//! - If a public item was changed or removed, the changelog lists it and the next version is a
//!   breaking one.
//! - [`generate`](crate::generate) and [`spec`](crate::spec) never import this module, so you can
//!   read the generator without it.

mod bases;
mod changelog;
pub mod diff;
pub mod import;
pub mod release;
pub mod update;
pub mod versions;
mod yaml_patch;
