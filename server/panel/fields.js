// Controls made from the server's own description of each field: real names, ranges and units.

const FIRST = ["audio_length_in_s", "num_inference_steps", "guidance_scale", "seed",
  "num_waveforms_per_prompt", "strength", "distance", "side", "cutoff_hz", "bpm", "bars"];
const OWN_PLACE = ["prompt", "regions", "model"];

// Builds the controls of `kind`; returns { values(), set(request) }.
export function buildFields(kind, model, main, more, changed) {
  main.replaceChildren(); more.replaceChildren();
  const controls = new Map();
  for (const field of kind.fields) {
    if (OWN_PLACE.includes(field.name) || field.extra.file || field.type === "b") continue;
    const control = makeControl(field, model, changed);
    controls.set(field.name, control);
    (FIRST.includes(field.name) ? main : more).append(control.row);
  }
  return {
    values: () => unflatten([...controls].map(([name, c]) => [name, c.value()])),
    set(request) {
      for (const [name, control] of controls) {
        control.set(name.split(".").reduce((node, part) => node?.[part], request));
      }
    },
  };
}

function makeControl(field, model, changed) {
  const row = document.createElement("div");
  row.className = "field";
  const label = document.createElement("label");
  const short = field.name.split(".").pop().replaceAll("_", " ");
  label.textContent = short + (field.unit ? ` (${field.unit})` : "");
  label.title = field.description;
  const input = makeInput(field, model);
  input.id = `f-${field.name}`;
  label.htmlFor = input.id;
  row.append(label);
  const slider = makeSlider(field, input, label.textContent, model);
  if (slider) row.append(slider);
  row.append(input);
  input.addEventListener("input", changed);
  slider?.addEventListener("input", () => { input.value = fromSlider(field, slider); changed(); });
  const value = () => read(field, input);
  const set = (given) => {
    if (field.type === "T") input.checked = given ?? field.default ?? false;
    else input.value = given ?? "";
    if (slider) toSlider(field, slider, input, model);
  };
  input.addEventListener("input", () => slider && toSlider(field, slider, input, model));
  set(undefined);
  return { row, value, set };
}

function makeInput(field, model) {
  if (field.choices.length) {
    const select = document.createElement("select");
    const open = field.required ? [] : [["", `default${field.default ? `: ${field.default}` : ""}`]];
    for (const [value, text] of [...open, ...field.choices.map((c) => [c, c])]) {
      select.append(new Option(text, value));
    }
    return select;
  }
  const input = document.createElement("input");
  if (field.type === "T") { input.type = "checkbox"; return input; }
  if (field.type === "i" || field.type === "f") {
    input.type = "number";
    input.step = field.type === "i" ? 1 : "any";
    if (field.low !== null) input.min = field.low;
    if (field.high !== null) input.max = field.high;
  }
  const usual = field.default ?? model.defaults[field.name];
  input.placeholder = field.name === "seed" ? "any" : usual ?? "";
  return input;
}

// Wide ranges (600 s, 1000 steps) are cut where nobody goes; the number beside takes them all.
function top(field, model) {
  const usual = field.default ?? model.defaults[field.name];
  if (typeof usual !== "number" || usual <= 0) return field.high;
  return Math.min(field.high, Math.max(usual * 5, field.low + 1));
}

function makeSlider(field, input, name, model) {
  const bounded = field.low !== null && field.high !== null && "if".includes(field.type);
  if (!bounded || field.high > 1e6 || field.name.endsWith("sample_rate")) return null;
  const slider = document.createElement("input");
  slider.type = "range";
  slider.min = field.low;
  slider.max = top(field, model);
  slider.step = field.type === "i" ? 1 : (slider.max - slider.min) / 200;
  slider.setAttribute("aria-label", name);
  return slider;
}

function fromSlider(field, slider) {
  return field.type === "i" ? slider.value : String(Math.round(slider.value * 1000) / 1000);
}

function toSlider(field, slider, input, model) {
  slider.value = input.value !== "" ? input.value : field.default ?? model.defaults[field.name] ?? field.low;
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
