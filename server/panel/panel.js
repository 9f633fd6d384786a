// The panel: composes requests, shows the queue, plays the takes.

import { call, follow } from "./api.js";
import { Clip } from "./clip.js";
import { buildFields } from "./fields.js";
import { Library } from "./library.js";
import { Models } from "./models.js";
import { morphPad } from "./pad.js";
import { Takes, button, element } from "./takes.js";

const $ = (id) => document.getElementById(id);
const KEPT = "audioldm-panel";
const BLENDS = ["text", "transfer"];
const PLACEHOLDERS = {
  morph: "rain > wind > thunder",
  inpaint: "empty: like the rest of the clip",
  continue: "empty: like the clip itself",
  upscale: "empty: like the clip itself",
};
let features, fields, presets = [];

const chosenKind = () => $("request").elements.kind.value;

const clip = new Clip(complain, remember);
const models = new Models(() => remember(), complain);
const takes = new Takes(complain, (name, text) => {
  const kind = features.kinds.find((k) => k.kind === chosenKind());
  if (!needsClip(kind)) choose("transfer");
  clip.use(name, text);
  $("prompt").focus();
}, (path, title) => library.searchLike(path, title));
const library = new Library(complain, (file) => {
  if (!needsClip(features.kinds.find((k) => k.kind === chosenKind()))) choose("transfer");
  clip.send(file);
});

function complain(error) {
  if (error?.status === 401) { $("sign-in").hidden = false; return; }
  const sentence = error?.message ?? String(error);
  $("message").textContent = sentence.charAt(0).toUpperCase() + sentence.slice(1);
  $("message").hidden = false;
  clearTimeout(complain.timer);
  complain.timer = setTimeout(() => { $("message").hidden = true; }, 8000);
}

// The panel has a place for one clip.
function hasPlace(kind) {
  return kind.fields.filter((field) => field.required && field.extra.file).length < 2;
}

function needsClip(kind) {
  return kind.fields.some((field) => field.name === "clip");
}

function choose(name) {
  const kind = features.kinds.find((k) => k.kind === name) ?? features.kinds[0];
  $("request").elements.kind.value = kind.kind;
  $("kind-text").textContent = kind.description;
  $("clip-area").hidden = !needsClip(kind);
  fields = buildFields(kind, features.model, $("main-fields"), $("more-fields"), remember);
  $("morph").hidden = !BLENDS.includes(kind.kind);
  $("prompt").placeholder = PLACEHOLDERS[kind.kind] ?? "rain on a tin roof";
  clip.mark(kind.kind === "inpaint");
  remember();
}

function kindTab(kind) {
  const tab = element("label"), radio = element("input");
  Object.assign(radio, { type: "radio", name: "kind", value: kind.kind });
  radio.onchange = () => choose(kind.kind);
  tab.dataset.kind = kind.kind;
  tab.title = kind.description;
  tab.append(radio, element("span", kind.label));
  return tab;
}

function request() {
  const kind = features.kinds.find((k) => k.kind === chosenKind());
  const wanted = { kind: kind.kind, prompt: $("prompt").value, ...models.wanted, ...fields.values() };
  if (needsClip(kind)) wanted.clip = clip.name;
  if (kind.kind === "inpaint") wanted.regions = clip.marked;
  return wanted;
}

// A reload, or a server that comes back, finds everything as it was.
function remember() {
  if (!fields) return;
  localStorage.setItem(KEPT, JSON.stringify({ request: request(), clip: [clip.name, clip.text] }));
}

function recall() {
  let kept = null;
  try { kept = JSON.parse(localStorage.getItem(KEPT)); } catch { /* not ours */ }
  choose(kept?.request?.kind ?? "text");
  if (!kept) return;
  $("prompt").value = kept.request.prompt ?? "";
  models.choose(kept.request.model);
  fields.set(kept.request);
  if (kept.clip?.[0]) {
    clip.marked = kept.request.regions ?? "";
    clip.use(...kept.clip);
  }
}

async function submit() {
  $("submit").disabled = true;
  try {
    const key = crypto.randomUUID?.() ?? String(Math.random());
    show(await call("POST", "/v1/jobs", { json: request(), headers: { "Idempotency-Key": key } }));
  } catch (error) {
    complain(error);
  } finally {
    $("submit").disabled = false;
  }
}

