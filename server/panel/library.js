// The sample library: its folders, the search in them, and a card for each sound.

import { call } from "./api.js";
import { LibraryMap } from "./map.js";
import { button, draggable, element } from "./takes.js";

const $ = (id) => document.getElementById(id);
const PAGE = 24, LOOK_MS = 2000, PADFUL = 64;
const TABS = ["takes", "library", "map"];

export class Library {
  constructor(complain, useFile) {
    this.complain = complain;
    this.useFile = useFile;
    this.player = new Audio();
    this.playing = null;
    this.shown = 0;
    this.like = null;
    this.map = new LibraryMap(complain, (id) => this.hear(id), (sounds) => this.showSounds(sounds));
    let timer;
    const later = () => { clearTimeout(timer); timer = setTimeout(() => this.find(), 250); };
    for (const field of $("library-search").elements) if (field.name !== "tempo") field.oninput = later;
    $("library-search").onsubmit = (event) => { event.preventDefault(); this.find(); };
    $("library-older").onclick = () => this.find(this.shown);
    $("library-unlike").onclick = () => { this.like = null; this.find(); };
    $("folder-form").onsubmit = (event) => { event.preventDefault(); this.add(); };
    this.player.onended = this.player.onpause = () => this.stopped();
    this.player.ontimeupdate = () => this.progress();
    for (const tab of TABS) $(`tab-${tab}`).onclick = () => this.open(tab);
    $("put").onclick = () => this.put();
    $("tabs").onkeydown = (event) => this.step(event);
  }

  // Clients that may not use the library see the takes alone.
  async start(allowed, stage) {
    $("tabs").hidden = !allowed;
    this.stage = stage;
    if (allowed) this.folders(await call("GET", "/v1/library/state"));
  }

  open(tab) {
    for (const name of TABS) {
      $(`tab-${name}`).ariaSelected = String(name === tab);
      $(`tab-${name}`).tabIndex = name === tab ? 0 : -1;
      $(`${name}-panel`).hidden = name !== tab;
    }
    clearTimeout(this.timer);
    this.player.pause();
    if (tab === "library") { this.find(); this.look(); }
    if (tab === "map") this.map.load();
  }

  step(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const at = TABS.findIndex((name) => $(`tab-${name}`) === document.activeElement);
    if (!by || at < 0) return;
    const next = TABS[(at + by + TABS.length) % TABS.length];
    this.open(next);
    $(`tab-${next}`).focus();
  }

  async look() {
    try { this.folders(await call("GET", "/v1/library/state")); } catch (error) { this.complain(error); }
    if (!$("library-panel").hidden) this.timer = setTimeout(() => this.look(), LOOK_MS);
  }

  folders(state) {
    const known = this.sounds;
    this.sounds = state.sounds;
    $("folders").replaceChildren(...state.folders.map((folder) => {
      const item = element("li"), paused = folder.state === "paused";
      const left = folder.state === "indexing" && state.left_s !== null ? `, about ${Math.ceil(state.left_s)} s left` : "";
      const facts = `${folder.state}, ${folder.sounds} sounds${folder.problems ? `, ${folder.problems} unreadable` : ""}${left}`;
      const path = { path: folder.path };
      item.append(element("b", folder.path), element("small", facts),
        button(paused ? "Go on" : "Pause", () => this.change("PATCH", "", { ...path, paused: !paused })),
        button("Forget", () => this.change("DELETE", `?${new URLSearchParams(path)}`)));
      if (folder.state === "indexing") {
        const bar = element("progress");
        bar.max = folder.sounds + folder.problems + state.waiting;
        bar.value = folder.sounds + folder.problems;
        item.append(bar);
      }
      return item;
    }));
    if (known !== undefined && known !== state.sounds && !$("library-panel").hidden && !this.playing && this.shown <= PAGE) this.find();
  }

  async change(method, query, json) {
    try {
      await call(method, `/v1/library/folders${query}`, { json });
      this.folders(await call("GET", "/v1/library/state"));
    } catch (error) { this.complain(error); }
  }

  async add() {
    await this.change("POST", "", { path: $("folder").value });
    $("folder").value = "";
  }

  // --- search

  searchLike(path, title) {
    this.like = path;
    $("library-like").textContent = `Like ${title}`;
    this.open("library");
  }

  async find(offset = 0) {
    const query = new URLSearchParams({ limit: PAGE, offset });
    for (const [name, value] of new FormData($("library-search"))) if (value && name !== "tempo") query.set(name, value);
    if (this.like) query.set("like", this.like);
    $("library-like-area").hidden = !this.like;
    const asked = this.asked = query.toString();
    try {
      const found = await call("GET", `/v1/library?${asked}`);
      if (asked !== this.asked) return;  // a later search has overtaken it
      if (!offset) $("sounds").replaceChildren();
      $("sounds").append(...found.map((sound) => this.card(sound)));
      this.shown = offset + found.length;
      $("no-sounds").hidden = this.shown > 0;
      $("library-older").hidden = found.length < PAGE;
    } catch (error) { this.complain(error); }
  }

