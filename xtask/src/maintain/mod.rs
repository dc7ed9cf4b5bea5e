//! Maintenance: what happens when Flinks changes a document, from the changed page to a released crate.
//!
//! | module | command | does |
//! | --- | --- | --- |
//! | [`import`] | `cargo xtask import` | merges published pages into the documents in `openapi/` |
//! | [`diff`] | `cargo xtask diff` | reports what changed between two versions, and what that means for users |
//! | [`update`] | `cargo xtask update` | imports, regenerates, compares, and proposes versions and changelogs |
//! | [`release`] | `cargo xtask release` | makes the proposed versions the versions |
//!
//! [`versions`] reads the versions in the manifests, `changelog` reads and writes changelogs, `yaml_patch` replaces a part
//! of a YAML text and keeps the rest byte for byte, `git` runs git, and `bases` says
//! where each published crate stands.
//!
//! Invariants:
//!
//! - A command that fails has written nothing. The exception is `update`: if a document cannot be generated, the import
//!   before it stays, and the next `update` continues from there.
//! - A public item that was changed or removed is listed in the changelog, and makes the next version a breaking one.
//! - [`generate`](crate::generate) and [`spec`](crate::spec) never import this module: a reader of the generator need not
//!   know it.

mod bases;
mod changelog;
pub mod diff;
mod git;
pub mod import;
pub mod release;
pub mod update;
pub mod versions;
mod yaml_patch;
