// The stage page: pads, stream, transport, levels and panic, over OSC.

import { Osc } from "../osc.js";
import { button, element } from "../takes.js";

const $ = (id) => document.getElementById(id);
const LOOK_MS = 100, SOFTEST = -60, TAPS_MS = 2000;
const VALUES = ["/ldm/stream/xy", "/ldm/stream/corners", "/ldm/stream/gain", "/ldm/master/gain"];
const osc = new Osc((address, values) => heard[address]?.(...values), connected);
let playing = false, dragging = false;

// --- what comes in

const heard = {
  "/ldm/pad/state": padState,
  "/ldm/notify/pad": padState,
  "/ldm/live/loaded": () => { $("pads").replaceChildren(); osc.send("/ldm/pad/list"); look(); },
  "/ldm/live/listed": (names) => {
    const [first] = $("live").options;
    $("live").replaceChildren(first, ...names.split(", ").map((name) => new Option(name)));
  },
  "/ldm/stream/state": streamState,
  "/ldm/notify/stream": streamState,
  "/ldm/listen/state": listenState,
  "/ldm/notify/listen": listenState,
  "/ldm/stream/xy": (x, y) => { if (!dragging) place(x, y); },
  "/ldm/stream/corners": (...corners) => {
    for (const corner of document.querySelectorAll("[data-corner]")) corner.textContent = corners[corner.dataset.corner] ?? "";
  },
  "/ldm/stream/gain": (level) => showLevel("stream-gain", level),
  "/ldm/master/gain": (level) => showLevel("master", level),
  "/ldm/transport/position": (bar, beat, bpm, _, clock) => {
    $("place").textContent = `${bar}.${Math.floor(beat)}`;
    if (document.activeElement !== $("bpm")) $("bpm").value = Math.round(bpm * 100) / 100;
    $("clock").textContent = `${clock} clock`;
  },
  "/ldm/device/state": soundState,
  "/ldm/error": (code, sentence) => complain(sentence),
};

function padState(number, name, state, takes, refreshing, error, source) {
  const pad = document.querySelector(`[data-pad="${number}"]`) ?? newPad(number);
  pad.dataset.state = state;
  pad.title = error;
  const more = { library: "from the library", generated: `${takes} ${takes === 1 ? "take" : "takes"}` }[source] ?? "";
  const [hit] = pad.children;
  hit.replaceChildren(element("b", name), element("small", [state, refreshing ? "rendering" : more].filter(Boolean).join(", ")));
  hit.ariaPressed = String(state === "playing");
}

function newPad(number) {
  const pad = element("div"), hit = button("", null), fresh = button("↻", () => osc.send("/ldm/pad/refresh", number));
  pad.className = "pad";
  pad.dataset.pad = number;
  hit.className = "hit";
  fresh.className = "new";
  fresh.ariaLabel = `New takes for pad ${number}`;
  hit.onpointerdown = (event) => { event.preventDefault(); hit.focus(); osc.send("/ldm/pad/hit", number); };
  // The keyboard clicks without a pointer.
  hit.onclick = (event) => { if (!event.pointerType) osc.send("/ldm/pad/hit", number); };
  pad.append(hit, fresh);
  const after = [...$("pads").children].find((other) => Number(other.dataset.pad) > number);
  $("pads").insertBefore(pad, after ?? null);
  return pad;
}

function streamState(state, prompt, rung, ...rest) {
  playing = state !== "stopped";
  $("stream").ariaPressed = String(playing);
  $("stream-state").textContent = [state, playing && prompt, playing && rung, rest.at(-1)].filter(Boolean).join(" · ");
}

function listenState(state, target, level, density, bpm, bands, ceiling, error) {
  const off = state === "off";
  $("listen").ariaPressed = String(!off);
  $("listen-state").hidden = off;
  $("listen-state").textContent = [state, `${level.toFixed(0)} dB`, bpm && `${Math.round(bpm)} BPM`,
    bands && `${target} leaves ${bands} Hz`, error].filter(Boolean).join(" · ");
}