  async showSounds(ids) {
    try {
      const some = await Promise.all(ids.slice(0, PAGE).map((id) => call("GET", `/v1/library/sounds/${id}/facts`)));
      $("chosen").replaceChildren(...some.map((sound) => this.card(sound)));
      $("chosen-count").textContent = `${ids.length} sounds${ids.length > PAGE ? `, the first ${PAGE} of them` : ""}`;
      this.chosen = ids;
      if (this.stage) await this.pads();
    } catch (error) { this.complain(error); }
  }

  // --- the chosen sounds on a pad of the stage

  async pads() {
    const pads = await call("POST", "/ldm/pad/list", { json: [] }), before = $("chosen-pad").value;
    $("to-pad").hidden = !pads.length || !this.chosen.length;
    $("chosen-pad").replaceChildren(...pads.map(({ arguments: [number, name] }) => new Option(name, number)));
    if (before) $("chosen-pad").value = before;
  }

  async put() {
    const [{ arguments: [, name] }] = await call("POST", "/ldm/pad/sounds", { json: [$("chosen-pad").value, ...this.chosen.slice(0, PADFUL)] })
      .catch((error) => { this.complain(error); return [{ arguments: [] }]; });
    if (name) $("chosen-count").textContent = `${Math.min(PADFUL, this.chosen.length)} sounds are on ${name}`;
  }

  card(sound) {
    const card = element("article"), title = element("p", sound.name), row = element("div");
    card.className = "take sound";
    card.dataset.sound = sound.id;
    title.className = "title";
    title.title = sound.path;
    const facts = element("p", [
      `${sound.seconds.toFixed(2)} s`,
      ...(sound.note ? [sound.note] : []),
      ...(sound.bpm === null ? [] : [`${Math.round(sound.bpm * 10) / 10} BPM`]),
      ...(sound.lufs === null ? [] : [`${sound.lufs.toFixed(1)} LUFS`]),
      ...(sound.character ? [sound.character] : []),
      ...(sound.similarity === null ? [] : [`similarity ${sound.similarity.toFixed(2)}`]),
    ].join(" · "));
    facts.className = "facts";
    row.className = "row";
    const play = button("Play", () => this.toggle(card, sound));
    play.className = "play";
    row.append(play,
      button("Use as clip", () => this.use(sound)),
      button("More like this", () => this.searchLike(sound.path, sound.name)));
    card.append(title, facts, this.wave(card, sound), row);
    const type = { flac: "audio/flac", mp3: "audio/mpeg", ogg: "audio/ogg" }[sound.name.split(".").pop().toLowerCase()];
    draggable(card, () => sound.name, `/v1/library/sounds/${sound.id}?download=true`, type);
    return card;
  }

  wave(card, sound) {
    const wave = element("canvas"), peaks = Uint8Array.from(atob(sound.peaks), (c) => c.charCodeAt(0));
    Object.assign(wave, { className: "wave", width: 2 * peaks.length || 2, height: 64 });
    const context = wave.getContext("2d"), top = Math.max(1, ...peaks);
    context.fillStyle = "#7d93a3";
    peaks.forEach((peak, k) => {
      const height = Math.max(1, 62 * peak / top);
      context.fillRect(2 * k, 32 - height / 2, 1.4, height);
    });
    const line = element("i"), frame = element("div");
    frame.className = "wave-frame";
    frame.append(wave, line);
    frame.onclick = (event) => {
      const at = event.offsetX / frame.clientWidth * Math.min(sound.seconds, 60);
      this.toggle(card, sound, at);
    };
    return frame;
  }

  async use(sound) {
    try {
      const response = await fetch(`/v1/library/sounds/${sound.id}?download=true`);
      if (!response.ok) throw new Error(`${sound.name} cannot be read`);
      this.useFile(new File([await response.blob()], sound.name));
    } catch (error) { this.complain(error); }
  }

  // --- audition

  toggle(card, sound, at = 0) {
    const again = this.playing?.card === card;
    this.player.pause();
    if (again && !at) return;
    this.playing = { card, sound };
    card.querySelector(".play").classList.add("on");
    this.sound(sound, at);
  }

  sound(sound, at) {
    this.player.src = `/v1/library/sounds/${sound.id}`;
    this.player.loop = sound.character === "loop";
    const tempo = Number($("library-search").elements.tempo.value);
    // Browsers keep the pitch.
    this.player.playbackRate = tempo && sound.bpm ? Math.min(4, Math.max(0.25, tempo / sound.bpm)) : 1;
    this.player.currentTime = at;
    this.player.play().catch((error) => error.name !== "AbortError" && this.complain(error));
  }

  // A sound of the map.
  hear(id) {
    this.stopped();
    this.sound({ id, character: "", bpm: null }, 0);
  }

  stopped() {
    this.playing?.card.querySelector(".play").classList.remove("on");
    this.playing = null;
  }

  progress() {
    const line = this.playing?.card.querySelector(".wave-frame i");
    if (line) line.style.left = `${100 * this.player.currentTime / Math.min(60, this.playing.sound.seconds)}%`;
  }
}
