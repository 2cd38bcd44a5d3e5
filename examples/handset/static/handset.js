"use strict";

const $ = (id) => document.getElementById(id);
const screen_ = $("screen");
const form = $("switches");
const names = { whatsapp: "WhatsApp", sms: "Messages" };

let state = null; // the last state from the server
let source = null;
let seen = new Set(); // ids of messages that the person has had on the screen
let known = null; // ids of messages that arrived, null before the first state of a phone
let bubbles = new Map(); // id -> element
let drawn = {}; // what each part of the page shows, so that it is not built anew under a finger
let bannerTimer = 0;
let toastTimer = 0;

// A literal "+" in a query is a space once it is decoded.
let phone = (new URLSearchParams(location.search).get("phone") || "").trim();
if (phone && !phone.startsWith("+")) phone = "+" + phone;

function el(tag, props, ...children) {
  const e = document.createElement(tag);
  Object.assign(e, props);
  e.append(...children.filter((c) => c !== null));
  return e;
}

function icon(path) {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const p = document.createElementNS(ns, "path");
  p.setAttribute("d", path);
  svg.append(p);
  return svg;
}

const copyIcon = "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z";
const denyIcon = "M8 14.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM3.5 3.5l9 9";

function appIcon(channel) {
  const span = document.querySelector(`.dock [data-open=${channel}] .app`).cloneNode(true);
  return span;
}

// unchanged says whether a part of the page shows this value already.
function unchanged(part, value) {
  const text = JSON.stringify(value);
  if (drawn[part] === text) return true;
  drawn[part] = text;
  return false;
}

// rich turns WhatsApp's *bold* and, in an SMS, the code itself into elements.
function rich(message) {
  const out = [];
  if (message.channel === "whatsapp") {
    message.text.split(/\*([^*\n]+)\*/).forEach((part, i) => out.push(i % 2 ? el("strong", { textContent: part }) : part));
    return out;
  }
  const at = message.passcode ? message.text.indexOf(message.passcode) : -1;
  if (at < 0) return [message.text];
  return [message.text.slice(0, at), el("span", { className: "code", textContent: message.passcode }), message.text.slice(at + message.passcode.length)];
}

const plain = (message) => (message.channel === "whatsapp" ? message.text.replace(/\*/g, "") : message.text.replace(/\s+/g, " "));
const clockOf = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
const sender = (message) => (message.channel === "whatsapp" ? state.business : message.from);

async function call(method, path, body) {
  try {
    const answer = await fetch(path, { method, headers: body ? { "Content-Type": "application/json" } : {}, body: body ? JSON.stringify(body) : undefined });
    if (!answer.ok) toast((await answer.json()).error || "That did not work");
    return answer.ok;
  } catch {
    toast("The handset does not answer");
    return false;
  }
}

function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => ($("toast").hidden = true), 2200);
}

async function copy(message) {
  try {
    await navigator.clipboard.writeText(message.passcode);
    toast("Code copied");
  } catch {
    toast("Copy " + message.passcode); // no clipboard outside a secure context
  }
}

function open(view) {
  screen_.dataset.view = view;
  $("banner").hidden = true;
  for (const v of document.querySelectorAll(".view")) v.inert = !v.classList.contains(view);
  look();
  drawHome();
  if (view !== "home") {
    const thread = $("thread-" + view);
    thread.scrollTop = thread.scrollHeight;
  }
}

// look marks as seen what is on the screen, and sends WhatsApp's read receipts for it.
function look() {
  const view = screen_.dataset.view;
  if (!state || view === "home" || document.visibilityState !== "visible") return;
  for (const m of state.messages) if (m.arrived && m.channel === view) seen.add(m.id);
  if (view === "whatsapp" && state.effective.read !== "never" && state.messages.some((m) => m.channel === view && m.state === "delivered")) {
    call("POST", "/read", { phone: state.phone });
  }
}

const unread = (channel) => state.messages.filter((m) => m.arrived && m.channel === channel && m.state !== "read" && !seen.has(m.id));

