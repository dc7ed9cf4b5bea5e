// A helper that starts flinks-emulator on a free port. Copy this file into your tests.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

// The path to the program. By default, the program is looked up in PATH.
const program = process.env.FLINKS_EMULATOR ?? "flinks-emulator";

/** A running emulator. */
export class Emulator {
  #process;

  /** Starts the program with additional arguments and waits until it accepts requests. */
  static async start(...args) {
    const child = spawn(program, ["--listen", "127.0.0.1:0", ...args], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, RUST_LOG: "off" },
    });
    const lines = createInterface(child.stdout);
    const [baseUrl] = await Promise.race([
      once(lines, "line"),
      once(child, "exit").then(([code]) => Promise.reject(new Error(`${program} exited with ${code}`))),
    ]);
    const emulator = new Emulator();
    emulator.#process = child;
    emulator.baseUrl = baseUrl;
    return emulator;
  }

  /** Sends a request to the control API and returns the JSON response. */
  async control(method, path, body) {
    const url = `${this.baseUrl}/__emulator/${path}`;
    const response = await fetch(url, { method, body: body && JSON.stringify(body) });
    const reply = await response.json();
    if (!response.ok) throw new Error(reply.message);
    return reply;
  }

  /** Returns the environment variables for the program under test. */
  env = () => this.control("GET", "env");
  /** Returns to the initial state. */
  reset = () => this.control("POST", "reset");
  /** Advances the emulator's clock. */
  advance = (seconds) => this.control("POST", "advance", { seconds });
  /** Schedules a fault for the next request for an operation. */
  failNext = (operation, fault) => this.control("POST", "faults", { operation, fault });
  /** Returns how many requests for an operation have arrived. */
  count = async (operation) => (await this.control("GET", "counts")).operations[operation];

  /** Stops the program. */
  async stop() {
    const exit = once(this.#process, "exit");
    this.#process.kill("SIGTERM");
    await exit;
  }
}
