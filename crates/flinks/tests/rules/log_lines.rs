//! The log lines of a call, as an operator reads them (A3).

use flinks_emulator::{Fault, Operation};

use crate::lines::Lines;
use crate::local;

#[tokio::test]
async fn retry_warning_states_the_reason() {
    let local = local().await;
    let lines = Lines::default();
    let _guard = lines.capture();
    local.emulator.fail_next(Operation::PayAuthorize, Fault::status(503));
    let _ = local.pay.authorize().await.unwrap();
    let again = lines.with("trying again");
    assert_eq!(again.len(), 1);
    assert!(again[0].contains("503"), "{again:?}");
}

#[tokio::test]
async fn call_duration_is_logged_in_microseconds() {
    let local = local().await;
    let lines = Lines::default();
    let _guard = lines.capture();
    let _ = local.pay.authorize().await.unwrap();
    let done = lines.with("took_microseconds=");
    let micros = done[0].split("took_microseconds=").nth(1).unwrap().split(' ').next().unwrap();
    // On loopback it takes less than the tick of a coarse clock, and more than nothing.
    assert!(micros.parse::<u64>().unwrap() > 0, "{done:?}");
}
