//! Moves consents to another store while the application runs.
//!
//! 1. Deploy every process with [`MigratingStore::prepare`], which uses both stores but stores new
//!    consents in the old one, where processes that use only the old store can still find them.
//! 2. Once no process uses only the old store, deploy every process with [`MigratingStore::new`],
//!    which stores new consents in the new store.
//! 3. When this deployment is also complete, run a [`Migration`].
//! 4. When its summary [is complete](MigrationSummary::is_complete), deploy every process with only
//!    the new store.
//!
//! If you stop all processes between deployments, you can skip the first step. To move the consents
//! back, follow the same steps with the two stores swapped.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use flinks_consents::flinks::outbound::{Client, ClientCredentials, RefreshToken};
//! use flinks_consents::migrate::{MigratingStore, Migration};
//! use flinks_consents::{Consents, MemoryStore, TokenStore as _};
//!
//! # let client = Client::builder("http://127.0.0.1:8080".parse()?, ClientCredentials::new("id", "secret")?).build()?;
//! # let id = "user-7".parse()?;
//! let (old, new) = (MemoryStore::new(), MemoryStore::new());
//! # let consents = Consents::builder(client.clone()).store(old.clone()).build();
//! # consents.import(&id, RefreshToken::new("refresh-token")?, std::time::SystemTime::now()).await?;
//!
//! // Every process of the application:
//! let consents = Consents::builder(client).store(MigratingStore::new(old.clone(), new.clone())).build();
//!
//! // One process, while the others run:
//! let summary = Migration::new(old.clone(), new.clone()).run().await?;
//! assert!(summary.is_complete(), "{summary}");
//! assert!(new.load(&id).await?.is_some());
//! # drop(consents);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! Do not restore a backup of either store during the migration.
//!
//! # Protocol
//!
//! For each consent, the record in the old store is authoritative if there is one. Otherwise, the
//! record in the new store is authoritative. During the migration, nothing creates a record in the
//! old store, so a consent that has left the old store never returns to it.
//!
//! ```text
//!             old store       new store                authoritative
//!             record g        –                        old
//! reserve     record g        reservation r            old
//! copy        record g        copy of g (marked)       old
//! verify      record g        copy of g (marked)       old
//! commit      –               copy of g (marked)       new: the same record with the same generation
//! unmark      –               record g                 new
//! ```
//!
//! - The commit is a single conditional removal from the old store. The removal fails if the record
//!   has changed since it was copied, so a move and a change are mutually exclusive. A move does
//!   not change the record or its generation, so other processes do not notice it, and any lease
//!   stays valid.
//! - Every step is conditional on the generation in the store that it changes. A reservation has a
//!   random generation that is used only once, and a copy can replace only the reservation that the
//!   copy's writer made while the old store had the record. A delayed step therefore cannot bring
//!   back a record that was removed or replaced, no matter how long the delay, even after a crash.
//! - A copy of the current generation is never replaced. A task that finds such a copy continues
//!   with the verification. The new store is read before the old one, so that a copy that another
//!   task is about to commit is recognized as current.
//! - An unmarked record in the new store is authoritative, even if the old store loses its latest
//!   removals, for example in a Redis failover. The new store is therefore read first.
//! - If the application removes a record from the old store, the record is first moved, because a
//!   removal from the old store is a commit.
//!
//! If a process stops between two steps, the next migration continues from there. The migration
//! also removes any mark that remains in the new store after the record has left the old one.
//!
//! | file | content |
//! | --- | --- |
//! | `marks.rs` | the marks on reservations and copies |
//! | `transfer.rs` | moving one record, and settling: removing the mark from a committed copy, or an unused reservation |
//! | `migrating_store.rs` | the store that the application uses during the migration |
//! | `work.rs` | keep-alive during the migration |
//! | `migration.rs` | moving all records, with a rate limit and progress reports |

mod marks;
mod migrating_store;
mod migration;
#[cfg(test)]
mod tests;
mod transfer;
mod work;

pub use self::migrating_store::MigratingStore;
pub use self::migration::{Migration, MigrationProgress, MigrationSummary};