function drawHome() {
  if (!state) return;
  const list = state.messages.filter((m) => m.arrived && m.state !== "read" && !seen.has(m.id)).slice(0, 4);
  const shown = new Set([...$("notices").children].map((li) => li.dataset.id));
  if (!unchanged("notices", [list.map((m) => m.id), state.business])) $("notices").replaceChildren(...list.map((m) => notice(m, !shown.has(m.id))));
  $("quiet").hidden = list.length > 0;
  let total = 0;
  for (const channel of Object.keys(names)) {
    const n = unread(channel).length;
    total += n;
    $("badge-" + channel).textContent = n;
    $("badge-" + channel).hidden = n === 0;
  }
  document.title = (total ? `(${total}) ` : "") + "Handset";
}

function notice(m, fresh) {
  const li = el("li", { className: fresh ? "fresh" : "" },
    el("button", { type: "button", className: "open", onclick: () => open(m.channel) },
      appIcon(m.channel), el("b", { textContent: sender(m) }), el("time", { textContent: clockOf(m.at) }), el("span", { className: "line", textContent: plain(m) })),
    m.passcode ? el("button", { type: "button", className: "pill", textContent: "Copy", ariaLabel: "Copy code " + m.passcode, onclick: () => copy(m) }) : null);
  li.dataset.id = m.id;
  return li;
}

function bubble(m) {
  const b = el("article", { className: "bubble" }, el("p", {}, ...rich(m)));
  if (m.footer) b.append(el("p", { className: "footer", textContent: m.footer }));
  b.append(el("time", { dateTime: m.at, textContent: clockOf(m.at) }));
  if (m.passcode) b.append(el("button", { type: "button", onclick: () => copy(m) }, icon(copyIcon), m.copy || "Copy " + m.passcode));
  if (m.deny) {
    const deny = el("button", { type: "button", className: "deny", onclick: () => call("POST", "/button", { phone: m.to, id: m.id }) }, icon(denyIcon), m.deny);
    b.append(deny);
  }
  return b;
}

function drawThreads() {
  const arrived = state.messages.filter((m) => m.arrived).sort((a, b) => a.at.localeCompare(b.at));
  const ids = new Set(arrived.map((m) => m.id));
  for (const [id, b] of bubbles) if (!ids.has(id)) { b.remove(); bubbles.delete(id); }
  for (const m of arrived) {
    if (!bubbles.has(m.id)) {
      bubbles.set(m.id, bubble(m));
      const thread = $("thread-" + m.channel);
      thread.append(bubbles.get(m.id));
      thread.scrollTop = thread.scrollHeight;
      if (m.channel === "sms") $("smsfrom").textContent = m.from;
    }
    const deny = bubbles.get(m.id).querySelector(".deny");
    if (deny) deny.disabled = m.denied;
  }
  announce(arrived);
}

// announce drops a banner for what arrives while another thread is open.
function announce(arrived) {
  if (known) {
    const news = arrived.filter((m) => !known.has(m.id) && m.channel !== screen_.dataset.view);
    const m = news.at(-1);
    if (m && screen_.dataset.view !== "home") {
      const banner = $("banner");
      banner.replaceChildren(el("b", { textContent: names[m.channel] + " · " + sender(m) }), el("span", { textContent: plain(m) }));
      banner.onclick = () => open(m.channel);
      banner.hidden = false;
      clearTimeout(bannerTimer);
      bannerTimer = setTimeout(() => (banner.hidden = true), 7000);
    }
  }
  known = new Set(arrived.map((m) => m.id));
}

function drawPhones() {
  if (unchanged("phones", [state.phones, state.phone, state.business, state.effective.phone_off, state.ttl])) return;
  $("phones").replaceChildren(
    ...state.phones.map((p) =>
      el("a", { href: "/?phone=" + encodeURIComponent(p.phone), ariaCurrent: p.phone === state.phone ? "true" : null,
        onclick: (event) => { event.preventDefault(); choose(p.phone); } },
        el("span", { textContent: p.name + (p.off ? " · off" : "") }), el("small", { textContent: p.phone }))));
  const own = state.phones.find((p) => p.phone === state.phone);
  $("owner").textContent = state.phone ? (own ? own.name + " · " : "") + state.phone : "A phone appears when it is first written to.";
  $("business").textContent = state.business;
  $("face").textContent = state.business.slice(0, 1);
  $("data").textContent = "5G";
  $("data").classList.toggle("off", state.effective.phone_off);
  $("data").title = state.effective.phone_off ? "no data connection" : "";
  $("ttl").textContent = state.ttl + " s";
}

