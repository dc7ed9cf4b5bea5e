"use strict";
// Send the events to the parent page if its origin is the expected one. Then continue to the return URL.
const { address, origin, events = "[]", url } = document.body.dataset;
if (address) history.replaceState(null, "", address);
if (parent !== window) {
  for (const event of JSON.parse(events)) parent.postMessage(event, origin);
}
if (url) location.replace(url);
// The Back button may show an old copy of the page from memory. Reload it to show the current state of the visit.
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) location.reload();
});
// A double click would submit a form twice. The browser then drops the first response, and the events in it are lost.
let isSubmitted = false;
addEventListener("submit", (event) => {
  if (isSubmitted) event.preventDefault();
  isSubmitted = true;
});
// The stylesheet shows the focus ring of a text field only while the keyboard is in use.
const { dataset } = document.documentElement;
addEventListener("keydown", ({ key }) => {
  if (key === "Tab") dataset.keyboard = "";
}, true);
addEventListener("pointerdown", () => delete dataset.keyboard, true);
