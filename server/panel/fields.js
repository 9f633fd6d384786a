// Controls made from the server's own description of each field: labels, ranges and units.

const MAIN = ["audio_length_in_s", "loop", "bars", "bpm", "strength", "distance", "side", "cutoff_hz",
  "guidance_scale", "num_inference_steps", "num_waveforms_per_prompt", "seed"];
const GROUPS = [
  ["Prompt", ["negative_prompt", "variety", "grounding", "audio_prompt_weight"]],
  ["Tempo and key", ["beats_per_bar", "key", "say_tempo", "tune"]],
  ["Shape", ["bandwidth", "width", "one_shot", "crossfade_s"]],
  ["Rendering", ["sampler", "num_candidates", "guidance_end", "eta", "previews", "priority", "recipe"]],
  ["File", []],  // the rest: delivery
];
const OWN_PLACE = ["prompt", "regions", "model"];

// Builds the controls of `kind`; returns { values(), set(request) }.
export function buildFields(kind, model, main, more, changed) {
  const controls = new Map();
  for (const field of kind.fields) {
    if (OWN_PLACE.includes(field.name) || field.extra.file || field.type === "b") continue;
    if (field.name === "audio_prompt_weight") continue;  // the panel sends no audio prompt
    controls.set(field.name, makeControl(field, model, changed));
  }
  const rows = (names) => names.filter((name) => controls.has(name)).map((name) => controls.get(name).row);
  tickLoop(controls.get("bars"), controls.get("loop"), changed);
  main.replaceChildren(...rows(MAIN));
  const placed = [...MAIN, ...GROUPS.flatMap(([, names]) => names)];
  const rest = [...controls.keys()].filter((name) => !placed.includes(name));
  more.replaceChildren(...GROUPS.flatMap(([title, names]) => group(title, rows(names.length ? names : rest))));
  return {
    values: () => unflatten([...controls].map(([name, c]) => [name, c.value()])),
    set(request) {
      for (const [name, control] of controls) {
        control.set(name.split(".").reduce((node, part) => node?.[part], request));
      }
    },
  };
}

// Who gives a length in bars wants a loop; the switch beside it takes it back.
function tickLoop(bars, loop, changed) {
  if (!bars || !loop) return;
  let before = "";
  bars.input.addEventListener("input", () => {
    if (before === "" && bars.input.value !== "") { loop.set(true); changed(); }
    before = bars.input.value;
  });
}

function group(title, rows) {
  if (!rows.length) return [];
  const heading = document.createElement("h3");
  heading.textContent = title;
  return [heading, ...rows];
}

function makeControl(field, model, changed) {
  const row = document.createElement("div");
  row.className = "field";
  const label = document.createElement("label");
  label.textContent = field.label;
  row.title = field.description;
  const input = makeInput(field, model);
  input.id = `f-${field.name}`;
  label.htmlFor = input.id;
  const slider = makeSlider(field, model);
  row.append(label, withUnit(input, field.unit));
  if (slider) { row.append(slider); row.classList.add("sliding"); }
  if (field.type === "T") row.classList.add("switch");
  const value = () => read(field, input);
  const set = (given) => {
    if (field.type === "T") input.checked = given ?? field.default ?? false;
    else input.value = given ?? "";
    if (slider) toSlider(field, slider, input, model);
  };
  for (const event of ["input", "change"]) {
    input.addEventListener(event, () => { if (slider) toSlider(field, slider, input, model); changed(); });
  }
  slider?.addEventListener("input", () => { input.value = fromSlider(field, slider); draw(slider); changed(); });
  set(undefined);
  return { row, input, value, set };
}

function withUnit(input, unit) {
  const place = document.createElement("span");
  place.className = "value";
  place.append(input);
  if (unit) place.append(Object.assign(document.createElement("span"), { className: "unit", textContent: unit }));
  return place;
}

function usual(field, model) {
  return field.default ?? model.defaults[field.name];
}

function makeInput(field, model) {
  if (field.choices.length) {
    const select = document.createElement("select");
    const inherited = usual(field, model);
    const open = field.required ? [] : [["", inherited ? `${inherited} (default)` : "default"]];
    for (const [value, text] of [...open, ...field.choices.map((c) => [c, c])]) {
      select.append(new Option(text, value));
    }
    return select;
  }
  const input = document.createElement("input");
  if (field.type === "T") { input.type = "checkbox"; input.role = "switch"; return input; }
  if (field.type === "i" || field.type === "f") {
    input.type = "number";
    input.step = field.type === "i" ? 1 : "any";
    if (field.low !== null) input.min = field.low;
    if (field.high !== null) input.max = field.high;
  }
  const open = field.description.includes("default") ? "default" : "none";
  input.placeholder = field.name === "seed" ? "new" : usual(field, model) ?? open;
  return input;
}

// Sliders end where few people go (600 s, 1000 steps); the number beside them takes every value.
function makeSlider(field, model) {
  const start = usual(field, model);
  const bounded = field.low !== null && field.high !== null && "if".includes(field.type);
  if (!bounded || typeof start !== "number" || field.high > 1e6) return null;
  const slider = document.createElement("input");
  slider.type = "range";
  slider.min = field.low;
  slider.max = start > 0 ? Math.min(field.high, Math.max(start * 5, field.low + 1)) : field.high;
  slider.step = field.type === "i" ? 1 : (slider.max - slider.min) / 200;
  slider.setAttribute("aria-label", field.label);
  return slider;
}

function fromSlider(field, slider) {
  return field.type === "i" ? slider.value : String(Math.round(slider.value * 1000) / 1000);
}

function toSlider(field, slider, input, model) {
  slider.value = input.value !== "" ? input.value : usual(field, model) ?? field.low;
  draw(slider);
}

// The part of the track up to the thumb is lit.
function draw(slider) {
  const share = (slider.value - slider.min) / (slider.max - slider.min);
  slider.style.setProperty("--share", `${100 * share}%`);
}

function read(field, input) {
  if (field.type === "T") return input.checked || undefined;
  const text = input.value.trim();
  if (text === "") return undefined;
  if (field.type === "i" || field.type === "f") return Number(text);
  if (field.type === "j") { try { return JSON.parse(text); } catch { return text; } }
  return text;
}

function unflatten(pairs) {
  const tree = {};
  for (const [name, value] of pairs) {
    if (value === undefined) continue;
    const parts = name.split(".");
    const leaf = parts.pop();
    parts.reduce((node, part) => (node[part] ??= {}), tree)[leaf] = value;
  }
  return tree;
}
