"use strict";
// The parent hears of each step, if it is of the origin of redirectUrl; then the page goes where it must.
const { origin, steps = "", institution, url } = document.body.dataset;
if (parent !== window) {
  for (const step of steps.split(" ").filter(Boolean)) {
    const event = { step };
    if (institution) event.institution = institution;
    if (step === "REDIRECT") event.url = url;
    parent.postMessage(event, origin);
  }
}
if (url) location.replace(url);
