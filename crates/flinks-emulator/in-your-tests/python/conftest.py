"""Fixtures that start flinks-emulator on a free port. Copy this file into your tests."""

import json
import os
import subprocess
import urllib.request

import pytest

# The path to the program. By default, it is on the PATH.
PROGRAM = os.environ.get("FLINKS_EMULATOR", "flinks-emulator")
# Loopback addresses must not go through a proxy.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Emulator:
    """A running emulator."""

    def __init__(self, base_url):
        self.base_url = base_url

    def control(self, method, path, body=None):
        """Sends a request to the control API and returns the JSON response."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base_url}/__emulator/{path}", data=data, method=method)
        with _opener.open(request, timeout=30) as response:
            return json.load(response)

    @property
    def env(self):
        """The environment variables for the program under test."""
        return self.control("GET", "env")

    def advance(self, seconds):
        """Advances the emulator's clock."""
        self.control("POST", "advance", {"seconds": seconds})

    def fail_next(self, operation, fault):
        """Schedules a fault for the next request for an operation."""
        self.control("POST", "faults", {"operation": operation, "fault": fault})

    def count(self, operation):
        """Returns how many requests for an operation have arrived."""
        return self.control("GET", "counts")["operations"][operation]


@pytest.fixture(scope="session")
def emulator_program():
    """Starts the program once for all tests."""
    environment = {**os.environ, "RUST_LOG": "off"}
    process = subprocess.Popen(
        [PROGRAM, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True, env=environment
    )
    with process:
        try:
            yield Emulator(process.stdout.readline().strip())
        finally:
            process.terminate()
            process.wait(timeout=30)


@pytest.fixture
def emulator(emulator_program):
    """An emulator in its initial state."""
    emulator_program.control("POST", "reset")
    return emulator_program
