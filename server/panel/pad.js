// Four prompts in four corners; each place between them is a blend.

const $ = (id) => document.getElementById(id);

export function morphPad(blended) {
  let x = 0.5, y = 0.5;
  const corners = [...document.querySelectorAll(".corner")];
  const move = (newX, newY) => {
    x = Math.min(1, Math.max(0, newX));
    y = Math.min(1, Math.max(0, newY));
    $("dot").style.left = `${100 * x}%`;
    $("dot").style.top = `${100 * y}%`;
    const weights = [(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y];
    const parts = corners.map((corner, k) => [corner.value.trim(), weights[k]])
      .filter(([text, weight]) => text && weight >= 0.01);
    const blend = parts.length > 1
      ? parts.map(([text, weight]) => `${text}:${weight.toFixed(2)}`).join(" + ")
      : parts[0]?.[0] ?? "";
    $("blend").textContent = blend;
    if (blend) blended(blend);
  };
  const follow = (event) => {
    const box = $("pad").getBoundingClientRect();
    move((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  };
  $("pad").onpointerdown = (event) => { $("pad").setPointerCapture(event.pointerId); follow(event); };
  $("pad").onpointermove = (event) => event.buttons && follow(event);
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  $("pad").onkeydown = (event) => {
    if (!(event.key in steps)) return;
    event.preventDefault();
    const [dx, dy] = steps[event.key], size = event.shiftKey ? 0.2 : 0.05;
    move(x + dx * size, y + dy * size);
  };
  for (const corner of corners) corner.oninput = () => move(x, y);
}
