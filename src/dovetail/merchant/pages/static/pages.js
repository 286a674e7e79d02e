"use strict";

/* The page works without this: it then loads itself again from time to time. With it, it hears of
   news at once, counts the seconds, and copies. */

document.documentElement.classList.add("js");

const main = document.querySelector("main");
const said = document.getElementById("said");
const POLL = 5000;
const QUIET_POLLS = 3;

let deadline = 0;
let stream = null;
let timer = null;
let polls = 0;
let loading = false;

function say(text) {
  said.textContent = "";
  setTimeout(() => { said.textContent = text; }, 50);
}

function clockText(seconds) {
  const two = (value) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  const rest = two(seconds % 60);
  return hours ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
}

function tick() {
  const clock = document.querySelector(".clock");
  if (!clock || !deadline) return;
  const left = Math.max(0, Math.ceil((deadline - Date.now()) / 1000));
  clock.textContent = clockText(left);
  if (!left) {
    deadline = 0;
    setTimeout(poll, 1000);
  }
}

function setDeadline() {
  const clock = document.querySelector(".clock");
  deadline = clock ? Date.now() + Number(clock.dataset.seconds) * 1000 : 0;
}

async function reload() {
  if (loading) return;
  loading = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.querySelector("main");
    for (const part of main.querySelectorAll("[data-part]")) {
      const fresh = next.querySelector(`[data-part="${part.dataset.part}"]`);
      if (fresh.innerHTML === part.innerHTML) continue;
      const focused = part.contains(document.activeElement);
      part.replaceChildren(...fresh.childNodes);
      if (focused) main.focus();
    }
    main.className = next.className;
    main.dataset.version = next.dataset.version;
    main.dataset.follows = next.dataset.follows;
    if (next.dataset.status) main.dataset.status = next.dataset.status;
    document.title = page.title;
    setDeadline();
  } finally {
    loading = false;
  }
}

function hear(state) {
  if (state.version !== main.dataset.version) reload();
  if (!state.follows) stop();
}

async function poll() {
  try {
    const answer = await fetch(`${main.dataset.path}/state`);
    if (answer.ok) hear(await answer.json());
  } catch {
    /* The next one may succeed. */
  }
}

function listen() {
  if (!("EventSource" in window)) return;
  stream = new EventSource(`${main.dataset.path}/stream`);
  stream.onmessage = (event) => hear(JSON.parse(event.data));
  stream.onerror = () => {
    if (stream && stream.readyState === EventSource.CLOSED) stream = null;
  };
}

function stop() {
  if (stream) stream.close();
  stream = null;
  clearInterval(timer);
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    const field = document.createElement("textarea");
    field.value = button.dataset.copy;
    field.className = "unseen";
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    button.focus();
  }
  if (button.dataset.label === undefined) button.dataset.label = button.textContent;
  button.textContent = document.body.dataset.copied;
  say(document.body.dataset.copied);
  setTimeout(() => { button.textContent = button.dataset.label; }, 2000);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
});

if (main.dataset.follows === "true") {
  setDeadline();
  setInterval(tick, 1000);
  listen();
  timer = setInterval(() => {
    polls += 1;
    if (!document.hidden && (!stream || polls % QUIET_POLLS === 0)) poll();
  }, POLL);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    if (main.dataset.follows === "true") poll();
  });
}
