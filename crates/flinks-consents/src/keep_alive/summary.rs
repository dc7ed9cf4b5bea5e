//! The progress and the result of a run.

use std::fmt;

use crate::error::ConsentError;

/// The progress of a run.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Progress {
    /// The number of consents that were due when the worker started to process their shards.
    pub due: u64,
    /// The number of due consents that the worker has examined so far.
    pub examined: u64,
    /// The outcomes of the examined consents.
    pub summary: Summary,
    /// The number of shards for which the first pass is complete. Suspected consents are refreshed
    /// in a later pass.
    pub shards: u16,
}

/// The result of a run.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Summary {
    /// The number of consents that were refreshed. Each refresh moved the consent's idle deadline
    /// to 30 days after the refresh.
    pub refreshed: u64,
    /// The number of listed consents that this run did not refresh because another task or process
    /// had already refreshed them, removed them or recorded their end.
    pub refreshed_elsewhere: u64,
    /// The number of ended consents that this run reported to
    /// [`KeepAlive::on_ended`](super::KeepAlive::on_ended). This includes consents whose end was
    /// detected by another process. [O6](flinks::rules)
    pub ended: u64,
    /// The number of refreshes that were refused, possibly by a gateway
    /// ([`Refusal::Suspected`](flinks::Refusal::Suspected)). These consents are not reported,
    /// because only a later run can determine whether they have ended.
    pub suspected: u64,
    /// The number of consents whose refresh failed. They are due again in the next run.
    pub failed: u64,
    /// The number of due consents whose records are damaged or were encrypted with a key that this
    /// worker does not have. Each such record is logged.
    pub unreadable: u64,
    /// The error that prevented a pending write from being stored. The write exists only in this
    /// process until [`Consents::flush`](crate::Consents::flush) or a later call stores it.
    pub unstored: Option<ConsentError>,
    /// The number of shards that were skipped because another worker had leased them.
    pub shards_leased_elsewhere: u16,
    /// Why the run stopped early. `None` if the run processed all due consents.
    pub stopped: Option<Stopped>,
}

/// The details of a run that stopped early because its refreshes failed for a reason unrelated to
/// the individual consents.
///
/// A run that stops early reports no ended consents. The next run of the same worker first
/// refreshes a single consent. If that refresh succeeds or receives a final refusal, the run
/// continues where the stopped run left off.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stopped {
    /// Why the run stopped.
    pub reason: StopReason,
}

/// The reason a run stopped early, along with the last error.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StopReason {
    /// Twenty refreshes failed in a row.
    Failed(ConsentError),
    /// Many refreshes were refused, possibly by a gateway: twenty in a row, or at least twenty in
    /// total and more than a tenth of the examined consents. [O6](flinks::rules)
    Suspected(ConsentError),
}

/// The number of consecutive failures or suspected refusals that stops a run. Problems with
/// individual consents are unlikely to cause so many consecutive failures.
pub(super) const GIVE_UP: u64 = 20;

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => {
                write!(f, "{GIVE_UP} refreshes in a row failed; last error: {error}")
            }
            Self::Suspected(error) => {
                write!(f, "a gateway seems to be refusing the refreshes; last error: {error}")
            }
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { refreshed, refreshed_elsewhere, ended, failed, .. } = self;
        write!(f, "{refreshed} refreshed, {refreshed_elsewhere} refreshed elsewhere, {ended} ended, {failed} failed")?;
        if self.suspected > 0 {
            write!(f, "; {} refused, possibly by a gateway", self.suspected)?;
        }
        if self.unreadable > 0 {
            write!(f, "; {} unreadable (see the log)", self.unreadable)?;
        }
        if let Some(error) = &self.unstored {
            write!(f, "; a pending write exists only in this process: {error}")?;
        }
        if self.shards_leased_elsewhere > 0 {
            write!(f, "; shards skipped because other workers hold their leases: {}", self.shards_leased_elsewhere)?;
        }
        match &self.stopped {
            Some(Stopped { reason }) => {
                write!(f, "; stopped early: {reason}; the next run first refreshes a single consent")
            }
            None if *failed > 0 => write!(f, "; the next run retries the failed refreshes"),
            None => Ok(()),
        }
    }
}
