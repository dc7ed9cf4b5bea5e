//! `flinks keep-alive`.

use std::time::Duration;

use clap::Args;
use flinks_consents::KeepAlive;
use flinks_consents::keep_alive::{StopReason, Summary};
use indicatif::{ProgressBar, ProgressStyle};

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output;

/// Refresh the consents that would soon expire because they are not used
///
/// A refresh token expires if it is not used for 30 days. Run this command once an hour, for example
/// from cron, on any number of machines.
///
/// The exit code is 0 if every due consent was examined, even if some have ended. It is 75 if the
/// run stopped early because Flinks or the store was unavailable, and 1 if a refresh failed or a record
/// is unreadable.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Run once and exit; this is the default
    #[arg(long, conflicts_with = "every")]
    once: bool,
    /// Run again and again with this interval, such as 1h
    #[arg(long, value_name = "INTERVAL", value_parser = humantime::parse_duration)]
    every: Option<Duration>,
    /// Refresh consents that would expire within this time; the maximum is 29days
    #[arg(long, value_name = "DURATION", default_value = "7days", value_parser = humantime::parse_duration)]
    within: Duration,
    /// The number of refreshes per second
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let (consents, store) = context.consents().await?;
    // The bar is visible only if standard error is a terminal.
    let bar = ProgressBar::new(0);
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
        return check(&summary);
    };
    let json = arguments.json;
    let worker = worker.on_run(move |outcome| {
        bar.suspend(|| report_run(outcome, json));
        bar.reset();
    });
    match worker.run_every(interval).await {}
}

/// Reports a run of a worker that goes on. Its log contains the same facts.
fn report_run(outcome: &Result<Summary, flinks_consents::store::StoreError>, json: bool) {
    match outcome {
        Ok(summary) => {
            let printed = print(summary, json).and_then(|()| check(summary));
            if let Err(failure) = printed {
                failure.report();
            }
        }
        Err(error) => drop(Failure::from(error.clone()).report()),
    }
}

fn print(summary: &Summary, json: bool) -> Result<(), Failure> {
    if !json {
        return output::line(&summary.to_string());
    }
    output::json(&serde_json::json!({
        "refreshed": summary.refreshed,
        "refreshed_elsewhere": summary.refreshed_elsewhere,
        "ended": summary.ended,
        "suspected": summary.suspected,
        "failed": summary.failed,
        "unreadable": summary.unreadable,
        "is_complete": summary.stopped.is_none() && summary.unstored.is_none(),
    }))
}

/// Returns a failure if a person or a later run must act.
fn check(summary: &Summary) -> Result<(), Failure> {
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
        return Err(Failure::new(problem).with_next("run `flinks doctor store`"));
    }
    if summary.failed > 0 {
        return Err(Failure::new(format!("failed refreshes: {}", summary.failed))
            .with_next("run the command again with --verbose to see the reasons"));
    }
    Ok(())
}
