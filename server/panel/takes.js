// The library of takes: waveform, spectrogram, facts, and what can be done with each.

import WaveSurfer from "./vendor/wavesurfer/wavesurfer.esm.js";
import Spectrogram from "./vendor/wavesurfer/spectrogram.esm.js";
import { call } from "./api.js";

const $ = (id) => document.getElementById(id);
const PAGE = 12;
// From the panel's ground to its accent, then to white: 256 colours [r, g, b, alpha].
const COLOURS = Array.from({ length: 256 }, (_, k) => {
  const x = k / 255, low = [0.06, 0.075, 0.09], mid = [0.23, 0.62, 0.56], high = [0.94, 1, 0.97];
  const [from, to, share] = x < 0.6 ? [low, mid, x / 0.6] : [mid, high, (x - 0.6) / 0.4];
  return [...from.map((c, i) => c + share * (to[i] - c)), 1];
});

export class Takes {
  constructor(complain, useAsClip, searchLike) {
    this.complain = complain;
    this.useAsClip = useAsClip;
    this.searchLike = searchLike;
    this.label = (kind) => kind;
    this.shown = 0;
    this.surfers = new Map();
    let timer;
    $("search").oninput = () => { clearTimeout(timer); timer = setTimeout(() => this.load(), 250); };
    $("only-kept").onchange = $("by-sound").onchange = $("spectra").onchange = () => this.load();
    $("older").onclick = () => this.load(this.shown);
  }

  async load(offset = 0) {
    const query = new URLSearchParams({ limit: PAGE, offset });
    query.set($("by-sound").checked ? "like" : "query", $("search").value);
    if ($("only-kept").checked) query.set("kept", "true");
    try {
      const found = await call("GET", `/v1/takes?${query}`);
      if (!offset) this.clear();
      for (const stored of found) $("takes").append(this.card(stored));
      this.shown = offset + found.length;
      $("no-takes").hidden = this.shown > 0 || $("search").value !== "" || $("only-kept").checked;
      $("older").hidden = found.length < PAGE;
    } catch (error) {
      this.complain(error);
    }
  }

  clear() {
    for (const surfer of this.surfers.values()) surfer.destroy();
    this.surfers.clear();
    $("takes").replaceChildren();
  }

  card(stored) {
    const { take } = stored, id = `${stored.job_id}/${take.number}`;
    const card = document.createElement("article");
    card.className = "take";
    card.classList.toggle("kept", stored.kept);
    card.dataset.take = id;
    const title = element("p", stored.prompt || this.label(stored.kind));
    title.className = "title";
    title.title = title.textContent;
    const facts = element("p", [
      this.label(stored.kind), `${take.seconds.toFixed(2)} s`, `${take.sample_rate / 1000} kHz`, `seed ${take.seed}`,
      ...(take.score === null ? [] : [`score ${take.score.toFixed(2)}`]),
      ...(stored.similarity === null ? [] : [`similarity ${stored.similarity.toFixed(2)}`]),
    ].join(" · "));
    facts.className = "facts";
    const warnings = element("p", take.warnings.join("; "));
    warnings.className = "warnings";
    warnings.hidden = take.warnings.length === 0;
    const wave = element("div");
    wave.className = "wave";
    const row = element("div");
    row.className = "row";
    const play = button("Play", () => this.play(id));
    play.className = "play";
    const keep = button(stored.kept ? "Kept" : "Keep", () => this.keep(card, stored, keep));
    keep.setAttribute("aria-pressed", String(stored.kept));
    const download = element("a", "Download");
    download.href = `${take.url}?download=true`;
    download.role = "button";
    const remove = button("Delete", () => this.remove(card, id));
    remove.className = "remove";
    row.append(play, keep, button("Use as clip", () => this.useAsClip(`take:${id}`, title.textContent)),
      button("In library", () => this.searchLike(take.path, title.textContent)), download, remove);
    row.children[3].className = "in-library";
    card.append(title, facts, warnings, wave, row);
    draggable(card, take.path.split(/[/\\]/).pop() || `take ${take.number}.wav`, `${take.url}?download=true`);
    // Drawn only once visible, so that a long library decodes few files.
    new IntersectionObserver((entries, observer) => {
      if (entries.some((entry) => entry.isIntersecting)) { observer.disconnect(); this.draw(id, take, wave, play); }
    }).observe(card);
    return card;
  }

  draw(id, take, wave, play) {
    const plugins = $("spectra").checked ? [Spectrogram.create({ labels: false, height: 90, fftSamples: 512, colorMap: COLOURS })] : [];
    const surfer = WaveSurfer.create({
      container: wave, url: take.url, height: 64, plugins, sampleRate: take.sample_rate,
      waveColor: "#7d93a3", progressColor: "#6fd3c1", cursorColor: "#e6eaf0",
    });
    surfer.on("play", () => { play.textContent = "Pause"; play.classList.add("on"); });
    surfer.on("pause", () => { play.textContent = "Play"; play.classList.remove("on"); });
    surfer.on("error", () => { wave.textContent = "The file of this take cannot be played."; play.disabled = true; });
    this.surfers.set(id, surfer);
  }

  play(id) {
    for (const [other, surfer] of this.surfers) if (other !== id) surfer.pause();
    this.surfers.get(id)?.playPause();
  }

  async keep(card, stored, pressed) {
    try {
      const url = `/v1/takes/${stored.job_id}/${stored.take.number}`;
      const marked = await call("PATCH", url, { json: { kept: !stored.kept } });
      stored.kept = marked.kept;
      card.classList.toggle("kept", marked.kept);
      pressed.textContent = marked.kept ? "Kept" : "Keep";
      pressed.setAttribute("aria-pressed", String(marked.kept));
    } catch (error) { this.complain(error); }
  }

  async remove(card, id) {
    if (!confirm("Delete this take and its file?")) return;
    try {
      await call("DELETE", `/v1/takes/${id}`);
      this.surfers.get(id)?.destroy();
      this.surfers.delete(id);
      card.remove();
    } catch (error) { this.complain(error); }
  }
}

export function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

export function button(text, pressed) {
  const made = element("button", text);
  made.type = "button";
  made.onclick = pressed;
  return made;
}

// A card that is dragged becomes a file on the desktop or in a DAW, and a clip in the panel.
export function draggable(card, name, url, type = "audio/wav") {
  card.draggable = true;
  card.addEventListener("dragstart", (event) => {
    const whole = new URL(url, location.href).href;
    event.dataTransfer.setData("DownloadURL", `${type}:${name.replaceAll(":", "_")}:${whole}`);
    event.dataTransfer.setData("text/uri-list", whole);
    event.dataTransfer.effectAllowed = "copy";
  });
}