// Answers and events come over different connections: an old answer must not revive a job.
const ended = new Set();
const preview = new Audio();
const TEXTS = { queued: "waiting", running: "rendering", failed: "failed" };

function show(job) {
  if (ended.has(job.id)) return;
  const final = ["done", "cancelled"].includes(job.state);
  if (final || job.state === "failed") ended.add(job.id);
  let item = document.querySelector(`[data-job="${job.id}"]`);
  if (final) { item?.remove(); if (job.state === "done") takes.load(); return; }
  if (!item) {
    item = element("li");
    item.dataset.job = job.id;
    const cancel = button("Cancel", async () => {
      if (item.querySelector(".failed")) { item.remove(); return; }
      try { show(await call("DELETE", `/v1/jobs/${job.id}`)); } catch (error) { complain(error); }
    });
    const listen = button("Preview", () => { preview.src = listen.dataset.url; preview.play().catch(complain); });
    listen.className = "listen";
    cancel.className = "cancel";
    item.append(element("span"), listen, cancel, element("progress"));
    $("queue").append(item);
  }
  const [text, listen, cancel, progress] = item.children;
  listen.hidden = !job.preview;
  // Each preview takes the place of the one before it: its step makes it another address.
  if (job.preview) listen.dataset.url = `${job.preview.url}?step=${job.preview.step}`;
  const place = job.state === "queued" && job.position ? `, ${job.position} before it` : "";
  const left = job.estimate_s === null ? "" : `, about ${Math.max(1, Math.round(job.estimate_s))} s left`;
  text.replaceChildren(element("b", job.request.prompt || kindLabel(job.request.kind)),
    element("small", `${TEXTS[job.state]}${place}${left}`));
  if (job.state === "failed") {
    text.lastChild.textContent = `failed: ${job.error.message}`;
    text.className = "failed";
    cancel.textContent = "Dismiss";
    progress.hidden = true;
  } else if (job.num_steps) {
    progress.max = job.num_steps;
    progress.value = job.step;
  }
}

function kindLabel(kind) {
  return features.kinds.find((k) => k.kind === kind)?.label ?? kind;
}

async function reconcile() {
  const jobs = await call("GET", "/v1/jobs?limit=200");
  const open = jobs.filter((job) => ["queued", "running"].includes(job.state));
  for (const item of [...$("queue").children]) {
    if (!item.querySelector(".failed") && !open.some((job) => job.id === item.dataset.job)) item.remove();
  }
  for (const job of open.reverse()) show(job);
  await models.load();
  await takes.load();
}

async function connected(up) {
  $("state").textContent = up ? "connected" : "reconnecting";
  $("state").className = up ? "ready" : "down";
  if (up) { try { await reconcile(); } catch (error) { complain(error); } }
}

async function start() {
  try {
    features = await call("GET", "/features");
    presets = await call("GET", "/v1/presets");
    await models.load();
  } catch (error) {
    complain(error);
    if (error.status !== 401) setTimeout(start, 1500);
    return;
  }
  $("sign-in").hidden = true;
  takes.label = kindLabel;
  $("to-stage").hidden = !features.stage;
  await library.start(features.library, features.stage);
  $("kind").replaceChildren(...features.kinds.filter(hasPlace).map(kindTab));
  $("preset").append(...presets.map((preset) => new Option(preset.name, preset.name)));
  recall();
  morphPad((blend) => {
    if (!BLENDS.includes(chosenKind())) choose("text");
    $("prompt").value = blend;
    remember();
  });
  follow(show, (model) => models.show(model), connected);
}

$("prompt").oninput = remember;
$("preset").onchange = () => {
  const preset = presets.find((p) => p.name === $("preset").value);
  if (!preset) return;
  choose(preset.request.kind ?? "text");
  $("prompt").value = preset.request.prompt ?? "";
  fields.set(preset.request);
  remember();
};
$("request").onsubmit = (event) => { event.preventDefault(); submit(); };
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); submit(); }
});
$("sign-in").onsubmit = async (event) => {
  event.preventDefault();
  try {
    await call("POST", "/v1/session", { json: { token: $("token").value } });
    start();
  } catch (error) { complain(new Error(error.message)); }
};
start();
