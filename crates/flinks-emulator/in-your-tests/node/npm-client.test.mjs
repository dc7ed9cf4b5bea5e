// Tests of the npm client @rizwannur/flinks against the emulator. They cover the parts that Flinks
// documents, and the points at which the client does not follow the documentation. README.md lists
// both.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { after, before, beforeEach, describe, test } from "node:test";

import { FlinksClient, FlinksError } from "@rizwannur/flinks";

import { Emulator } from "./emulator.mjs";

let emulator;
let env;
before(async () => {
  emulator = await Emulator.start();
  env = await emulator.env();
  await emulator.control("PATCH", "config", { pay: { token_header: "BearerToken" } });
});
beforeEach(() => emulator.reset());
after(() => emulator.stop());

// The client omits Content-Type if a request has no body. GenerateAuthorizeToken requires it.
function fetchWithContentType(url, init) {
  return fetch(url, { ...init, headers: { "Content-Type": "application/json", ...init.headers } });
}

function client(options = { fetch: fetchWithContentType }) {
  return new FlinksClient({
    instance: "toolbox",
    customerId: env.FLINKS_CONNECT_CUSTOMER_ID,
    secretKey: env.FLINKS_CONNECT_SECRET_KEY,
    xApiKey: env.FLINKS_CONNECT_API_KEY,
    hosts: { banking: emulator.baseUrl, pay: emulator.baseUrl, outbound: emulator.baseUrl },
    ...options,
  });
}

const bankUser = { institution: "FlinksCapital", username: "greatday_nomfa", password: "Everyday" };
const poll = { intervalMs: 1 };
const answers = {
  "What city were you born in?": ["Montreal"],
  "What is the best country?": ["Canada"],
  "What shape do you like?": ["Triangle"],
};
const paySession = { referenceId: "1", amount: 10.5, customerName: "A", customerEmail: "a@example.com" };

async function payClient() {
  const { pay } = client();
  await pay.authorize({ username: env.FLINKS_PAY_USERNAME, password: env.FLINKS_PAY_PASSWORD });
  return pay;
}

const credentials = () => ({
  clientId: env.FLINKS_OUTBOUND_CLIENT_ID,
  clientSecret: env.FLINKS_OUTBOUND_CLIENT_SECRET,
});
const firstCode = { code: "emu_first-code", redirectUri: "https://app.example/callback" };

describe("the parts that Flinks' documentation covers", () => {
  test("Connect: an end user without security questions", async () => {
    const result = await client().getAccountDetails({ ...bankUser, mostRecentCached: false }, { poll });
    assert.equal(result.status, "done");
    assert.deepEqual(result.accounts.map((account) => account.balance.current), [1234.56, 7890]);
    assert.equal(await emulator.count("connect.get_accounts_detail"), 1);
    assert.equal(await emulator.count("connect.get_accounts_detail_async"), 1);
  });

  test("Connect: an end user with security questions", async () => {
    let result = await client().getAccountDetails({ ...bankUser, username: "Greatday" }, { poll });
    for (let question = 0; question < 3; question++) {
      assert.equal(result.status, "mfa");
      const [{ prompt }] = result.challenges;
      result = await result.answer({ [prompt]: answers[prompt] });
    }
    assert.equal(result.status, "done");
  });

  test("Pay: a session and a payment request", async () => {
    const pay = await payClient();
    const { sessionId } = await pay.initiateSession(paySession);
    const { requestId } = await pay.createPaymentRequest(sessionId);
    assert.equal((await pay.getPaymentRequest(requestId)).status, "Initiated");
    assert.equal((await fetch(pay.sessionAppUrl(sessionId))).status, 200);
  });

  test("Outbound: the three grants, the accounts and the revocation", async () => {
    const { outbound } = client();
    await outbound.token({ grantType: "client_credentials", ...credentials() });
    const tokens = await outbound.token({ grantType: "authorization_code", ...firstCode, ...credentials() });
    await outbound.token({ grantType: "refresh_token", refreshToken: tokens.refreshToken, ...credentials() });
    assert.equal((await outbound.getFdxAccounts()).accounts.length, 2);
    await outbound.revokeConnection("any");
    await assert.rejects(outbound.getFdxAccounts(), { httpStatusCode: 401 });
  });

  test("Outbound: the consent page", async () => {
    const url = client().outbound.buildAuthorizeUrl({
      clientId: env.FLINKS_OUTBOUND_CLIENT_ID,
      redirectUri: "https://app.example/back",
      scope: "ACCOUNT_BASIC",
      providerId: 1000,
      state: "s",
    });
    assert.equal((await fetch(url)).status, 200);
  });
});

