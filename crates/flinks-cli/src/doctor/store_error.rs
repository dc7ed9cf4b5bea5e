//! How to fix store errors.
//!
//! The fix depends on the variant of the error and on the call. The message is shown, but never
//! examined.

use flinks_consents::store::StoreError;

use super::report::Outcome;
use crate::failure::exit_for_store;
use crate::profile::StoreKind;

/// The call that returned the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// The first call, which connects and checks the tables and the name key.
    First,
    Write,
    Read,
}

/// Returns the outcome of a call that failed.
pub(super) fn outcome(error: &StoreError, kind: StoreKind, call: Call) -> Outcome {
    Outcome::failed(exit_for_store(error), error.to_string(), cure(error, kind, call))
}

fn cure(error: &StoreError, kind: StoreKind, call: Call) -> &'static str {
    match error {
        StoreError::Unavailable(_) => unavailable(kind, call),
        StoreError::Busy(_) => "other processes use the store: try again later",
        StoreError::Misconfigured(_) => misconfigured(kind, call),
        _ => {
            "restore the damaged data from a backup; the end users of consents that cannot be restored must consent again \
             with `flinks login`"
        }
    }
}

fn unavailable(kind: StoreKind, call: Call) -> &'static str {
    match (kind, call) {
        (StoreKind::File, _) => "mount the volume that contains the folder, and check its free space",
        (_, Call::First) => {
            "start the server, or correct the host and the port in store.url with `flinks config set-secret store.url`; check \
             the firewall between this machine and the server"
        }
        (_, Call::Write) => {
            "connect to the primary: a replica or a standby accepts no writes; also check the memory and the disk space of \
             the server"
        }
        (_, Call::Read) => "try again later, and check the server's log",
    }
}

fn misconfigured(kind: StoreKind, call: Call) -> &'static str {
    match (kind, call) {
        (StoreKind::File, _) => {
            "use `chown` to make the user who runs `flinks` the owner of the folder, and `chmod 700` to make it \
             accessible only to that user; also run `chmod go-w` on each parent folder that the message names"
        }
        (StoreKind::Redis, Call::First) => {
            "correct what the message names: the credentials or the database in store.url (`flinks config set-secret \
             store.url`), the permissions of the Redis user (`ACL SETUSER`, see the README of flinks-redis), the \
             certificates, or the name key, which must be the one with which the store was first used (`flinks config \
             set-secret store.name_key`)"
        }
        (StoreKind::Redis, _) => "grant the Redis user the commands in the README of flinks-redis with `ACL SETUSER`",
        (StoreKind::Postgres, Call::First) => {
            "correct what the message names: the credentials or the database in store.url (`flinks config set-secret \
             store.url`), the tables (run the migrations in crates/flinks-postgres/migrations as their owner, with the \
             version that the applications use), the privileges (the GRANT statements in the README of flinks-postgres), \
             the certificates, or the name key, which must be the one with which the store was first used (`flinks \
             config set-secret store.name_key`)"
        }
        (StoreKind::Postgres, _) => {
            "run the GRANT statements in the README of flinks-postgres for the user in store.url"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    #[test]
    fn the_variant_and_the_call_decide() {
        let unavailable = StoreError::unavailable("is a canary");
        let misconfigured = StoreError::misconfigured("is a canary");
        let damaged = StoreError::damaged("is a canary");
        for (error, kind, call, exit, cure) in [
            (&unavailable, StoreKind::Redis, Call::First, Exit::TryLater, "store.url"),
            (&unavailable, StoreKind::Redis, Call::Write, Exit::TryLater, "primary"),
            (&unavailable, StoreKind::File, Call::First, Exit::TryLater, "volume"),
            (&misconfigured, StoreKind::Redis, Call::First, Exit::Configuration, "store.name_key"),
            (&misconfigured, StoreKind::Redis, Call::Write, Exit::Configuration, "ACL SETUSER"),
            (&misconfigured, StoreKind::Postgres, Call::First, Exit::Configuration, "run the migrations"),
            (&misconfigured, StoreKind::Postgres, Call::Write, Exit::Configuration, "GRANT"),
            (&misconfigured, StoreKind::File, Call::First, Exit::Configuration, "chmod 700"),
            (&damaged, StoreKind::File, Call::Read, Exit::Failed, "backup"),
        ] {
            let Outcome::Failed { finding, exit: found } = outcome(error, kind, call) else { panic!("{error}") };
            assert_eq!(finding.problem, "the token store is a canary");
            assert_eq!(found, exit);
            assert!(finding.cure.contains(cure), "{}", finding.cure);
        }
    }
}
