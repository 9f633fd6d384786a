// The map of the sample library: one point for each sound; hover, keys and a lasso.

import { call } from "./api.js";

const $ = (id) => document.getElementById(id);
const FULL = 4095, RADIUS = 14, STEP = 0.12;
// Colours by the third direction, as ABGR words of a canvas.
const COLOURS = Uint32Array.from({ length: 64 }, (_, k) => {
  const [r, g, b] = hue(200 - 2.6 * k);
  return (255 << 24 | b << 16 | g << 8 | r) >>> 0;
});
const SIZE = { near: 5, far: 3 };

export class LibraryMap {
  constructor(complain, hear, chosen) {
    Object.assign(this, { complain, hear, chosen });
    this.canvas = $("map-canvas");
    this.context = this.canvas.getContext("2d");
    this.view = { x: 0, y: 0, zoom: 1 };
    this.at = -1;
    this.lasso = null;
    this.points = { ids: [], x: [], y: [], colour: [] };
    const canvas = this.canvas;
    canvas.onwheel = (event) => { event.preventDefault(); this.zoom(Math.exp(-event.deltaY / 400), ...this.place(event)); };
    canvas.onpointerdown = (event) => this.down(event);
    canvas.onpointermove = (event) => this.move(event);
    canvas.onpointerup = canvas.onpointercancel = (event) => this.up(event);
    canvas.onkeydown = (event) => this.key(event);
    new ResizeObserver(() => this.fit()).observe(canvas);
  }

  async load() {
    try {
      this.points = await call("GET", "/v1/library/map");
      this.at = -1;
      $("map-hint").textContent = `${this.points.ids.length} sounds`;
      this.fit();
    } catch (error) { this.complain(error); }
  }

  fit() {
    const { clientWidth, clientHeight } = this.canvas;
    if (!clientWidth) return;
    this.canvas.width = clientWidth;
    this.canvas.height = clientHeight;
    this.image = this.context.createImageData(clientWidth, clientHeight);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.draw();
  }

  // From the map to the canvas: the whole map at zoom 1.
  get scale() {
    const { width, height } = this.canvas, { zoom } = this.view;
    return [zoom * (width - 20) / FULL, zoom * (height - 20) / FULL];
  }

  place(event) { return [event.offsetX, event.offsetY]; }

  draw() {
    if (this.waits) return;
    this.waits = true;
    requestAnimationFrame(() => { this.waits = false; this.paint(); });
  }

  paint() {
    if (!this.image) return;
    const began = performance.now();
    const { width, height } = this.canvas, { x, y, colour } = this.points;
    const [sx, sy] = this.scale, { x: ox, y: oy, zoom } = this.view, size = zoom > 3 ? SIZE.near : SIZE.far;
    this.pixels.fill(0xff1a1613);
    for (let k = 0; k < x.length; k++) {
      const left = (10 + (x[k] - ox) * sx) | 0, top = (height - 10 - (y[k] - oy) * sy) | 0;
      if (left < 0 || top < 0 || left + size >= width || top + size >= height) continue;
      const word = COLOURS[colour[k] >> 6];
      for (let row = top * width + left, end = row + size * width; row < end; row += width) this.pixels.fill(word, row, row + size);
    }
    this.context.putImageData(this.image, 0, 0);
    this.paintCursor();
    this.painted = (this.painted ?? 0) + 1;
    this.paintMs = performance.now() - began;
  }

  paintCursor() {
    const { context } = this;
    context.strokeStyle = "#e6eaf0";
    context.lineWidth = 2;
    if (this.at >= 0) {
      const [x, y] = this.onCanvas(this.at);
      context.beginPath();
      context.arc(x, y, 9, 0, 7);
      context.stroke();
    }
    if (!this.lasso) return;
    context.setLineDash([5, 4]);
    context.beginPath();
    for (const [x, y] of this.lasso) context.lineTo(x, y);
    context.closePath();
    context.stroke();
    context.setLineDash([]);
  }

  onCanvas(k) {
    const [sx, sy] = this.scale, { x, y } = this.points;
    return [11 + (x[k] - this.view.x) * sx, this.canvas.height - 9 - (y[k] - this.view.y) * sy];
  }

