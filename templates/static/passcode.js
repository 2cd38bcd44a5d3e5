"use strict";
// Live state, countdowns and WebOTP for the passcode page, which does without any of them. No words live here: the
// server sends the status already written in the person's language. Nothing is ever submitted by itself.

const live = document.querySelector("[data-events]");
const input = document.getElementById("passcode");
const checkAgain = document.querySelector("[data-check-again]");

// Deadlines are kept by the wall clock, so that they are right after the phone has slept.
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;

function tick() {
  for (const timer of document.querySelectorAll("[data-countdown]")) {
    timer.deadline ??= Date.now() + 1000 * Number(timer.dataset.countdown);
    const left = Math.max(0, Math.ceil((timer.deadline - Date.now()) / 1000));
    const text = clock(left);
    if (timer.textContent !== text) timer.textContent = text;
  }
  for (const way of document.querySelectorAll("[data-wait-for]")) {
    if (way.until === undefined) continue;
    const left = Math.max(0, Math.ceil((way.until - Date.now()) / 1000));
    way.querySelector("button").disabled = left > 0;
    way.querySelector(".wait").textContent = left > 0 ? clock(left) : "";
  }
}

// The waits of the buttons travel as attributes of the status: seconds, 0 for now, -1 for never.
function applyWaits() {
  const waits = live.querySelector(".status").dataset;
  for (const way of document.querySelectorAll("[data-wait-for]")) {
    const seconds = Number(waits[way.dataset.waitFor]);
    way.hidden = seconds < 0;
    way.until = Date.now() + 1000 * seconds;
  }
  tick();
}

// Only what changed is replaced: a screen reader reads a replaced sentence again, even when it says the same.
function showStatus(html) {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  const next = holder.content.querySelector(".status");
  const now = live.querySelector(".status");
  if (!next) return;
  now.className = next.className;
  Object.assign(now.dataset, next.dataset);
  const words = (part) => part.innerHTML.replace(/data-countdown="\d+"|\d+:\d\d/g, "");
  for (const name of [".status-text", ".steps", ".status-more"]) {
    const from = next.querySelector(name);
    const to = now.querySelector(name);
    if (words(from) !== words(to)) {
      to.replaceWith(from);
      continue;
    }
    const timers = from.querySelectorAll("[data-countdown]");
    to.querySelectorAll("[data-countdown]").forEach((timer, i) => {
      timer.deadline = Date.now() + 1000 * Number(timers[i].dataset.countdown);
    });
  }
  applyWaits();
}

let source = null;
let leaving = false;

function listen() {
  if (source || leaving || document.hidden || !live.dataset.events) return;
  source = new EventSource(live.dataset.events);
  source.onopen = () => { checkAgain.hidden = true; };
  source.onmessage = (event) => showStatus(event.data);
  source.addEventListener("end", () => {
    stop();
    location.replace(live.dataset.ended);
  });
  source.onerror = () => {
    checkAgain.hidden = false;
    if (source.readyState === EventSource.CLOSED) source = null;
  };
}

function stop() {
  if (source) source.close();
  source = null;
}

// A hidden tab holds no connection: servers and batteries have better uses for it.
document.addEventListener("visibilitychange", () => (document.hidden ? stop() : listen()));
addEventListener("pagehide", stop);
addEventListener("pageshow", () => { leaving = false; listen(); });

// The right passcode ends the stream before its own answer is here: what "end" loads then would take the answer's place.
document.addEventListener("submit", () => { leaving = true; stop(); });

applyWaits();
setInterval(tick, 250);
listen();

if ("OTPCredential" in window) {
  const abort = new AbortController();
  input.form.addEventListener("submit", () => abort.abort());
  navigator.credentials
    .get({ otp: { transport: ["sms"] }, signal: abort.signal })
    .then((credential) => { if (credential && !input.value) input.value = credential.code; })
    .catch(() => {}); // refused or timed out: the person types
}
