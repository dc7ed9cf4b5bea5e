"""Tests of payments.py with the fixture in conftest.py."""

import os
import subprocess
import sys
import urllib.error
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import running_emulator
from payments import start_payment

PROGRAM = Path(__file__).with_name("payments.py")


def test_a_payment_starts(emulator):
    assert start_payment(emulator.env).startswith(f"{emulator.base_url}/app/?sessionId=")
    assert emulator.count("pay.create_payment_request") == 1


def test_a_child_process_needs_only_the_environment(emulator):
    environment = {**os.environ, **emulator.env}
    output = subprocess.run([sys.executable, PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert output.stdout.startswith(f"{emulator.base_url}/app/?sessionId=")


def test_a_child_process_trusts_the_authority(tmp_path):
    with running_emulator("--tls", str(tmp_path), authority=tmp_path / "authority.pem") as emulator:
        assert emulator.base_url.startswith("https://")
        environment = {**os.environ, **emulator.env}
        output = subprocess.run([sys.executable, PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert output.stdout.startswith(f"{emulator.base_url}/app/?sessionId=")


def test_a_request_that_may_have_spent_its_token_is_not_repeated(emulator):
    emulator.fail_next("pay.initiate_session", {"kind": "reset", "when": "after"})
    with pytest.raises(OSError):
        start_payment(emulator.env)
    assert emulator.count("pay.initiate_session") == 1
    tokens = emulator.control("GET", "tokens")["tokens"]
    assert [token["spent"] is not None for token in tokens if token["kind"] == "session_token"] == [True]


def test_an_expired_token_is_refused(emulator):
    emulator.fail_next("pay.initiate_session", {"kind": "hold", "when": "before"})
    with ThreadPoolExecutor() as pool:
        payment = pool.submit(start_payment, emulator.env)
        emulator.control("GET", "received?operation=pay.initiate_session&count=1")
        emulator.advance(299)
        emulator.control("POST", "release")
        with pytest.raises(urllib.error.HTTPError) as error:
            payment.result(timeout=30)
    assert error.value.code == 401


def test_each_test_starts_with_a_new_emulator(emulator):
    assert emulator.control("GET", "counts")["requests"] == 0
