// What all parts of the page share: who is connected, both networks, what is said to the person.

import * as api from "./api.js";
import { $ } from "./dom.js";
import * as wallets from "./wallets.js";
import { problem, say } from "./words.js";

export const state = { chain: null, wallet: null, account: null, busy: false };

export function notice(text) {
  $("notice").textContent = text ?? "";
  $("notice").hidden = !text;
}

export function explain(error) {
  if (wallets.isRefusal(error)) return say("refused");
  if (error instanceof api.Refused) return problem(error);
  if (error instanceof TypeError || error instanceof SyntaxError) return say("offline");
  return String(error?.message ?? error).slice(0, 300);
}

/** Both networks, asked once. */
export async function chains() {
  state.chain ??= await api.chain();
  return state.chain;
}

/** A network by its place, with what gas is paid with there. */
function network(facts, place) {
  return place === "ethereum"
    ? [facts.ethereum, { name: "Ether", symbol: "ETH", decimals: 18 }]
    : [facts, { name: "MileVerse Coin", symbol: "MVC", decimals: 18 }];
}

export const explorer = (place) => network(state.chain ?? {}, place)[0]?.explorerUrl;

/** Whether the wallet is on the network; brings it there if it may. */
export async function onNetwork(place, mayChange) {
  const [found, currency] = network(await chains(), place);
  if (await wallets.isOn(state.wallet.provider, found)) return true;
  if (!mayChange) return false;
  await wallets.use(state.wallet.provider, found, currency);
  return wallets.isOn(state.wallet.provider, found);
}
