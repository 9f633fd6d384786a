// Published models that can be downloaded: what each needs, and its licence.

import { call } from "./api.js";

const $ = (id) => document.getElementById(id);
const GIB = 2 ** 30;

export class Offers {
  constructor(complain) {
    this.all = [];
    $("add-model").onclick = () => { this.pick(this.all[0]); $("offers").showModal(); };
    $("accept").onchange = () => { $("offer-add").disabled = !$("accept").checked; };
    $("offers").onclose = () => {
      if ($("offers").returnValue === "add") this.add().catch(complain);
    };
  }

  show(offers) {
    this.all = offers;
    $("add-model").hidden = !offers.length;
    $("offer-list").replaceChildren(...offers.map((offer) => this.choice(offer)));
  }

  choice(offer) {
    const label = document.createElement("label"), radio = document.createElement("input");
    Object.assign(radio, { type: "radio", name: "offer", value: offer.name });
    radio.onchange = () => this.pick(offer);
    const sizes = `${gib(offer.download_bytes)} to download, ${gib(offer.memory_bytes)} of memory`;
    label.append(radio, ` ${offer.name}: ${offer.about} (${sizes})`);
    return label;
  }

  pick(offer) {
    if (!offer) return;
    this.picked = offer;
    for (const radio of $("offer-list").querySelectorAll("input")) radio.checked = radio.value === offer.name;
    $("offer-licence").textContent = `I accept the licence of the weights: ${offer.licence}`;
    $("accept").checked = false;
    $("offer-add").disabled = true;
  }

  async add() {
    await call("POST", "/v1/models", { json: { source: this.picked.name, accept_licence: true } });
  }
}

function gib(bytes) {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}
