"use strict";
// Updates the dashboard with server-sent events, and sends a button's request to the control API.
const find = (id) => document.getElementById(id);
const { events, control } = document.body.dataset;

function say(text) {
  const message = find("message");
  message.textContent = text;
  message.dataset.shown = "";
  clearTimeout(say.timer);
  say.timer = setTimeout(() => delete message.dataset.shown, 6000);
}

// Replaces elements of the page with new elements that have the same id. The focus stays where it was.
function replace(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  for (const element of [...template.content.children]) {
    const old = find(element.id);
    if (!old) continue;
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    const date = element.querySelector("#date");
    if (date) date.value = find("date").value;
    old.replaceWith(element);
    if (focused) (find(focused) ?? element).focus({ preventScroll: true });
  }
}

// The number of a request in the list.
const number = (row) => Number(row.id.slice(1));

function showRows(html, replacesAll) {
  const list = find("rows");
  const template = document.createElement("template");
  template.innerHTML = html;
  if (replacesAll) list.replaceChildren();
  for (const row of [...template.content.children]) {
    const old = find(row.id);
    if (old) {
      const hasFocus = old.contains(document.activeElement);
      old.replaceWith(row);
      if (hasFocus) row.querySelector("a").focus({ preventScroll: true });
    } else {
      // An older request may be added after a newer one if the filter matches only the older request's response.
      const isOlder = (other) => number(other) < number(row);
      list.insertBefore(row, [...list.children].find(isOlder) ?? null);
    }
  }
  while (list.children.length > Number(list.dataset.max)) list.lastElementChild.remove();
}

// An update while a button is pressed would lose the click, so updates wait until the button is released.
const updates = [];
let isPressed = false;
function update() {
  while (!isPressed && updates.length > 0) {
    const { rows, replace: replacesAll, panels } = updates.shift();
    if (rows || replacesAll) showRows(rows, replacesAll);
    if (panels) replace(panels);
  }
}
function release() {
  isPressed = false;
  setTimeout(update);
}
addEventListener("pointerdown", () => { isPressed = true; });
addEventListener("pointerup", release);
addEventListener("pointercancel", release);
addEventListener("blur", release);

let source;
function connect() {
  source?.close();
  source = undefined;
  const live = find("live");
  // A browser opens only a few connections to one host, so a hidden page does not keep one open.
  if (document.hidden) return;
  source = new EventSource(events);
  source.onopen = () => { live.textContent = "Live"; live.dataset.on = ""; };
  source.onerror = () => { live.textContent = "Connecting…"; delete live.dataset.on; };
  source.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    if (event.reload) return location.reload();
    updates.push(event);
    update();
  };
}

function tick() {
  const clock = find("clock");
  if (clock.dataset.since === undefined) clock.dataset.since = performance.now();
  const elapsed = clock.dataset.frozen === undefined ? (performance.now() - clock.dataset.since) / 1000 : 0;
  const time = new Date((Number(clock.dataset.now) + elapsed) * 1000);
  if (!Number.isNaN(time.getTime())) clock.textContent = time.toISOString().slice(0, 19).replace("T", " ");
}

async function send(method, path, body) {
  const response = await fetch(control + path, { method, body, headers: { "Content-Type": "application/json" } });
  const reply = await response.json();
  if (!response.ok) throw new Error(reply.message);
  return reply;
}

async function press(button) {
  const { call, body, done, fault, page, form } = button.dataset;
  if (button.dataset.confirm && !confirm(button.dataset.confirm)) return;
  if (call) {
    await send(...call.split(" "), body);
    return done;
  }
  if (fault) {
    const operation = find("fault-operation").value;
    const times = find("fault-times").value;
    const count = times === "always" ? { always: true } : { times: Number(times) };
    await send("POST", "faults", JSON.stringify({ operation, fault: JSON.parse(fault), ...count }));
    return `${operation}: armed “${button.textContent}” (${times === "always" ? "always" : times + "×"}).`;
  }
  // The response redirects to the application. Only the end user's browser follows it.
  const response = await fetch(page, { method: "POST", body: new URLSearchParams(form), redirect: "manual" });
  if (response.status >= 400) throw new Error("The page refused the form.");
  return done;
}

async function advanceTo(value) {
  const { now } = await send("GET", "");
  const seconds = Date.parse(value + "Z") / 1000 - now;
  if (!(seconds > 0)) throw new Error("The clock cannot move backwards: choose a later date.");
  await send("POST", "advance", JSON.stringify({ seconds }));
  return "The clock moved to " + value.replace("T", " ") + " UTC.";
}

async function copy(id) {
  const element = find(id);
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(element.textContent);
  } else {
    // Without TLS, browsers offer the clipboard only on localhost.
    getSelection().selectAllChildren(element);
    document.execCommand("copy");
  }
  return "Copied.";
}

async function run(action) {
  try {
    const text = await action();
    if (text) say(text);
  } catch (error) {
    say(error.message);
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-call], button[data-fault], button[data-page], button[data-copy]");
  // The second click of a double click does nothing.
  if (!button || event.detail > 1 || button.getAttribute("aria-busy")) return;
  button.setAttribute("aria-busy", "true");
  await run(() => (button.dataset.copy ? copy(button.dataset.copy) : press(button)));
  button.removeAttribute("aria-busy");
});

document.addEventListener("submit", (event) => {
  if (event.target.id === "to-date") {
    event.preventDefault();
    run(() => advanceTo(find("date").value));
  }
});

document.addEventListener("change", ({ target }) => {
  if ("submit" in target.dataset) target.form.requestSubmit();
});

// A browser never sends the fragment, so this script exchanges the token in the fragment for a cookie.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token !== null) history.replaceState(null, "", location.pathname + location.search);

function signIn(form) {
  const exchange = async (text) => {
    const response = await fetch(form.dataset.session, { method: "POST", body: text });
    if (!response.ok) throw new Error((await response.json()).message);
    location.reload();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run(() => exchange(find("token").value));
  });
  if (token) run(() => exchange(token));
}

if (find("sign-in")) signIn(find("sign-in"));
if (events) {
  if (find("rows").dataset.live === undefined) find("live").title = "The list does not change";
  connect();
  document.addEventListener("visibilitychange", connect);
  setInterval(tick, 250);
  addEventListener("pageshow", ({ persisted }) => persisted && connect());
}
