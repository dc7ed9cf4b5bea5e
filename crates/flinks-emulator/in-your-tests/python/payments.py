"""The program under test. It starts a payment with Flinks Pay and prints the payer's link."""

import json
import os
import urllib.parse
import urllib.request

# Requests to loopback addresses must not go through a proxy.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _post(url, headers, body):
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    with _opener.open(request, timeout=30) as response:
        return json.load(response)


def start_payment(environment):
    """Starts a payment and returns the address at which the payer approves it."""
    url = environment["FLINKS_PAY_URL"]
    form = {
        "grant_type": "client_credentials",
        "Username": environment["FLINKS_PAY_USERNAME"],
        "Password": environment["FLINKS_PAY_PASSWORD"],
    }
    token = _post(f"{url}/api/v1/authorize", {}, urllib.parse.urlencode(form).encode())["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    session = {"referenceId": "1", "amount": 10.5, "customerName": "A", "customerEmail": "a@example.com"}
    # This request spends the token, so it must never be repeated with the same token.
    session_id = _post(f"{url}/api/v1/sessions/initiate", headers, json.dumps(session).encode())["sessionId"]
    _post(f"{url}/api/v1/paymentrequests", headers, json.dumps({"sessionId": session_id}).encode())
    return f"{url}/app/?{urllib.parse.urlencode({'sessionId': session_id})}"


if __name__ == "__main__":
    print(start_payment(os.environ))
