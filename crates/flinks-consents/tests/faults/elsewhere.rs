//! Rows that have separate tests because a single call and a single response cannot cover them.

use std::path::Path;

/// The rows and the names of their tests. A test may be in any crate.
pub(crate) const ROWS: &[(&str, &str)] = &[
    ("Configuration: base URL with a trailing slash or a path prefix", "a1_base_url_is_normalized_once"),
    ("Configuration: username and password holding & = + % é and 4 KiB", "p1_user_name_and_password_are_sent_exactly"),
    ("Configuration: timeout 0, zero attempts", "zero_settings_are_clamped"),
    ("Configuration: slack >= lifetime", "o4_token_is_used_for_its_lifetime_and_not_longer"),
    (
        "Responses: the target of a redirect is not contacted",
        "a2_redirects_are_errors_and_their_target_is_not_contacted",
    ),
    (
        "Responses: a token that equals the secret key or the password",
        "c4_response_with_the_secret_key_or_password_as_token_is_malformed",
    ),
    (
        "Responses: a token that equals the client secret, the code or the refresh token",
        "c4_response_with_a_secret_of_the_request_as_token_is_malformed",
    ),
    ("Responses: the same single-use token in two responses", "p5_c3_token_of_two_responses_is_returned_once"),
    (
        "Concurrency: a code exchange that is cancelled before anything was sent",
        "o9_cancelled_exchange_that_sent_nothing_keeps_the_code",
    ),
    (
        "Concurrency: a code exchange that is cancelled after the server received it",
        "o9_code_of_an_exchange_cancelled_after_receipt_is_not_sent_again",
    ),
    (
        "Responses: later calls fail at once, without a request",
        "o6_ended_consent_stays_ended_until_the_user_consents_again",
    ),
    (
        "Responses: Retry-After: 5, an HTTP date, a past date, -1, 0, 1.5, 20 digits, text",
        "retry_after_is_honoured_up_to_a_cap_and_reported",
    ),
    ("Responses: expires_in absent or 0", "o3_token_of_unknown_lifetime_serves_its_waiters_and_is_not_cached"),
    ("Responses: expires_in -1", "o3_token_that_expired_on_arrival_is_an_error"),
    ("Responses: expires_in 1, 2, 10, 299, 599, 3600", "o4_token_is_used_for_its_lifetime_and_not_longer"),
    ("Responses: JWT exp with a fraction, as text or too large; sub twice", "o8_claims_are_read_without_a_check"),
    ("Responses: 404 of a gateway or of Flinks", "status_404_suggests_to_check_the_base_url"),
    ("Responses: JWT exp that disagrees with expires_in", "o8_claims_are_read_without_a_check"),
    (
        "Responses: refresh response with a new, the same, an empty or no refresh_token",
        "o5_rotated_refresh_token_is_stored_and_used_next",
    ),
    (
        "Responses: a new refresh_token is stored first",
        "o5_rotated_refresh_token_is_stored_before_the_access_token_is_returned",
    ),
    (
        "Time: the machine is suspended for 10 minutes while it has a token of 299 s",
        "a4_consent_token_expires_on_either_clock",
    ),
    ("Time: the wall clock is set back an hour", "a4_consent_token_expires_on_either_clock"),
    ("Time: the clock of the server is 10 minutes off", "a4_server_clock_does_not_affect_the_lifetime"),
    ("Time: the response takes 20 s", "a4_consent_token_lifetime_counts_from_before_the_request"),
    ("Time: a single-use token that is spent after its lifetime", "p2_p4_expired_token_is_refused_locally"),
    (
        "Time: refresh token idle for 29 days; 30 days and a second",
        "o5_idle_deadline_is_reported_and_survives_a_restart",
    ),
    ("Time: 50 processes started in the same second", "a4_early_refreshes_are_spread_at_random"),
    ("Connections: unknown host (an injected resolver)", "unknown_host_sends_nothing"),
    (
        "Connections: a code exchange with a refused connection or a stalled handshake",
        "o9_unsent_code_is_retried_and_returned",
    ),
    ("Connections: refused", "refused_connection_sends_nothing"),
    ("Connections: a stalled handshake", "failed_or_stalled_handshake_sends_nothing"),
    (
        "Connections: a proxy that refuses its credentials (407), or fails otherwise",
        "proxy_that_refuses_its_credentials_is_a_configuration_error",
    ),
    ("Connections: TLS: expired", "a1_expired_certificate_is_rejected"),
    ("Connections: TLS: wrong name", "a1_certificate_for_another_name_is_rejected"),
    ("Connections: TLS: unknown CA", "a1_certificate_of_unknown_authority_is_rejected"),
    ("Connections: one byte a second; no response after accept", "a5_deadline_ends_a_call_without_a_response"),
    (
        "Connections: a pooled connection closed by the server just as it is used",
        "closed_pooled_connection_gives_a_response_or_unknown",
    ),
    ("Concurrency: 1 000 callers without a cached token", "o4_thousand_callers_share_one_refresh"),
    ("Concurrency: 1 000 callers, and the server returns 500 or 429", "o4_thousand_callers_share_one_failure"),
    (
        "Concurrency: the caller that started the refresh is cancelled",
        "o4_cancelled_caller_does_not_cancel_the_refresh",
    ),
    ("Concurrency: all callers are cancelled during a refresh", "o4_refresh_completes_when_all_callers_are_cancelled"),
    (
        "Concurrency: all callers are cancelled during a code exchange",
        "o9_code_exchange_completes_when_its_caller_is_cancelled",
    ),
    ("Concurrency: a waiter with a timeout of 50 ms", "o4_waiter_that_times_out_does_not_affect_the_others"),
    ("Concurrency: 100 concurrent requests for single-use tokens", "p5_one_hundred_callers_get_one_hundred_tokens"),
    ("Concurrency: the same code exchanged twice, concurrently or later", "o9_code_received_twice_is_sent_once"),
    (
        "Concurrency: 50 calls get a 401 with one token, and all of them invalidate it",
        "o4_fifty_rejections_of_one_token_cause_one_refresh",
    ),
    (
        "Concurrency: an early refresh fails while the token is valid for 60 s",
        "o4_failed_early_refresh_keeps_the_valid_token",
    ),
    ("Concurrency: an outage of 10 minutes, then recovery", "o4_refresh_backs_off_during_an_outage_and_recovers"),
    ("Concurrency: a slow and a fast consent", "o4_slow_refresh_does_not_delay_other_consents"),
    ("Concurrency: 10 000 consents", "o5_no_consent_is_evicted_among_ten_thousand"),
    ("The file store: a missing file", "missing_file_is_no_record"),
    (
        "The file store: a file that is empty, truncated, followed by other bytes, not UTF-8, or of 1 GiB",
        "damaged_record_is_moved_aside_and_reported",
    ),
    ("The file store: a file with mode 0644; a new file has 0600", "files_are_readable_by_their_owner_only"),
    ("The file store: a file of another user", "another_user_is_refused"),
    ("The file store: the disk becomes full during a write", "full_disk_leaves_the_old_record"),
    ("The file store: kill -9 at any step", "killed_process_leaves_the_old_or_the_new_record"),
    ("The file store: two processes write concurrently", "concurrent_writers_lose_nothing"),
    (
        "The file store: two processes refresh one rotating token",
        "o5_eight_processes_make_one_refresh_of_a_rotating_token",
    ),
    ("Secrets: every secret in every text", "a3_t04_no_secret_is_in_any_text"),
    ("URLs: parameters with & # % + \" < and non-ASCII", "c5_widget_url_has_the_documented_form"),
    ("URLs: redirectUrl javascript:, data:, //evil, https:\\\\evil, user info", "invalid_redirect_urls_are_refused"),
    ("URLs: one token, two URLs", "two_urls"),
    ("URLs: an expired token", "c3_token_is_single_use_and_expires_after_30_minutes"),
    (
        "URLs: an extra parameter named authorizeToken or redirectUrl, in any case",
        "c5_parameters_of_the_widget_cannot_be_overridden",
    ),
    ("URLs: state wrong by one byte, a prefix, longer, empty", "c7_callback_with_another_state_is_refused"),
    ("URLs: state of another pending authorization", "c7_callback_with_another_state_is_refused"),
    ("URLs: callback without state, and no state is expected", "c7_callback_with_another_state_is_refused"),
    ("URLs: callback without state, or with an empty state", "c7_callback_without_a_state_has_a_specific_error"),
    ("URLs: error with a bad state", "c7_callback_with_another_state_is_refused"),
    ("URLs: code twice, empty code", "o10_end_user_consents_and_returns"),
    ("URLs: state older than 10 minutes", "c7_pending_authorization_expires_after_ten_minutes"),
    ("URLs: code or state twice, code and error together, empty code", "c7_malformed_callbacks_are_refused"),
    (
        "URLs: redirect_uri with :443, upper case, %7e, a trailing slash",
        "o9_code_is_sent_once_with_its_exact_redirect_uri",
    ),
];

pub(crate) fn every_named_test_exists() {
    let mut sources = String::new();
    for crate_folder in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap() {
        for folder in ["src", "tests"] {
            let folder = crate_folder.as_ref().unwrap().path().join(folder);
            if folder.is_dir() {
                read(&folder, &mut sources);
            }
        }
    }
    for (row, test) in ROWS {
        let exists = sources.contains(&format!("fn {test}(")) || sources.contains(&format!("\"{test}\""));
        assert!(exists, "{row}: there is no test {test}");
    }
}

fn read(folder: &Path, sources: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("elsewhere.rs") {
            sources.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}