  nearest(px, py, within = RADIUS, allowed = () => true) {
    let best = -1, least = within * within;
    for (let k = 0; k < this.points.ids.length; k++) {
      const [x, y] = this.onCanvas(k), away = (x - px) ** 2 + (y - py) ** 2;
      if (away < least && allowed(x - px, y - py)) { best = k; least = away; }
    }
    return best;
  }

  zoom(by, px, py) {
    const [sx, sy] = this.scale, { view, canvas } = this;
    const zoom = Math.min(200, Math.max(1, view.zoom * by)), share = 1 - view.zoom / zoom;
    view.x += (px - 10) / sx * share;
    view.y += (canvas.height - 10 - py) / sy * share;
    view.zoom = zoom;
    this.draw();
  }

  // --- pointer: drag moves the map, with Shift or "Lasso" it chooses sounds

  down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.dragged = this.place(event);
    if (event.shiftKey || $("map-lasso").checked) this.lasso = [this.dragged];
  }

  move(event) {
    const here = this.place(event);
    if (this.lasso) { this.lasso.push(here); this.draw(); return; }
    if (this.dragged) {
      const [sx, sy] = this.scale;
      this.view.x -= (here[0] - this.dragged[0]) / sx;
      this.view.y += (here[1] - this.dragged[1]) / sy;
      this.dragged = here;
      this.draw();
      return;
    }
    if ($("map-hover").checked) this.go(this.nearest(...here));
  }

  up(event) {
    const { lasso } = this;
    this.dragged = this.lasso = null;
    if (lasso && lasso.length > 2) this.choose(lasso);
    else this.go(this.nearest(...this.place(event)), true);
    this.draw();
  }

  choose(lasso) {
    const path = new Path2D();
    for (const [x, y] of lasso) path.lineTo(x, y);
    path.closePath();
    const ids = this.points.ids.filter((_, k) => this.context.isPointInPath(path, ...this.onCanvas(k)));
    this.chosen(ids);
  }

  async go(k, again = false) {
    if (k < 0 || (k === this.at && !again)) return;
    this.at = k;
    this.draw();
    const id = this.points.ids[k];
    this.hear(id);
    try {
      const sound = await call("GET", `/v1/library/sounds/${id}/facts`);
      if (this.at === k) $("map-hint").textContent = `${sound.name}, ${sound.seconds.toFixed(2)} s${sound.note && `, ${sound.note}`}`;
    } catch (error) { this.complain(error); }
  }

  // --- keys: arrows go to the next sound in a direction, + and - zoom, Enter chooses it

  key(event) {
    const { canvas } = this, centre = [canvas.width / 2, canvas.height / 2];
    const from = this.at < 0 ? centre : this.onCanvas(this.at);
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const way = ways[event.key];
    if (way) {
      const ahead = (dx, dy) => dx * way[0] + dy * way[1] > 0.5 + Math.abs(dx * way[1] + dy * way[0]);
      this.go(this.at < 0 ? this.nearest(...from, Infinity) : this.nearest(...from, Infinity, ahead));
      this.follow();
    } else if (["+", "=", "-"].includes(event.key)) {
      this.zoom(event.key === "-" ? 1 / (1 + 4 * STEP) : 1 + 4 * STEP, ...from);
    } else if (event.key === "Enter" && this.at >= 0) {
      this.chosen([this.points.ids[this.at]]);
    } else {
      return;
    }
    event.preventDefault();
  }

  // Moves the map where the chosen sound would be outside of it.
  follow() {
    if (this.at < 0) return;
    const { canvas, view } = this, [x, y] = this.onCanvas(this.at), [sx, sy] = this.scale;
    if (x >= 0 && y >= 0 && x < canvas.width && y < canvas.height) return;
    view.x += (x - canvas.width / 2) / sx;
    view.y -= (y - canvas.height / 2) / sy;
    this.draw();
  }
}

function hue(degrees) {
  const part = (n) => {
    const k = (n + degrees / 30) % 12;
    return Math.round(255 * (0.62 - 0.3 * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [part(0), part(8), part(4)];
}
