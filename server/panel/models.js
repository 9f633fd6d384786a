// The menu of models, shown where there is more than one.

import { call } from "./api.js";

const $ = (id) => document.getElementById(id);

export class Models {
  constructor(changed) {
    this.all = new Map();
    $("models").onchange = () => { this.describe(); changed(); };
  }

  // The name that a request needs; nothing for the default.
  get wanted() {
    const chosen = this.all.get($("models").value);
    return chosen && !chosen.default ? { model: chosen.name } : {};
  }

  choose(name) {
    $("models").value = this.all.has(name) ? name : [...this.all.keys()][0];
    this.describe();
  }

  async load() {
    const { models } = await call("GET", "/v1/models"), chosen = $("models").value;
    this.all = new Map(models.map((model) => [model.name, model]));
    $("models").replaceChildren(...models.map((model) => new Option(text(model), model.name)));
    $("models-area").hidden = models.length < 2;
    this.choose(chosen);
  }

  show(model) {
    this.all.set(model.name, model);
    const option = [...$("models").options].find((o) => o.value === model.name);
    if (option) option.textContent = text(model);
    this.describe();
  }

  describe() {
    const model = this.all.get($("models").value);
    if (!model) return;
    const several = this.all.size > 1, name = several ? "" : `${model.name}, `;
    $("model").textContent = `${name}${model.licence}${model.error ? `: ${model.error}` : ""}`;
  }
}

function text(model) {
  return model.state === "loaded" ? model.name : `${model.name} (${model.state})`;
}
