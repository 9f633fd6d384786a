// The clip of a request: dropped, uploaded once, drawn, and marked with regions to replace.

import WaveSurfer from "./vendor/wavesurfer/wavesurfer.esm.js";
import Regions from "./vendor/wavesurfer/regions.esm.js";
import { call } from "./api.js";

const $ = (id) => document.getElementById(id);

export class Clip {
  constructor(complain, changed) {
    this.name = "";
    this.text = "";
    this.complain = complain;
    this.changed = changed;
    this.marking = false;
    const drop = $("drop"), file = $("file");
    drop.onclick = () => file.click();
    drop.onkeydown = (event) => ["Enter", " "].includes(event.key) && (event.preventDefault(), file.click());
    file.onchange = () => file.files[0] && this.send(file.files[0]);
    for (const area of [drop, document.body]) {
      area.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
      area.addEventListener("dragleave", () => drop.classList.remove("over"));
    }
    document.body.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      if (event.dataTransfer.files[0]) this.send(event.dataTransfer.files[0]);
    });
  }

  async send(file) {
    $("clip-hint").textContent = `sending ${file.name} ...`;
    try {
      const upload = await call("POST", "/v1/uploads", { body: file });
      this.use(`upload:${upload.id}`, `${file.name}, ${upload.seconds.toFixed(2)} s`);
    } catch (error) {
      $("clip-hint").textContent = "";
      this.complain(error);
    }
  }

  use(name, text) {
    this.name = name;
    this.text = text;
    this.regions?.clearRegions();
    this.draw();
    this.changed();
  }

  get url() {
    const [scheme, rest] = [this.name.slice(0, this.name.indexOf(":")), this.name.slice(this.name.indexOf(":") + 1)];
    if (scheme === "upload") return `/v1/uploads/${rest}/audio`;
    const [job, number] = rest.split("/");
    return `/v1/jobs/${job}/takes/${number}`;
  }

  // The regions as the request wants them: "1.000:2.500, 3.000:4.000".
  get marked() {
    const spans = this.regions?.getRegions().map((r) => [r.start, r.end]) ?? [];
    spans.sort((a, b) => a[0] - b[0]);
    return spans.map(([a, b]) => `${a.toFixed(3)}:${b.toFixed(3)}`).join(", ");
  }

  set marked(text) {
    this.restore = text;
  }

  mark(on) {
    this.marking = on;
    this.stopDragging?.();
    this.stopDragging = null;
    if (on) this.stopDragging = this.regions?.enableDragSelection({ color: "rgba(255, 180, 84, .3)" });
    else this.regions?.clearRegions();
    this.hint();
  }

  draw() {
    $("clip-wave").hidden = false;
    $("drop").classList.add("used");
    $("clip-wave").ariaBusy = "true";
    this.surfer?.destroy();
    this.regions = Regions.create();
    this.surfer = WaveSurfer.create({
      container: "#clip-wave", url: this.url, height: 90, plugins: [this.regions],
      waveColor: "#7d93a3", progressColor: "#6fd3c1", cursorColor: "#e6eaf0",
    });
    for (const event of ["region-created", "region-updated", "region-removed"]) {
      this.regions.on(event, () => { this.hint(); this.changed(); });
    }
    this.regions.on("region-double-clicked", (region) => region.remove());
    this.surfer.on("interaction", () => this.surfer.playPause());
    this.surfer.on("error", (error) => this.complain(error));
    this.surfer.on("ready", () => {
      for (const span of (this.restore ?? "").split(",")) {
        const [start, end] = span.split(":").map(Number);
        if (end > start) this.regions.addRegion({ start, end, color: "rgba(255, 180, 84, .3)" });
      }
      this.restore = "";
      this.mark(this.marking);
      $("clip-wave").ariaBusy = "false";
    });
  }

  hint() {
    const marks = this.marking
      ? ` Drag over the part to replace; double-click removes a region. Now: ${this.marked || "nothing"}`
      : "";
    $("clip-hint").textContent = this.name ? `${this.text}.${marks}` : "";
  }
}
