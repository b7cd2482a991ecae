// The API of this page, which other wallets may use as well: /app/api/v1/openapi.json.

const BASE = "/app/api/v1";

/** What the server said no to; its message is a sentence for people, its kind the end of its type. */
export class Refused extends Error {
  constructor(problem) {
    super(problem.detail);
    this.kind = String(problem.type).split(":").at(-1);
  }
}

async function ask(path, options) {
  const response = await fetch(BASE + path, options);
  const body = await response.json();
  if (!response.ok) throw new Refused(body);
  return body;
}

function post(path, body) {
  const headers = { "content-type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(body) });
}

const query = (fields) => new URLSearchParams(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));

export const chain = () => ask("/chain");
export const quote = (asked, signal) => ask(`/quote?${query(asked)}`, { signal });
export const prepare = (order) => post("/prepare", order);
export const transaction = (hash, chain) => ask(`/transactions/${hash}?${query({ chain })}`);
export const packet = (name) => ask(`/packets/${name}`);
export const delivery = (name, account) => post(`/packets/${name}/delivery`, { account });
export const facts = (address) => ask(`/accounts/${encodeURIComponent(address)}`);
export const balances = (account) => ask(`/accounts/${account}/balances`);
export const history = (account, chain, cursor) => ask(`/accounts/${account}/history?${query({ chain, cursor, limit: 25 })}`);
export const packets = (account, nativeBefore, ethereumBefore) =>
  ask(`/accounts/${account}/packets?${query({ nativeBefore, ethereumBefore, limit: 10 })}`);

/** Calls `onEntry` for each new entry and `onPacket` for each new stage; answers a function that ends it. */
export function events(account, onEntry, onPacket) {
  const source = new EventSource(`${BASE}/accounts/${account}/events`);
  source.addEventListener("entry", (event) => onEntry(JSON.parse(event.data)));
  source.addEventListener("packet", (event) => onPacket(JSON.parse(event.data)));
  return () => source.close();
}
