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
    $("in-folder").onchange = () => this.load();
    $("take-tempo").oninput = () => { for (const [id, surfer] of this.surfers) this.pace(id, surfer); };
    this.facts = new Map();
  }

  async load(offset = 0) {
    const query = new URLSearchParams({ limit: PAGE, offset });
    query.set($("by-sound").checked ? "like" : "query", $("search").value);
    if ($("only-kept").checked) query.set("kept", "true");
    if ($("in-folder").value) query.set("folder", $("in-folder").value);
    try {
      const found = await call("GET", `/v1/takes?${query}`);
      if (!offset) this.clear();
      for (const stored of found) $("takes").append(this.card(stored));
      this.shown = offset + found.length;
      if (!offset) await this.folders();
      $("no-takes").hidden = this.shown > 0 || $("in-folder").value || $("search").value !== "" || $("only-kept").checked;
      $("older").hidden = found.length < PAGE;
    } catch (error) {
      this.complain(error);
    }
  }

  async folders() {
    const folders = (await call("GET", "/v1/takes/folders")).map(({ folder }) => folder);
    const chosen = $("in-folder").value, [all] = $("in-folder").options;
    $("in-folder").replaceChildren(all, ...folders.map((folder) => new Option(folder)));
    $("in-folder").value = folders.includes(chosen) ? chosen : "";
    $("in-folder").hidden = !folders.length;
    $("take-folders").replaceChildren(...folders.map((folder) => new Option(folder)));
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
    const title = element("p"), facts = element("p");
    title.className = "title";
    facts.className = "facts";
    this.tell(card, stored, title, facts);
    const warnings = element("p", take.warnings.join("; "));
    warnings.className = "warnings";
    warnings.hidden = take.warnings.length === 0;
    const wave = element("div");
    wave.className = "wave";
    const row = element("div");
    row.className = "row";
    const play = button("Play", () => this.play(id));
    play.className = "play";
    const keep = button("", () => this.mark(card, stored, { kept: !stored.kept }));
    keep.className = "keep";
    keep.ariaLabel = "Favourite, never deleted to make room";
    const rename = button("Name", () => { form.hidden = !form.hidden; if (!form.hidden) form.elements.name.focus(); });
    rename.className = "rename";
    const form = this.form(card, stored);
    const download = element("a", "Download");
    download.href = `${take.url}?download=true`;
    download.onclick = () => { download.download = fileName(stored); };
    download.role = "button";
    const remove = button("Delete", () => this.remove(card, id));
    remove.className = "remove";
    row.append(play, keep, rename, button("Use as clip", () => this.useAsClip(`take:${id}`, title.textContent)),
      button("In library", () => this.searchLike(take.path, title.textContent)), download, remove);
    row.children[4].className = "in-library";
    card.append(title, facts, warnings, wave, row, form);
    this.tell(card, stored);
    draggable(card, () => fileName(stored), `${take.url}?download=true`);
    // Drawn only once visible, so that a long library decodes few files.
    new IntersectionObserver((entries, observer) => {
      if (entries.some((entry) => entry.isIntersecting)) { observer.disconnect(); this.draw(id, take, wave, play); this.listen(card, stored); }
    }).observe(card);
    return card;
  }

  draw(id, take, wave, play) {
    const plugins = $("spectra").checked ? [Spectrogram.create({
      labels: false, height: 90, fftSamples: 1024, colorMap: COLOURS,
      frequencyMax: Math.min(20000, take.sample_rate / 2),
    })] : [];
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

  // --- what is known of a take

  tell(card, stored, title = card.querySelector(".title"), facts = card.querySelector(".facts")) {
    const { take } = stored, heard = this.facts.get(card.dataset.take), keep = card.querySelector(".keep");
    title.textContent = stored.name || stored.prompt || this.label(stored.kind);
    title.title = stored.prompt;
    facts.textContent = facts.title = [
      ...(stored.folder ? [stored.folder] : []),
      `${take.seconds.toFixed(2)} s`,
      ...(heard?.bpm ? [`${Math.round(heard.bpm * 10) / 10} BPM`] : []),
      ...(heard?.note || heard?.key ? [heard.note || heard.key] : []),
      ...(heard?.lufs != null ? [`${heard.lufs.toFixed(1)} LUFS`] : []),
      ...(heard?.character ? [heard.character] : []),
      this.label(stored.kind), `${take.sample_rate / 1000} kHz`, `seed ${take.seed}`,
      ...(take.score === null ? [] : [`score ${take.score.toFixed(2)}`]),
      ...(stored.similarity === null ? [] : [`similarity ${stored.similarity.toFixed(2)}`]),
    ].join(" · ");
    if (!keep) return;
    card.classList.toggle("kept", stored.kept);
    keep.textContent = stored.kept ? "★" : "☆";
    keep.ariaPressed = String(stored.kept);
  }

  async listen(card, stored) {
    try {
      this.facts.set(card.dataset.take, await call("GET", `/v1/takes/${card.dataset.take}/facts`));
      this.tell(card, stored);
      const surfer = this.surfers.get(card.dataset.take);
      if (surfer) this.pace(card.dataset.take, surfer);
    } catch { /* its file is gone or damaged: the waveform says so */ }
  }

  // A loop goes on, at the tempo that was asked for; browsers keep the pitch.
  pace(id, surfer) {
    const heard = this.facts.get(id), tempo = Number($("take-tempo").value);
    surfer.getMediaElement().loop = heard?.character === "loop";
    surfer.setPlaybackRate(tempo && heard?.bpm ? Math.min(4, Math.max(0.25, tempo / heard.bpm)) : 1, true);
  }

  // --- marks

  form(card, stored) {
    const form = element("form"), name = element("input"), folder = element("input");
    Object.assign(name, { name: "name", value: stored.name, placeholder: "Name", maxLength: 100, ariaLabel: "Name of this take" });
    Object.assign(folder, { name: "folder", value: stored.folder, placeholder: "Folder, such as drums/kicks", maxLength: 200, ariaLabel: "Folder of this take" });
    folder.setAttribute("list", "take-folders");
    form.className = "marks row";
    form.hidden = true;
    form.append(name, folder, element("button", "Save"));
    form.onsubmit = async (event) => {
      event.preventDefault();
      form.hidden = await this.mark(card, stored, { name: name.value, folder: folder.value });
    };
    return form;
  }

  async mark(card, stored, marks) {
    try {
      const marked = await call("PATCH", `/v1/takes/${card.dataset.take}`, { json: marks });
      Object.assign(stored, { kept: marked.kept, name: marked.name, folder: marked.folder });
      this.tell(card, stored);
      await this.folders();
      return true;
    } catch (error) { this.complain(error); return false; }
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

// Under its own name where it has one.
function fileName({ name, take }) {
  const file = take.path.split(/[/\\]/).pop() || `take ${take.number}.wav`;
  return name ? `${name.replace(/[/\\]/g, "_")}.${file.split(".").pop()}` : file;
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
    event.dataTransfer.setData("DownloadURL", `${type}:${name().replaceAll(":", "_")}:${whole}`);
    event.dataTransfer.setData("text/uri-list", whole);
    event.dataTransfer.effectAllowed = "copy";
  });
}
