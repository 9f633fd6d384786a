// OSC over the WebSocket of OSCQuery: messages as [address, ...arguments].

const AGAIN_MS = 1500;

export class Osc {
  // `received(address, arguments)` at each message, `connected(true | false)` at each change.
  constructor(received, connected) {
    Object.assign(this, { received, connected });
    this.open();
  }

  open() {
    const socket = this.socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.connected(true);
    socket.onclose = () => { this.connected(false); setTimeout(() => this.open(), AGAIN_MS); };
    socket.onmessage = ({ data }) => { if (typeof data !== "string") this.received(...decode(data)); };
  }

  get ready() { return this.socket.readyState === WebSocket.OPEN; }

  send(address, ...values) { if (this.ready) this.socket.send(encode(address, values)); }

  // Changes of a value, as OSCQuery calls it.
  listen(address) { this.socket.send(JSON.stringify({ COMMAND: "LISTEN", DATA: address })); }
}

export function encode(address, values) {
  const tags = values.map((value) => typeof value === "string" ? "s" : Number.isInteger(value) ? "i" : "f");
  const parts = [text(address), text(`,${tags.join("")}`)];
  values.forEach((value, k) => parts.push(tags[k] === "s" ? text(value) : number(tags[k], value)));
  return new Blob(parts);
}

export function decode(buffer) {
  const view = new DataView(buffer);
  let at = 0;
  const word = () => {
    let end = at;
    while (view.getUint8(end)) end++;
    const read = new TextDecoder().decode(new Uint8Array(buffer, at, end - at));
    at = (end & ~3) + 4;
    return read;
  };
  const size = { i: 4, f: 4, h: 8, d: 8 };
  const read = { i: "getInt32", f: "getFloat32", h: "getBigInt64", d: "getFloat64" };
  const address = word(), values = [];
  for (const tag of word().slice(1)) {
    if (tag === "s") values.push(word());
    else if (tag in read) { values.push(Number(view[read[tag]](at))); at += size[tag]; }
    else if (tag === "b") { at += 4 + (view.getInt32(at) + 3 & ~3); values.push(null); }
    else values.push({ T: true, F: false }[tag] ?? null);
  }
  return [address, values];
}

function text(words) {
  const bytes = new TextEncoder().encode(words), padded = new Uint8Array((bytes.length & ~3) + 4);
  padded.set(bytes);
  return padded;
}

function number(tag, value) {
  const view = new DataView(new ArrayBuffer(4));
  view[tag === "i" ? "setInt32" : "setFloat32"](0, value);
  return view;
}
