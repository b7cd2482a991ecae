// Connect, quote, review, sign, follow. Nothing here ever sees a key.

import * as api from "./api.js";
import * as wallets from "./wallets.js";
import { choose, current, name, say, translate } from "./words.js";

const $ = (id) => document.getElementById(id);
/** An element with text; text never becomes markup. */
function make(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

const state = { chain: null, wallet: null, account: null, stop: null, quoting: null, busy: false };

// --- notices

function notice(text) {
  $("notice").textContent = text ?? "";
  $("notice").hidden = !text;
}

function explain(error) {
  if (wallets.isRefusal(error)) return say("refused");
  if (error instanceof api.Refused) return error.message;
  if (error instanceof TypeError || error instanceof SyntaxError) return say("offline");
  return String(error?.message ?? error).slice(0, 300);
}

// --- the account

function showWallet(wallet) {
  $("no-wallet").hidden = true;
  const button = make("button", undefined, { type: "button" });
  if (wallet.icon) button.append(make("img", undefined, { src: wallet.icon, alt: "" }));
  button.append(make("span", `${wallet.name}`));
  button.addEventListener("click", () => connect(wallet, true));
  const item = make("li");
  item.append(button);
  $("wallets").append(item);
  // Who was connected stays so after a reload.
  if (localStorage.getItem("mileverse.wallet") === wallet.id) connect(wallet, false);
}

async function connect(wallet, mayAsk) {
  try {
    notice();
    const [account] = await wallets.accounts(wallet.provider, mayAsk);
    if (!account) return;
    state.wallet = wallet;
    localStorage.setItem("mileverse.wallet", wallet.id);
    if (!wallet.isHeard) {
      wallet.isHeard = true;
      wallet.provider.on?.("accountsChanged", ([next]) => state.wallet === wallet && become(next ?? null));
      wallet.provider.on?.("chainChanged", () => state.wallet === wallet && checkNetwork());
    }
    become(account);
  } catch (error) {
    notice(explain(error));
  }
}

function become(account) {
  state.stop?.();
  state.stop = null;
  state.account = account;
  $("choose").hidden = Boolean(account);
  $("connected").hidden = !account;
  if (!account) {
    localStorage.removeItem("mileverse.wallet");
    $("history").replaceChildren();
    $("no-history").hidden = false;
    ready();
    return;
  }
  $("address").textContent = account;
  state.stop = api.events(account, () => refresh());
  checkNetwork();
  refresh();
  resume();
  ready();
}

async function checkNetwork() {
  try {
    state.chain ??= await api.chain();
    const found = await wallets.chainId(state.wallet.provider);
    const isRight = BigInt(found) === BigInt(state.chain.chainId);
    $("network").hidden = isRight;
    return isRight;
  } catch (error) {
    notice(explain(error));
    return false;
  }
}

async function useNetwork() {
  try {
    notice();
    state.chain ??= await api.chain();
    await wallets.useChain(state.wallet.provider, state.chain);
    return await checkNetwork();
  } catch (error) {
    notice(explain(error));
    return false;
  }
}

async function refresh() {
  const account = state.account;
  if (!account) return;
  try {
    const [balances, history] = await Promise.all([api.balances(account), api.history(account)]);
    if (account !== state.account) return;
    $("points").textContent = balances.points.amount;
    $("coin").textContent = balances.coin.amount;
    $("no-history").hidden = history.entries.length > 0;
    $("history").replaceChildren(...history.entries.map(entryItem));
  } catch (error) {
    notice(explain(error));
  }
}

function entryItem(entry) {
  const item = make("li");
  const time = new Date(entry.time * 1000);
  const line = make("div", `${say(entry.kind)} `);
  const amounts = [
    ...entry.out.map((money) => `−${money.amount} ${money.token}`),
    ...entry.in.map((money) => `+${money.amount} ${money.token}`),
  ];
  line.append(make("strong", amounts.join("  ")));
  const when = make("time", time.toLocaleString(current()), { datetime: time.toISOString(), class: "faint" });
  item.append(line, when, make("div", entry.transaction, { class: "mono faint" }));
  return item;
}

// --- the quote

function wish() {
  const data = new FormData($("form"));
  return {
    give: data.get("give"),
    amount: data.get("amount").trim().replaceAll(",", ""),
    slippageBp: Number(data.get("slippage")),
  };
}

function ready(isQuoted = $("quote").dataset.good === "yes") {
  $("review").disabled = !(state.account && isQuoted && !state.busy);
}

function list(pairs) {
  const dl = make("dl");
  for (const [term, text] of pairs) dl.append(make("dt", term), make("dd", text));
  return dl;
}

const money = ({ amount, token }) => `${amount} ${token}`;

async function requote() {
  state.quoting?.abort();
  const asked = wish();
  const box = $("quote");
  if (asked.amount === "") {
    box.replaceChildren();
    box.dataset.good = "no";
    return ready();
  }
  const control = (state.quoting = new AbortController());
  try {
    const quote = await api.quote(asked, control.signal);
    box.replaceChildren(
      list([
        [say("receive"), money(quote.receive)],
        [say("least"), money(quote.least)],
        [say("fee"), money(quote.fee)],
        [say("rate"), `${money(quote.rate)} ${say("forOne")}`],
        [say("duration"), say("seconds")],
      ]),
    );
    box.dataset.good = "yes";
  } catch (error) {
    if (error.name === "AbortError") return;
    box.replaceChildren(make("p", explain(error), { class: "faint" }));
    box.dataset.good = "no";
  }
  ready();
}

let typing;
function later() {
  $("quote").dataset.good = "no";
  ready();
  clearTimeout(typing);
  typing = setTimeout(requote, 250);
}

// --- review and signing

function showPlan(plan) {
  const parts = plan.steps.map((step, index) => {
    const part = make("section");
    const title = step.kind === "allow" ? say("allow") : say("doSwap");
    part.append(make("h3", `${say("step")} ${index + 1}: ${title}`));
    part.append(list(step.lines.map((line) => [name(line.name), line.value])));
    return part;
  });
  if (plan.steps.length > 1) parts.push(make("p", say("later"), { class: "faint" }));
  $("steps").replaceChildren(...parts);
}

/** Shows the plan; answers whether it may be signed. */
function agree(plan) {
  showPlan(plan);
  const dialog = $("dialog");
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "sign"), { once: true });
  });
}

