//! Marks the records in the new store that are not authoritative yet.
//!
//! A mark is a lease with a special holder. Programs that do not know about the migration treat the
//! mark on a reservation as a lease that expired long ago, and the mark on a copy as another
//! process's lease that expires when the record's own lease does.

use std::time::{Duration, UNIX_EPOCH};

use flinks::outbound::RefreshToken;

use crate::store::{Lease, Record, Standing};

/// The holder of the lease on a reservation.
const RESERVATION: &str = "migration:reservation";
/// The prefix for the holder of the lease on a copy. The prefix is followed by the holder of the
/// record's own lease.
const COPY: &str = "migration:copy:";

/// The meaning of a record in the new store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// A placeholder for a copy. It is not a record of the consent.
    Reservation,
    /// A copy of a record in the old store. It is authoritative if the old store has no record.
    Copy,
    /// An authoritative record.
    None,
}

impl Mark {
    pub(super) fn of(record: &Record) -> Self {
        match record.lease.as_deref() {
            Some(lease) if lease.owner == RESERVATION => Self::Reservation,
            Some(lease) if lease.owner.starts_with(COPY) => Self::Copy,
            _ => Self::None,
        }
    }
}

/// Whether the end of a consent must still be reported after the move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndReport {
    Pending,
    NotNeeded,
}

/// Creates a reservation for a copy of `record`. Its generation is random, so no other record or
/// reservation has the same generation.
///
/// A store adds a consent to its list of unreported ends when an active record is replaced with an
/// ended one. The reservation is therefore active only if the end of the consent must be reported.
pub(super) fn reservation(record: &Record, report: EndReport) -> Record {
    // The record's token is not used, because the reservation may outlive the record.
    let token = RefreshToken::new("reserved").unwrap_or_else(|_| record.refresh_token.clone());
    let standing = match report {
        EndReport::Pending => Standing::Active,
        EndReport::NotNeeded => Standing::Ended(None),
    };
    Record {
        standing,
        lease: Some(Box::new(mark(RESERVATION.to_owned(), None))),
        ..Record::new(record.id.clone(), token, record.consented_at, record.refreshed_at)
    }
}

/// Creates a copy of `record` with the same generation, so that a process that has loaded the record
/// from the old store can still change it in the new store.
pub(super) fn copy_of(record: &Record) -> Record {
    let lease = record.lease.as_deref();
    let holder = lease.map(|lease| lease.owner.as_str()).unwrap_or_default();
    Record {
        lease: Some(Box::new(mark(format!("{COPY}{holder}"), lease))),
        // The new store has no entry for the owner yet.
        is_owner_new: true,
        ..record.clone()
    }
}

fn mark(owner: String, lease: Option<&Lease>) -> Lease {
    Lease {
        owner,
        expires_at: lease.map_or(UNIX_EPOCH, |lease| lease.expires_at),
        duration: lease.map_or(Duration::ZERO, |lease| lease.duration),
    }
}

/// Removes the mark from a copy and thus restores the record that was copied.
pub(super) fn unmarked(mut record: Record) -> Record {
    let Some(lease) = record.lease.as_mut() else { return record };
    let Some(holder) = lease.owner.strip_prefix(COPY) else { return record };
    if holder.is_empty() {
        record.lease = None;
    } else {
        lease.owner = holder.to_owned();
    }
    record
}
