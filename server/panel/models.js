// The menu of models, shown where there is more than one.

import { call } from "./api.js";
import { Offers } from "./offers.js";

const $ = (id) => document.getElementById(id);

export class Models {
  constructor(changed, complain) {
    this.all = new Map();
    this.offers = new Offers(complain);
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
    const { models, offers } = await call("GET", "/v1/models"), chosen = $("models").value;
    this.all = new Map(models.map((model) => [model.name, model]));
    $("models").replaceChildren(...models.map((model) => new Option(text(model), model.name)));
    $("models-area").hidden = models.length < 2;
    this.offers.show(offers);
    this.choose(chosen);
  }

  show(model) {
    const known = this.all.get(model.name);
    this.all.set(model.name, model);
    const option = [...$("models").options].find((o) => o.value === model.name);
    if (option) option.textContent = text(model);
    if (!option || known?.state === "adding" && model.state !== "adding") this.load();
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
  if (model.stage && model.total_bytes) {
    return `${model.name} (${model.stage} ${Math.round(100 * model.done_bytes / model.total_bytes)} %)`;
  }
  return model.state === "loaded" ? model.name : `${model.name} (${model.state})`;
}
