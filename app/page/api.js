// The API of this page, which other wallets may use as well: /app/api/v1/openapi.json.

const BASE = "/app/api/v1";

/** What the server said no to; its message is a sentence for people. */
export class Refused extends Error {
  constructor(problem) {
    super(problem.detail);
    this.kind = problem.type;
  }
}

async function ask(path, options) {
  const response = await fetch(BASE + path, options);
  const body = await response.json();
  if (!response.ok) throw new Refused(body);
  return body;
}

export const chain = () => ask("/chain");

export function quote({ give, amount, slippageBp }, signal) {
  const query = new URLSearchParams({ give, amount, slippageBp });
  return ask(`/quote?${query}`, { signal });
}

export function prepare(order) {
  return ask("/prepare", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(order),
  });
}

export const transaction = (hash) => ask(`/transactions/${hash}`);
export const balances = (account) => ask(`/accounts/${account}/balances`);
export const history = (account) => ask(`/accounts/${account}/history?limit=25`);

/** Calls `onEntry` for each new entry; answers a function that ends it. */
export function events(account, onEntry) {
  const source = new EventSource(`${BASE}/accounts/${account}/events`);
  source.addEventListener("entry", (event) => onEntry(JSON.parse(event.data)));
  return () => source.close();
}
