//! The progress and the result of a run.

use std::fmt;

use crate::error::ConsentError;

/// The progress of a run.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Progress {
    /// How many consents were due when the worker started with their shard.
    pub due: u64,
    /// How many of the due consents were examined.
    pub examined: u64,
    /// The outcomes of the examined consents.
    pub summary: Summary,
    /// How many shards are done.
    pub shards: u16,
}

/// The result of a run.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Refreshed: valid for another 30 days.
    pub refreshed: u64,
    /// Refreshed, ended or forgotten elsewhere since they were listed.
    pub refreshed_elsewhere: u64,
    /// Ended: the end user must consent again (O6), whichever process found out. Each was reported to
    /// [`KeepAlive::on_needs_consent`](super::KeepAlive::on_needs_consent).
    pub needing_consent: u64,
    /// Refused in a way that a gateway may have caused ([`Refusal::Suspected`](flinks::Refusal::Suspected)).
    /// No end user is reported for them: a later run finds out whether the consent has ended.
    pub suspected: u64,
    /// Not refreshed because of an error. They are due in the next run, too.
    pub failed: u64,
    /// Due and unreadable: damaged, or encrypted with a key that this worker does not have. The log
    /// names each.
    pub unreadable: u64,
    /// Why a change could not be stored. It is in this process only;
    /// [`Consents::flush`](crate::Consents::flush) may store it later.
    pub unstored: Option<ConsentError>,
    /// How many shards were skipped because another worker had leased them.
    pub shards_leased_elsewhere: u16,
    /// Why the run stopped before its end. `None` if it went through all consents that were due.
    pub stopped: Option<Stopped>,
}

/// A run that stopped before its end, because the refreshes failed for a reason that lies outside of
/// the consents. It has reported no end user. The next run tries a single consent first. If that one
/// can be refreshed, the run continues where this one stopped.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stopped {
    /// Why it stopped.
    pub reason: StopReason,
}

/// The reason why a run stopped, with the last error.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StopReason {
    /// Twenty refreshes failed in a row, so no more requests were sent to the server.
    Failed(ConsentError),
    /// Twenty refusals in a row, or more than a tenth of the run and at least twenty, may have been
    /// sent by a gateway (O6).
    Suspected(ConsentError),
}

/// So many failures, or suspected refusals, in a row are not caused by the consents.
pub(super) const GIVE_UP: u64 = 20;

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => {
                write!(f, "refreshes failed {GIVE_UP} times in a row, the last one with: {error}")
            }
            Self::Suspected(error) => {
                write!(f, "a gateway seems to refuse the refreshes, the last one with: {error}")
            }
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { refreshed, refreshed_elsewhere, needing_consent, failed, .. } = self;
        write!(
            f,
            "{refreshed} refreshed, {refreshed_elsewhere} refreshed elsewhere, {needing_consent} need their end user, {failed} failed"
        )?;
        if self.suspected > 0 {
            write!(f, "; {} were refused, perhaps by a gateway", self.suspected)?;
        }
        if self.unreadable > 0 {
            write!(f, "; {} cannot be read: the log names them", self.unreadable)?;
        }
        if let Some(error) = &self.unstored {
            write!(f, "; {error}: a refresh token is in this process only")?;
        }
        if self.shards_leased_elsewhere > 0 {
            write!(f, "; other workers have leased {} shards", self.shards_leased_elsewhere)?;
        }
        match &self.stopped {
            Some(Stopped { reason }) => write!(f, "; stopped: {reason}; the next run tries one consent first"),
            None if *failed > 0 => write!(f, "; failed consents are due in the next run"),
            None => Ok(()),
        }
    }
}