describe("the points in which the client does not follow the documentation, or takes a risk", () => {
  test("GenerateAuthorizeToken is sent without Content-Type", async () => {
    const { authorize } = client({});
    await assert.rejects(authorize.generateAuthorizeToken(), { httpStatusCode: 401, flinksCode: "INVALID_REQUEST" });
  });

  test("a spent authorize token is used again", async () => {
    const { authorize } = client();
    await authorize.authorize(bankUser);
    await authorize.authorize(bankUser);
    assert.equal(await emulator.count("connect.authorize"), 3, "the second call needs two requests");
  });

  test("a wrong bank password is sent twice", async () => {
    const wrong = client().authorize.authorize({ ...bankUser, password: "wrong" });
    await assert.rejects(wrong, { flinksCode: "INVALID_PASSWORD" });
    assert.equal(await emulator.count("connect.authorize"), 2);
  });

  test("a 429 response is followed by two more requests", async () => {
    const pay = await payClient();
    const { sessionId } = await pay.initiateSession(paySession);
    const { requestId } = await pay.createPaymentRequest(sessionId);
    await pay.getPaymentRequest(requestId);
    await assert.rejects(pay.getPaymentRequest(requestId), { httpStatusCode: 429 });
    assert.equal(await emulator.count("pay.get_payment_request"), 4);
  });

  test("an error in a 200 response is not reported", async () => {
    const connectError = JSON.stringify({ HttpStatusCode: 401, FlinksCode: "UNAUTHORIZED" });
    const fault = { kind: "reply", status: 200, body: connectError };
    await emulator.failNext("connect.generate_authorize_token", fault);
    assert.equal((await client().authorize.generateAuthorizeToken()).token, undefined);

    const outboundError = JSON.stringify({ error: "invalid_grant" });
    await emulator.failNext("outbound.token", { kind: "reply", status: 200, body: outboundError });
    const reply = await client().outbound.token({ grantType: "client_credentials", ...credentials() });
    assert.equal(reply.accessToken, undefined);
  });

  test("Outbound's error code is not read", async () => {
    const { outbound } = client();
    const wrongClient = { ...credentials(), clientSecret: "wrong" };
    for (const options of [
      { grantType: "client_credentials", ...wrongClient },
      { grantType: "refresh_token", refreshToken: "unknown", ...credentials() },
    ]) {
      const error = await outbound.token(options).catch((error) => error);
      assert.ok(error instanceof FlinksError);
      assert.equal(error.flinksCode, undefined);
      assert.equal(error.flinksMessage, undefined);
    }
  });

  test("the secret key follows a redirect to another origin", async () => {
    const keys = [];
    const other = createServer((request, response) => {
      keys.push(request.headers["flinks-auth-key"]);
      response.end("{}");
    }).listen(0, "127.0.0.1");
    await once(other, "listening");
    const location = `http://127.0.0.1:${other.address().port}/`;
    await emulator.failNext("connect.generate_authorize_token", { kind: "redirect", status: 307, location });
    await client().authorize.generateAuthorizeToken();
    other.closeAllConnections();
    other.close();
    assert.deepEqual(keys, [env.FLINKS_CONNECT_SECRET_KEY]);
  });

  test("a consent URL can be built without state", () => {
    const url = client().outbound.buildAuthorizeUrl({
      clientId: "a",
      redirectUri: "https://app.example/back",
      scope: "ACCOUNT_BASIC",
      providerId: 1000,
    });
    assert.equal(new URL(url).searchParams.get("state"), null);
  });
});
