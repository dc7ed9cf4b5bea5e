"use strict";
// The parent receives each event, if it is of the origin of redirectUrl; then the page goes where it must.
const { address, origin, events = "[]", url } = document.body.dataset;
if (address) history.replaceState(null, "", address);
if (parent !== window) {
  for (const event of JSON.parse(events)) parent.postMessage(event, origin);
}
if (url) location.replace(url);
// Back may show an old copy of the page from memory: show the visit as it is now.
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) location.reload();
});