const scope = () => document.querySelector("[name=scope]:checked").value;

function drawSwitches() {
  const values = state[scope()];
  for (const input of form.elements) {
    if (!input.name) continue;
    const value = values[input.name];
    if (input.type === "checkbox") input.checked = value;
    else if (document.activeElement !== input || input.tagName === "SELECT") input.value = input.type === "number" && !value ? "" : value;
    const row = input.closest(".row");
    row.classList.toggle("on", Boolean(value));
    let hint = row.querySelector("em");
    const elsewhere = scope() === "own" && !value && Boolean(state.all[input.name]);
    if (elsewhere && !hint) row.firstElementChild.append(el("em", { textContent: "set for all phones" }));
    if (!elsewhere && hint) hint.remove();
  }
}

function drawDeliveries() {
  const list = state.messages.slice(0, 8);
  if (unchanged("deliveries", list)) return;
  $("nodeliveries").hidden = list.length > 0;
  $("deliveries").replaceChildren(
    ...list.map((m) => {
      const steps = el("span", { className: "steps" });
      for (const s of m.steps) {
        const bad = ["failed", "undelivered", "dropped"].includes(s.state);
        const good = ["delivered", "read"].includes(s.state);
        const text = s.state + (s.code ? " " + s.code : "") + (s.state === "dropped" ? " (TTL, no receipt)" : "");
        steps.append(el("span", { className: bad ? "bad" : good ? "good" : "" }, text,
          s.answered ? el("i", { textContent: " · provider " + s.answered, title: "what the provider answered to the receipt" }) : null));
      }
      return el("li", {}, appIcon(m.channel), el("b", { textContent: m.channel === "sms" ? "SMS" : "WhatsApp" }),
        el("span", { textContent: m.passcode }), el("time", { textContent: new Date(m.steps[0].at).toLocaleTimeString([], { hour12: false }) }), steps);
    }));
}

function draw(next) {
  state = next;
  drawPhones();
  drawThreads();
  look();
  drawHome();
  drawSwitches();
  drawDeliveries();
}

function connect() {
  if (source) source.close();
  source = new EventSource("/events" + (phone ? "?phone=" + encodeURIComponent(phone) : ""));
  source.addEventListener("state", (event) => draw(JSON.parse(event.data)));
  source.onopen = () => ($("lost").hidden = true);
  source.onerror = () => {
    $("lost").hidden = false;
    // A browser gives up after an answer such as 503; a phone does not.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
  };
}

function choose(number) {
  phone = number;
  history.replaceState(null, "", "/?phone=" + encodeURIComponent(number));
  for (const b of bubbles.values()) b.remove();
  bubbles.clear();
  known = null;
  drawn = {};
  $("smsfrom").textContent = "Messages";
  open("home");
  connect();
}

form.addEventListener("change", (event) => {
  const input = event.target;
  if (!state) return;
  const value = input.type === "checkbox" ? input.checked : input.type === "number" ? Number(input.value) : input.value;
  call("PATCH", "/switches", { phone: scope() === "all" ? "" : state.phone, [input.name]: value }).then((ok) => ok || drawSwitches());
});
form.addEventListener("submit", (event) => event.preventDefault());
$("reset").onclick = () => call("DELETE", "/switches" + (scope() === "all" ? "" : "?phone=" + encodeURIComponent(state.phone)));
for (const radio of document.querySelectorAll("[name=scope]")) radio.onchange = () => state && drawSwitches();
for (const button of document.querySelectorAll("[data-open]")) button.onclick = () => open(button.dataset.open);
document.addEventListener("visibilitychange", () => { look(); drawHome(); });

function tick() {
  const now = new Date();
  const time = now.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
  $("clock").textContent = $("bigclock").textContent = time;
  $("day").textContent = now.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
}
tick();
setInterval(tick, 5000);
open(names[location.hash.slice(1)] ? location.hash.slice(1) : "home"); // /#whatsapp opens the thread at once
connect();
