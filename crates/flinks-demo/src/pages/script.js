// The widget's landing page leaves the iframe.
const finish = document.querySelector("#finish");
if (finish) {
  finish.search = location.search;
  finish.click();
}

// The token list is updated every second while the page is visible.
const tokens = document.querySelector("#tokens");
if (tokens) {
  setInterval(async () => {
    if (document.hidden) return;
    const response = await fetch("/tokens");
    if (response.ok) tokens.innerHTML = await response.text();
  }, 1000);
}
