//! Ctrl-C during a command that is waiting.

use flinks_emulator::{Fault, Operation, When};

use crate::support::{Home, Running};

#[test]
fn an_interrupted_token_request_is_reported() {
    let home = Home::with_profile();
    for (arguments, operation) in [
        (&["token", "pay"][..], Operation::PayAuthorize),
        (&["token", "connect"], Operation::ConnectGenerateAuthorizeToken),
        (&["widget-url", "--redirect-url", "https://app.example/"], Operation::ConnectGenerateAuthorizeToken),
    ] {
        home.emulator.reset();
        home.emulator.fail_always(operation, Fault::Hold { when: When::After });
        let running = Running::start(&mut home.command(arguments));
        home.block_on(home.emulator.received(operation, 1));
        running.interrupt();
        let (exit, stdout, stderr) = running.finish();
        assert_eq!(exit, Some(130), "{arguments:?}: {stderr}");
        assert_eq!(stdout, "");
        assert!(stderr.contains("token may have been issued"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn o4_an_interrupted_refresh_stores_the_new_refresh_token() {
    let home = Home::with_rotation();
    home.add_consent("user-7");

    home.emulator.fail_next(Operation::OutboundToken, Fault::Hold { when: When::After });
    let running = Running::start(&mut home.command(&["consents", "refresh", "user-7"]));
    home.block_on(home.emulator.received(Operation::OutboundToken, 1));
    running.interrupt();
    // The response must not arrive before the signal.
    let (running, line) = running.error_line();
    assert!(line.contains("completing the changes in flight"), "{line}");
    home.emulator.release();
    let (exit, _, stderr) = running.finish();
    assert_eq!(exit, Some(130), "{stderr}");

    // The emulator refuses the old refresh token.
    home.succeed(&["consents", "refresh", "user-7"]);
    assert_eq!(home.emulator.count(Operation::OutboundToken), 2);
}

#[test]
fn an_interrupted_login_stores_nothing() {
    let home = Home::with_profile();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/callback");
    let mut running = Running::start(&mut home.command(&["login", "--no-browser", "--redirect-url", &url]));
    running.line();
    running.interrupt();
    let (exit, _, stderr) = running.finish();
    assert_eq!(exit, Some(130), "{stderr}");
    assert!(!home.succeed(&["consents", "list"]).contains("default"));
}

#[test]
fn a_repeated_keep_alive_stops() {
    let home = Home::with_profile();
    let mut running = Running::start(&mut home.command(&["keep-alive", "--every", "1h"]));
    assert!(running.line().contains("0 refreshed"));
    running.interrupt();
    assert_eq!(running.finish().0, Some(0));
}

/// A signal that arrives while a change is being completed does not lose the change, and a second
/// signal stops the command.
#[test]
fn o4_the_second_signal_stops_a_command_that_completes_a_change() {
    let home = Home::with_profile();
    home.add_consent("user-7");
    home.emulator.fail_next(Operation::OutboundToken, Fault::Hold { when: When::After });
    let running = Running::start(&mut home.command(&["consents", "refresh", "user-7"]));
    home.block_on(home.emulator.received(Operation::OutboundToken, 1));
    running.interrupt();
    let (running, line) = running.error_line();
    assert!(line.contains("completing the changes in flight"), "{line}");
    running.interrupt();
    let (exit, _, stderr) = running.finish();
    assert_eq!(exit, Some(130));
    assert!(stderr.contains("changes to consents may be lost"), "{stderr}");
}
