//! The server-sent events that keep an open page up to date.
//!
//! An event contains HTML that replaces parts of the page. The page's script inserts the HTML.
//! While requests arrive quickly, events are sent at most four times a second and contain only the
//! newest requests, so an open dashboard slows the emulator down as little as possible.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Either;
use http_body_util::channel::{Channel, Sender};
use hyper::{StatusCode, header};
use maud::Markup;
use serde_json::json;

use super::requests::{self, PAGE};
use super::view::View;
use super::{controls, tokens};
use crate::http::{Body, Reply};
use crate::shared::Shared;
use crate::state::EmulatorState;

/// The shortest time between two events.
const MIN_INTERVAL: Duration = Duration::from_millis(250);
/// The maximum time to wait for a change before the next check. A check is needed even without a
/// request, because tokens expire.
const MAX_INTERVAL: Duration = Duration::from_secs(1);
/// The number of checks without an event after which a comment is sent to show that the connection
/// is alive.
const QUIET_CHECKS: u32 = 15;

pub(super) fn respond(shared: &Arc<Shared>, view: View) -> hyper::Response<Body> {
    let (sender, channel) = Channel::new(1);
    tokio::spawn(send(Arc::clone(shared), view, sender));
    let reply = Reply::empty(StatusCode::OK)
        .with(header::CONTENT_TYPE, "text/event-stream")
        .with(header::CACHE_CONTROL, "no-store")
        .with(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    reply.into_hyper_with(Either::Right(channel))
}

/// Sends events until the browser disconnects.
async fn send(shared: Arc<Shared>, view: View, mut sender: Sender<Bytes, std::convert::Infallible>) {
    let mut changed = shared.observer.on_change();
    let mut page = OpenPage::new(&shared, view);
    let mut quiet_checks = 0;
    loop {
        let event = page.next_event(&shared);
        quiet_checks = if event.is_some() { 0 } else { u32::saturating_add(quiet_checks, 1) };
        let text = match event {
            Some(event) => Some(format!("data: {event}\n\n")),
            None if quiet_checks.is_multiple_of(QUIET_CHECKS) => Some(":\n\n".to_owned()),
            None => None,
        };
        if let Some(text) = text
            && sender.send_data(text.into()).await.is_err()
        {
            return;
        }
        tokio::time::sleep(MIN_INTERVAL).await;
        // The outcome does not matter: both a change and the timeout lead to the next check.
        let _ = tokio::time::timeout(MAX_INTERVAL, changed.changed()).await;
    }
}

/// A page that is open in a browser.
struct OpenPage {
    view: View,
    resets: u64,
    /// The number of the newest request that was sent to the browser.
    newest: u64,
    /// The requests that were in progress at the last check.
    in_progress: BTreeSet<u64>,
    /// The HTML that was last sent for each panel, keyed by the panel's name.
    panels: BTreeMap<&'static str, String>,
    /// The emulator's time and the machine's time when the clock was last sent.
    clock: Option<(Duration, Instant)>,
}

impl OpenPage {
    fn new(shared: &Shared, view: View) -> Self {
        let resets = shared.state().resets;
        Self { view, resets, newest: 0, in_progress: BTreeSet::new(), panels: BTreeMap::new(), clock: None }
    }

    /// Returns the next event as JSON on one line, or `None` if nothing has changed.
    fn next_event(&mut self, shared: &Shared) -> Option<String> {
        let state = shared.state();
        if state.resets != self.resets {
            return Some(json!({"reload": true}).to_string());
        }
        let (rows, is_cut) = self.rows(shared, &state);
        let panels = self.changed_panels(&state);
        drop(state);
        if rows.is_empty() && panels.is_empty() {
            return None;
        }
        Some(json!({"rows": rows, "replace": is_cut, "panels": panels}).to_string())
    }

    /// Returns the rows of new and completed requests, oldest first, and whether they replace the
    /// whole list.
    fn rows(&mut self, shared: &Shared, state: &EmulatorState) -> (String, bool) {
        if self.view.before.is_some() {
            return (String::new(), false);
        }
        let mut is_cut = self.newest == 0;
        let mut changed = BTreeSet::new();
        for number in std::mem::take(&mut self.in_progress) {
            if shared.observer.outcome(number).is_some() {
                changed.insert(number);
            } else if state.ledger.request(number).is_some() {
                self.in_progress.insert(number);
            }
        }
        let newest = state.ledger.newest_number();
        // Requests that arrived after the last event but are not among the newest `PAGE` are not
        // shown.
        let mut shown = 0;
        for request in state.ledger.requests().rev().take_while(|request| request.number > self.newest) {
            let is_complete = shared.observer.outcome(request.number).is_some();
            if !is_complete {
                self.in_progress.insert(request.number);
            }
            if self.view.matches(request, is_complete) {
                if shown == PAGE {
                    is_cut = true;
                    break;
                }
                changed.insert(request.number);
                shown = shown.saturating_add(1);
            }
        }
        self.newest = newest;
        while self.in_progress.len() > PAGE {
            self.in_progress.pop_first();
        }
        if is_cut {
            // Completed requests that are older than those on the newest page are no longer in the
            // list.
            while changed.len() > PAGE {
                changed.pop_first();
            }
        }
        let row = |number: u64| {
            let request = state.ledger.request(number)?;
            let outcome = shared.observer.outcome(number);
            let is_shown = self.view.matches(request, outcome.is_some());
            is_shown.then(|| requests::row(shared, state, &self.view, request, outcome.as_ref()).into_string())
        };
        (changed.into_iter().filter_map(row).collect(), is_cut)
    }

    fn changed_panels(&mut self, state: &EmulatorState) -> String {
        let mut html = String::new();
        let panels: [(&str, Markup); 4] = [
            ("totals", requests::totals(state)),
            ("end-user", controls::end_user(state)),
            ("armed", controls::armed(state)),
            ("tokens", tokens::panel(state, &self.view)),
        ];
        for (name, panel) in panels {
            let panel = panel.into_string();
            if self.panels.get(name) != Some(&panel) {
                html.push_str(&panel);
                self.panels.insert(name, panel);
            }
        }
        if self.has_clock_changed(state) {
            self.clock = Some((state.now(), Instant::now()));
            self.panels.insert("is-frozen", state.config.frozen_clock.to_string());
            html.push_str(&controls::clock(state).into_string());
        }
        html
    }

    /// Returns whether the emulator's clock differs from the one that the page shows. Between
    /// events, the page itself keeps a running clock up to date.
    fn has_clock_changed(&self, state: &EmulatorState) -> bool {
        let is_frozen = state.config.frozen_clock.to_string();
        let Some((time, sent)) = self.clock else { return true };
        if self.panels.get("is-frozen") != Some(&is_frozen) {
            return true;
        }
        let elapsed = if state.config.frozen_clock { Duration::ZERO } else { sent.elapsed() };
        state.now().abs_diff(time.saturating_add(elapsed)) > Duration::from_millis(500)
    }
}
