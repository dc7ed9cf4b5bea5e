"""Fixtures that start flinks-emulator on a free port. Copy this file into your tests."""

import json
import os
import ssl
import subprocess
import urllib.request
from contextlib import contextmanager

import pytest

# The path to the program. By default, the program is looked up in PATH.
PROGRAM = os.environ.get("FLINKS_EMULATOR", "flinks-emulator")

class Emulator:
    """A running emulator."""

    def __init__(self, base_url, authority=None):
        self.base_url = base_url
        context = ssl.create_default_context(cafile=authority)
        # Requests to loopback addresses must not go through a proxy.
        handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        self._opener = urllib.request.build_opener(*handlers)

    def control(self, method, path, body=None):
        """Sends a request to the control API and returns the JSON response."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base_url}/__emulator/{path}", data=data, method=method)
        with self._opener.open(request, timeout=30) as response:
            return json.load(response)

    @property
    def env(self):
        """The environment variables for the program under test."""
        return self.control("GET", "env")

    def advance(self, seconds):
        """Advances the emulator's clock."""
        self.control("POST", "advance", {"seconds": seconds})

    def fail_next(self, operation, fault):
        """Schedules a fault for an operation's next request."""
        self.control("POST", "faults", {"operation": operation, "fault": fault})

    def count(self, operation):
        """Returns how many requests for an operation have arrived."""
        return self.control("GET", "counts")["operations"][operation]


@contextmanager
def running_emulator(*arguments, authority=None):
    """Starts the program with additional arguments and stops it at the end.

    If the program uses TLS, authority is the path to the certificate file that the program writes.
    """
    command = [PROGRAM, "--listen", "127.0.0.1:0", *arguments]
    environment = {**os.environ, "RUST_LOG": "off"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            # The certificate file exists once the first line has been written.
            base_url = process.stdout.readline().strip()
            assert base_url, "the emulator did not start: see its output on standard error"
            yield Emulator(base_url, authority)
        finally:
            process.terminate()
            process.wait(timeout=30)


@pytest.fixture(scope="session")
def emulator_program():
    """A program that all tests share."""
    with running_emulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(emulator_program):
    """A freshly reset emulator. A reset keeps the configuration and the loaded scenario."""
    emulator_program.control("POST", "reset")
    return emulator_program
