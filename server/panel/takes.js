// Takes side by side: waveform, spectrogram, what was measured, keep, download, use again.

import WaveSurfer from "./vendor/wavesurfer/wavesurfer.esm.js";
import Spectrogram from "./vendor/wavesurfer/spectrogram.esm.js";
import { call } from "./api.js";

const $ = (id) => document.getElementById(id);
const PAGE = 12;

export class Takes {
  constructor(complain, useAsClip) {
    this.complain = complain;
    this.useAsClip = useAsClip;
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
    const title = element("p", stored.prompt || stored.kind);
    const score = take.score === null ? "" : `, score ${take.score.toFixed(2)}`;
    const like = stored.similarity === null ? "" : `, likeness ${stored.similarity.toFixed(2)}`;
    const facts = element("p",
      `${stored.kind}, seed ${take.seed}, ${take.seconds.toFixed(2)} s, ${take.sample_rate} Hz${score}${like}`);
    facts.className = "facts";
    const wave = element("div");
    wave.className = "wave";
    const row = element("div");
    row.className = "row";
    const play = button("Play", () => this.play(id));
    const keep = button(stored.kept ? "Kept" : "Keep", () => this.keep(card, stored, keep));
    keep.setAttribute("aria-pressed", String(stored.kept));
    const download = element("a", "Download");
    download.href = `${take.url}?download=true`;
    download.role = "button";
    row.append(play, keep, button("Use as clip", () => this.useAsClip(`take:${id}`, title.textContent)),
      download, button("Delete", () => this.remove(card, id)));
    card.append(title, facts, wave, row);
    // Drawn when seen: a hundred takes cost no hundred decodings.
    new IntersectionObserver((entries, observer) => {
      if (entries.some((entry) => entry.isIntersecting)) { observer.disconnect(); this.draw(id, take, wave, play); }
    }).observe(card);
    return card;
  }

  draw(id, take, wave, play) {
    const plugins = $("spectra").checked ? [Spectrogram.create({ labels: false, height: 90, fftSamples: 512 })] : [];
    const surfer = WaveSurfer.create({
      container: wave, url: take.url, height: 64, plugins, sampleRate: take.sample_rate,
      waveColor: "#5d7a8c", progressColor: "#6fd3c1", cursorColor: "#e6eaf0",
    });
    surfer.on("play", () => { play.textContent = "Pause"; });
    surfer.on("pause", () => { play.textContent = "Play"; });
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
