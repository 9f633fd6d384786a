// The server's HTTP interface (/openapi.json), as far as the panel uses it.

export class ApiError extends Error {
  constructor(status, code, message) { super(message); this.status = status; this.code = code; }
}

export async function call(method, path, { json, body, headers = {} } = {}) {
  if (json !== undefined) {
    body = JSON.stringify(json);
    headers = { ...headers, "Content-Type": "application/json" };
  }
  let response;
  try {
    response = await fetch(path, { method, body, headers });
  } catch {
    throw new ApiError(0, "unavailable", "the server cannot be reached");
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  const error = answer?.error ?? { code: "error", message: `the server answered ${response.status}` };
  throw new ApiError(response.status, error.code, error.message);
}

// Calls `changed(job, event)` and `modelChanged(model)` at each event, and `connected(true | false)`
// whenever the connection changes.
export function follow(changed, modelChanged, connected) {
  const source = new EventSource("/v1/events");
  source.onopen = () => connected(true);
  source.onerror = () => {
    connected(false);
    if (source.readyState === EventSource.CLOSED) setTimeout(() => follow(changed, modelChanged, connected), 1500);
  };
  for (const kind of ["queued", "running", "progress", "preview", "done", "failed", "cancelled"]) {
    source.addEventListener(kind, (event) => changed(JSON.parse(event.data).job, kind));
  }
  source.addEventListener("model", (event) => modelChanged(JSON.parse(event.data).model));
}