async function swap() {
  if (state.busy) return;
  state.busy = true;
  ready();
  notice();
  try {
    if (!(await checkNetwork()) && !(await useNetwork())) {
      if ($("notice").hidden) notice(say("wrongNetwork"));
      return;
    }
    const asked = { account: state.account, ...wish() };
    // An allowance first, if one is needed; then the swap is prepared and shown anew.
    for (let round = 0; round < 2; ++round) {
      const plan = await api.prepare(asked);
      if (!(await agree(plan))) return;
      const [step] = plan.steps;
      const hash = await wallets.send(state.wallet.provider, step.transaction);
      remember({ hash, kind: step.kind, account: state.account });
      const stage = await follow(hash);
      if (stage !== "final" || step.kind === "swap") break;
    }
    $("amount").value = "";
    requote();
  } catch (error) {
    notice(explain(error));
  } finally {
    state.busy = false;
    ready();
  }
}

// --- progress, which outlives a reload

const STORE = "mileverse.sent";
const recall = () => {
  try {
    return JSON.parse(localStorage.getItem(STORE) ?? "[]");
  } catch {
    return [];
  }
};

function remember(entry) {
  localStorage.setItem(STORE, JSON.stringify([entry, ...recall().filter(({ hash }) => hash !== entry.hash)].slice(0, 20)));
}

function progressItem(hash, kind) {
  const id = `sent-${hash}`;
  let item = $(id);
  if (!item) {
    item = make("li", undefined, { id });
    item.append(make("strong", kind === "allow" ? say("allow") : say("doSwap")), make("div", "", { class: "stage" }));
    item.append(make("div", hash, { class: "mono faint" }));
    $("progress").prepend(item);
  }
  $("progress-section").hidden = false;
  return item.querySelector(".stage");
}

/** Looks until it is final or refused. A server that is away is asked again. */
async function follow(hash, kind = recall().find((entry) => entry.hash === hash)?.kind) {
  const stage = progressItem(hash, kind);
  for (let wait = 300; ; wait = Math.min(wait * 1.5, 5_000)) {
    let found = "unknown";
    try {
      ({ stage: found } = await api.transaction(hash));
    } catch {
      // Asked again.
    }
    if (stage.textContent !== say(found)) stage.textContent = say(found);
    if (found === "final" || found === "failed") {
      localStorage.setItem(STORE, JSON.stringify(recall().map((entry) => (entry.hash === hash ? { ...entry, done: true } : entry))));
      refresh();
      return found;
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

function resume() {
  for (const { hash, kind, account, done } of recall()) {
    if (!done && account === state.account) follow(hash, kind);
  }
}

// --- start

$("language").value = current();
translate();
$("language").addEventListener("change", (event) => {
  choose(event.target.value);
  requote();
  refresh();
});
$("form").addEventListener("input", later);
$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  swap();
});
$("leave").addEventListener("click", () => become(null));
$("network").addEventListener("click", useNetwork);
$("cancel").addEventListener("click", () => $("dialog").close("no"));
$("confirm").addEventListener("click", () => $("dialog").close("sign"));
wallets.discover(showWallet);
