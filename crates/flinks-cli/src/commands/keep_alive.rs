//! `flinks keep-alive`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use flinks_consents::flinks::Advice;
use flinks_consents::keep_alive::{StopReason, Summary};
use flinks_consents::store::StoreError;
use flinks_consents::{ConsentId, Event, KeepAlive};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::timestamp;

/// Refresh the consents that would otherwise soon expire from inactivity
///
/// A refresh token expires if it is not used for 30 days. Run this command once an hour, for example
/// from cron, on any number of machines.
///
/// The exit code is 0 if every due consent was examined, even if some have ended. It is 75 if Flinks or
/// the store was unavailable, 4 if the configuration is wrong, and 1 if a person must look at the
/// result, for example because a record is unreadable.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Run once and exit; this is the default
    #[arg(long, conflicts_with = "every")]
    once: bool,
    /// Run repeatedly at this interval, such as 1h, until a signal stops the command
    #[arg(long, value_name = "INTERVAL", value_parser = timestamp::parse_duration)]
    every: Option<Duration>,
    /// Refresh consents that would otherwise expire within this time; the maximum is 29days
    #[arg(long, value_name = "DURATION", default_value = "7days", value_parser = parse_within)]
    within: Duration,
    /// The average number of refreshes per second
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Print the summary of each run as a line of JSON
    #[arg(long)]
    json: bool,
}

/// Parses the value of `--within`. If the value exceeded the maximum, a consent would be due again
/// immediately after its refresh.
fn parse_within(text: &str) -> Result<Duration, String> {
    const MAX: Duration = Duration::from_secs(29 * 24 * 60 * 60);
    let within = timestamp::parse_duration(text)?;
    if within <= MAX { Ok(within) } else { Err("must be at most 29days".to_owned()) }
}

impl Arguments {
    /// Returns whether the command runs until a signal stops it.
    pub(crate) fn is_service(&self) -> bool {
        self.every.is_some()
    }
}

pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    // The bar is visible only if standard error is a terminal.
    let bar = ProgressBar::new(0);
    let needs_attention = Arc::new(AtomicBool::new(false));
    let (on_failed, is_permanent) = (bar.clone(), Arc::clone(&needs_attention));
    let on_event = move |id: &ConsentId, event: &Event| {
        if let Event::RefreshFailed { error, .. } = event {
            on_failed.suspend(|| output::warning(&format!("consent {}: {error}", id.as_str())));
            if error.advice() != Advice::RetryLater {
                is_permanent.store(true, Ordering::Relaxed);
            }
        }
    };
    let (consents, store) = context.consents_with_events(on_event).await?;
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    let (progress, ended) = (bar.clone(), bar.clone());
    let worker = KeepAlive::new(consents, store)
        .within(arguments.within)
        .rate(arguments.rate)
        .on_ended(move |id| {
            let id = id.as_str().to_owned();
            ended.suspend(|| output::note(&format!("the consent {id} has ended: its end user must consent again")));
        })
        .on_progress(move |state| {
            progress.set_length(state.due);
            progress.set_position(state.examined);
            progress.set_message(format!("{} refreshed", state.summary.refreshed));
        });
    let Some(interval) = arguments.every else {
        let summary = worker.run_once().await;
        bar.finish_and_clear();
        let summary = summary?;
        print(&summary, arguments.json)?;
        return check(&summary, needs_attention.load(Ordering::Relaxed));
    };
    let json = arguments.json;
    let worker = worker.on_run(move |outcome| {
        bar.suspend(|| report_run(outcome, json, needs_attention.swap(false, Ordering::Relaxed)));
        bar.reset();
    });
    match worker.run_every(interval).await {}
}

/// Prints the result of one run of a service.
fn report_run(outcome: &Result<Summary, StoreError>, json: bool, needs_attention: bool) {
    match outcome {
        Ok(summary) => {
            let printed = print(summary, json).and_then(|()| check(summary, needs_attention));
            if let Err(failure) = printed {
                failure.report();
            }
        }
        Err(error) => drop(Failure::from(error.clone()).report()),
    }
}

/// The JSON form of a summary.
#[derive(Serialize)]
struct JsonSummary {
    refreshed: u64,
    refreshed_elsewhere: u64,
    ended: u64,
    suspected: u64,
    failed: u64,
    unreadable: u64,
    is_complete: bool,
}

fn print(summary: &Summary, json: bool) -> Result<(), Failure> {
    if !json {
        return output::line(&summary.to_string());
    }
    output::json_line(&JsonSummary {
        refreshed: summary.refreshed,
        refreshed_elsewhere: summary.refreshed_elsewhere,
        ended: summary.ended,
        suspected: summary.suspected,
        failed: summary.failed,
        unreadable: summary.unreadable,
        is_complete: summary.stopped.is_none() && summary.unstored.is_none(),
    })
}

/// Returns a failure if a person or a later run must act. `needs_attention` is set if a refresh failed
/// for a permanent reason.
fn check(summary: &Summary, needs_attention: bool) -> Result<(), Failure> {
    if let Some(error) = &summary.unstored {
        return Err(Failure::from(error));
    }
    if let Some(stopped) = &summary.stopped {
        return Err(match &stopped.reason {
            StopReason::Failed(error) => Failure::from(error),
            StopReason::Suspected(error) => Failure::from(error).with_exit(Exit::TryLater),
            _ => Failure::new("the run stopped early").with_exit(Exit::TryLater),
        });
    }
    if summary.unreadable > 0 {
        let problem = format!("unreadable records: {}", summary.unreadable);
        return Err(Failure::new(problem).with_next(format!("run {}", crate::shell::command("doctor store"))));
    }
    if summary.failed > 0 {
        let noun = if summary.failed == 1 { "refresh" } else { "refreshes" };
        let failure = Failure::new(format!("{} {noun} failed", summary.failed));
        return Err(if needs_attention { failure } else { failure.with_exit(Exit::TryLater) });
    }
    Ok(())
}
