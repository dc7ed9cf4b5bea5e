// Tests of payments.mjs with the helper in emulator.mjs: node --test

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { Emulator } from "./emulator.mjs";
import { startPayment } from "./payments.mjs";

let emulator;
before(async () => {
  emulator = await Emulator.start();
});
beforeEach(() => emulator.reset());
after(() => emulator.stop());

test("a payment starts", async () => {
  const link = await startPayment(await emulator.env());
  assert.ok(link.startsWith(`${emulator.baseUrl}/app/?sessionId=`), link);
  assert.match(await (await fetch(link)).text(), /10\.5 CAD/);
});

test("a request that may have spent its token is not repeated", async () => {
  await emulator.failNext("pay.initiate_session", { kind: "reset", when: "after" });
  await assert.rejects(startPayment(await emulator.env()));
  assert.equal(await emulator.count("pay.initiate_session"), 1);
});

test("an expired token is refused", async () => {
  await emulator.failNext("pay.initiate_session", { kind: "hold", when: "before" });
  const payment = startPayment(await emulator.env());
  const refused = assert.rejects(payment, /initiate failed: 401/);
  await emulator.control("GET", "received?operation=pay.initiate_session&count=1");
  await emulator.advance(299);
  await emulator.control("POST", "release");
  await refused;
});