function soundState(state, name, ...rest) {
  const [underRuns, , voices, peak, load] = rest.slice(3);
  const level = Math.max(SOFTEST, peak > 0 ? 20 * Math.log10(peak) : SOFTEST);
  $("meter").firstChild.style.width = `${100 * (1 - level / SOFTEST)}%`;
  $("meter").ariaValueNow = level.toFixed(1);
  $("sound").textContent = state === "open"
    ? `${name} · ${voices} voices · load ${Math.round(100 * load)} % · ${underRuns} dropouts` : `sound card: ${state}`;
}

function complain(sentence) {
  $("message").textContent = sentence;
  $("message").hidden = false;
  clearTimeout(complain.timer);
  complain.timer = setTimeout(() => { $("message").hidden = true; }, 6000);
}

// --- connection

async function connected(up) {
  $("state").textContent = up ? "connected" : "reconnecting";
  $("state").className = up ? "ready" : "down";
  if (!up) return;
  osc.send("/ldm/notify", 1);
  for (const address of ["/ldm/live/list", "/ldm/pad/list", "/ldm/stream/status", "/ldm/listen/status"]) osc.send(address);
  for (const address of VALUES) {
    osc.listen(address);
    const answer = await fetch(`${address}?VALUE`);
    if (answer.status === 200) heard[address](...(await answer.json()).VALUE);
  }
}

function look() {
  if (document.hidden) return;
  osc.send("/ldm/transport");
  osc.send("/ldm/device/status");
}
setInterval(look, LOOK_MS);

// --- transport

const taps = [];
$("bpm").onchange = () => $("bpm").value && osc.send("/ldm/transport/tempo", Number($("bpm").value));
$("restart").onclick = () => osc.send("/ldm/transport/restart", 1);
$("tap").onpointerdown = (event) => {
  if (event.timeStamp - taps.at(-1) > TAPS_MS) taps.length = 0;
  taps.push(event.timeStamp);
  if (taps.length > 5) taps.shift();
  if (taps.length > 2) osc.send("/ldm/transport/tempo", Math.round(600000 * (taps.length - 1) / (taps.at(-1) - taps[0])) / 10);
};
$("live").onchange = () => { if ($("live").value) osc.send("/ldm/live/load", $("live").value); };
const panic = () => osc.send("/ldm/stop", 0.05);
$("panic").onpointerdown = panic;
$("panic").onclick = (event) => { if (!event.pointerType) panic(); };
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") panic();
  if (/^[1-9]$/.test(event.key) && event.target.tagName !== "INPUT" && !event.repeat) osc.send("/ldm/pad/hit", Number(event.key));
});

// --- stream

$("stream").onclick = () => {
  if (playing) osc.send("/ldm/stream/stop", 2);
  else osc.send("/ldm/stream/start", $("stream-prompt").value);
};
$("listen").onclick = () => osc.send($("listen").ariaPressed === "true" ? "/ldm/listen/stop" : "/ldm/listen/start");
$("stream-prompt").onchange = () => { if (playing && $("stream-prompt").value) osc.send("/ldm/stream/prompt", $("stream-prompt").value); };

function place(x, y) {
  [place.x, place.y] = [x, y].map((part) => Math.min(1, Math.max(0, part)));
  $("dot").style.left = `${100 * place.x}%`;
  $("dot").style.top = `${100 * (1 - place.y)}%`;
}
place(0.5, 0.5);

function go(x, y) {
  place(x, y);
  osc.send("/ldm/stream/xy", place.x, place.y);
}

function follow(event) {
  const box = $("xy").getBoundingClientRect();
  go((event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height);
}
$("xy").onpointerdown = (event) => { $("xy").setPointerCapture(event.pointerId); dragging = true; follow(event); };
$("xy").onpointermove = (event) => dragging && follow(event);
$("xy").onpointerup = $("xy").onpointercancel = () => { dragging = false; };
$("xy").onkeydown = (event) => {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
  if (!step) return;
  event.preventDefault();
  go(place.x + step[0] * 0.05, place.y + step[1] * 0.05);
};

// --- levels

function showLevel(id, level) {
  $(id).value = level;
  $(id).nextElementSibling.textContent = `${Number(level).toFixed(1)} dB`;
}
for (const [id, address] of [["stream-gain", "/ldm/stream/gain"], ["master", "/ldm/master/gain"]]) {
  $(id).oninput = () => { osc.send(address, Number($(id).value)); showLevel(id, $(id).value); };
}
