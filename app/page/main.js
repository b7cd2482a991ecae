// Connect, quote, review, sign, follow. Nothing here ever sees a key.

import * as api from "./api.js";
import { $, clock, copier, exact, hash, isFocusLost, list, make, money, nice, whom } from "./dom.js";
import * as progress from "./progress.js";
import * as receiver from "./receiver.js";
import { alone, permit, sign } from "./review.js";
import { chains, explain, explorer, notice, onNetwork, state } from "./state.js";
import * as wallets from "./wallets.js";
import { choose, current, say, translate } from "./words.js";

const CHAINS = { native: "MileVerse", ethereum: "Ethereum" };
const REQUOTE_MS = 12_000;

// --- the account

function showWallet(wallet) {
  $("no-wallet").hidden = true;
  const button = make("button", null, { type: "button" });
  if (wallet.icon) button.append(make("img", null, { src: wallet.icon, alt: "" }));
  button.append(make("span", wallet.name));
  button.addEventListener("click", () => connect(wallet, true));
  $("wallets").append(make("li", null, {}, button));
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
    if (mayAsk) $("amount").focus();
  } catch (error) {
    notice(explain(error));
  }
}

let stop = () => {};
let balances = null;
/** Blocks below which older transfers are. */
let oldest = {};

function become(account) {
  stop();
  stop = () => {};
  state.account = account;
  balances = null;
  pages.native = pages.ethereum = undefined;
  oldest = {};
  past.clear();
  progress.clear();
  receiver.become();
  $("choose").hidden = Boolean(account);
  $("connected").hidden = !account;
  $("history").replaceChildren();
  $("no-history").hidden = false;
  if (account) {
    $("address").replaceChildren(`${account.slice(0, 8)}…${account.slice(-6)}`, copier(account, say("name.account")));
    $("address").title = account;
    stop = api.events(account, refresh, progress.put);
    checkNetwork();
    refresh();
    packetsOf();
    progress.resume();
  } else {
    localStorage.removeItem("mileverse.wallet");
  }
  linked();
  ready();
}

async function checkNetwork() {
  try {
    const isRight = (await onNetwork("native", false)) || (state.chain.ethereum && (await onNetwork("ethereum", false)));
    $("network").hidden = Boolean(isRight);
  } catch (error) {
    notice(explain(error));
  }
}

async function useNetwork() {
  try {
    notice();
    await onNetwork("native", true);
    await checkNetwork();
  } catch (error) {
    notice(explain(error));
  }
}

async function refresh() {
  const account = state.account;
  if (!account) return;
  try {
    await chains();
    const found = await api.balances(account);
    if (account !== state.account) return;
    balances = found;
    showBalances();
    await history(false);
  } catch (error) {
    notice(explain(error));
  }
}

function showBalances() {
  if (!balances) return;
  const put = (id, value) => {
    $(id).textContent = value ? nice(value.amount, 4) : "–";
    $(id).title = value ? value.amount : "";
  };
  put("points", balances.points);
  put("coin", balances.coin);
  put("far-points", balances.ethereum?.points);
  put("far-coin", balances.ethereum?.coin);
  put("far-ether", balances.ethereum?.ether);
  const isAway = state.chain?.ethereum && !balances.ethereum;
  $("no-bridge").hidden = Boolean(state.chain?.ethereum) && !isAway;
  $("no-bridge").textContent = say(isAway ? "ethereumAway" : "noBridge");
  const there = spendable();
  $("all").hidden = !there;
  if (there) {
    $("all").textContent = `${say("all")} ${money(there)}`;
    $("all").title = exact(there);
  }
}

/** What is left for gas on the native chain, in smallest units: of allowing and sending, of swapping. */
const FOR_GAS = { mvp: [200_000n, 6], mvc: [10n ** 16n, 18] };

/** What the account can give of what is chosen. */
function spendable() {
  const [token, place] = $("give").value.split("@");
  const side = place === "ethereum" ? balances?.ethereum : balances;
  const there = side?.[token === "mvp" ? "points" : "coin"];
  if (!there || place !== "native") return there;
  const [gas, decimals] = FOR_GAS[token];
  const units = BigInt(there.units) - gas;
  if (units <= 0n) return there;
  const digits = units.toString().padStart(decimals + 1, "0");
  const amount = `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`.replace(/\.?0+$/, "");
  return { ...there, units: units.toString(), amount };
}

// --- the history, from both chains

/** Where the next page begins; null after the last. */
const pages = { native: undefined, ethereum: undefined };
const past = new Map();

async function history(isOlder) {
  const account = state.account;
  const places = state.chain?.ethereum ? ["native", "ethereum"] : ["native"];
  const asked = places.filter((place) => !isOlder || pages[place]);
  const found = await Promise.all(
    asked.map((place) =>
      // Ethereum that is away keeps nobody from the native chain's history.
      api.history(account, place, isOlder ? pages[place] : undefined).catch((error) => {
        if (place === "native") throw error;
        return null;
      }),
    ),
  );
  if (account !== state.account) return;
  found.forEach((page, index) => {
    if (page) put(asked[index], page, isOlder);
  });
  const entries = [...past.values()].sort((a, b) => b.time - a.time || b.block - a.block || b.index - a.index);
  const moving = new Set(entries.filter(({ kind }) => kind === "left" || kind === "swapped").map(({ transaction }) => transaction));
  $("no-history").hidden = entries.length > 0;
  $("history").replaceChildren(...entries.map((entry) => entryItem(entry, moving)));
  $("more-history").hidden = !places.some((place) => pages[place]);
}

/** One page beside what is there. */
function put(place, page, isOlder) {
  const name = (entry) => `${entry.chain} ${entry.block} ${entry.index}`;
  const isFirst = pages[place] === undefined;
  const [block, index] = (page.nextCursor ?? "0.0").split(".").map(Number);
  // A newest page that does not reach what is there begins it anew: nothing is left out in between.
  const isApart = !isOlder && !isFirst && page.nextCursor && !page.entries.some((entry) => past.has(name(entry)));
  for (const [key, entry] of past) {
    // What is not final yet may be gone.
    const isPaged = entry.block > block || (entry.block === block && entry.index >= index);
    if (entry.chain === place && !isOlder && (isApart || isPaged)) past.delete(key);
  }
  if (isOlder || isFirst || isApart) pages[place] = page.nextCursor;
  for (const entry of page.entries) past.set(name(entry), entry);
}

function entryItem(entry, moving) {
  // Beside what it moves, a transaction pays for its gas with points.
  const isFee = entry.kind === "sent" && entry.with?.toLowerCase() === state.chain?.feeReceiver?.toLowerCase();
  const isGas = isFee && moving.has(entry.transaction);
  const amounts = [
    ...entry.out.map((one) => make("span", `−${money(one)}`, { title: exact(one) })),
    ...entry.in.map((one) => make("span", `+${money(one)}`, { title: exact(one), class: "plus" })),
  ];
  // Packets between native chains are called by both: 7001:7002:3.
  const between = /^[0-9]+:/.test(entry.packet ?? "") ? [make("div", say("between", entry.packet), { class: "faint" })] : [];
  const goes = entry.receiver && !receiver.isOwn(entry.receiver) ? [make("div", null, { class: "row faint" }, make("span", say("goesTo")), whom(entry.receiver))] : [];
  const when = make("time", clock(entry.time), { datetime: new Date(entry.time * 1000).toISOString() });
  return make(
    "li",
    null,
    {},
    make("div", null, { class: "row" }, make("span", say(isGas ? "paidGas" : isFee ? "paidFee" : entry.kind, entry.quarter)), make("strong", null, { class: "amounts" }, ...amounts)),
    ...between,
    ...goes,
    make("div", null, { class: "row faint" }, make("span", null, {}, `${CHAINS[entry.chain]} · `, when), hash(entry.transaction, explorer(entry.chain))),
  );
}

async function packetsOf() {
  const account = state.account;
  try {
    if (!(await chains()).ethereum) return;
    const found = await api.packets(account, oldest.native, oldest.ethereum);
    if (account !== state.account) return;
    found.packets.forEach(progress.put);
    oldest = { native: found.nativeOldest, ethereum: found.ethereumOldest };
    $("more-packets").hidden = found.nativeOldest + found.ethereumOldest === 0;
  } catch (error) {
    notice(explain(error));
  }
}

/** A transfer that the page's address names: anybody may look at it. */
async function linked() {
  const name = location.hash.slice(1);
  if (!/^(native|ethereum):[0-9]{1,20}$/.test(name)) return;
  try {
    await chains();
    await progress.look(name);
    document.getElementById(`sent-${name}`)?.scrollIntoView({ block: "center" });
  } catch (error) {
    notice(explain(error));
  }
}

// --- what for what, and where

const SIDES = [
  ["mvp@native", "MVP · MileVerse"],
  ["mvc@native", "MVC · MileVerse"],
  ["mvp@ethereum", "MVP · Ethereum"],
  ["mvc@ethereum", "MVC · Ethereum"],
];

function sides() {
  const offered = SIDES.filter(([value]) => state.chain?.ethereum || value.endsWith("native"));
  for (const id of ["give", "receive"]) {
    const before = $(id).value;
    $(id).replaceChildren(...offered.map(([value, text]) => make("option", text, { value })));
    $(id).value = offered.some(([value]) => value === before) ? before : id === "give" ? "mvp@native" : "mvc@native";
  }
  for (const cell of document.querySelectorAll(".ethereum")) cell.hidden = !state.chain?.ethereum;
}

/** Two sides that are not the same: the one that was not touched gives way. */
function part(touched) {
  const other = touched === "give" ? "receive" : "give";
  if ($("give").value !== $("receive").value) return;
  const [token, place] = $(touched).value.split("@");
  $(other).value = place === "native" ? `${token === "mvp" ? "mvc" : "mvp"}@native` : `${token}@native`;
}

function wish() {
  const data = new FormData($("form"));
  const [give, from] = data.get("give").split("@");
  const [receive, to] = data.get("receive").split("@");
  const slippageBp = Number(data.get("slippage"));
  return { give, from, receive, to, amount: data.get("amount").trim().replaceAll(",", ""), slippageBp };
}

let shown = null;
let quoting = null;

function ready() {
  const isReady = Boolean(state.account && shown && !state.busy && receiver.isKnown());
  $("review").disabled = !isReady;
  const wants = state.account ? (receiver.isKnown() ? "review" : "receiverFirst") : "connectFirst";
  $("review").textContent = say(wants);
}

function duration(seconds) {
  if (seconds < 10) return say("now");
  return seconds < 60 ? say("half") : say("minutes", Math.round(seconds / 60));
}

function showQuote(quote) {
  $("out").textContent = nice(quote.receive.amount);
  $("out").title = exact(quote.receive);
  $("kind").textContent = say(quote.route);
  const lines = [];
  if (quote.route !== "bridge") {
    lines.push([say("least"), money(quote.least)]);
    lines.push([say("rate"), `${money(quote.rate)} ${say("forOne")}`], [say("fee"), money(quote.fee)]);
  }
  if (quote.route !== "swap") {
    const chosen = $("patience").selectedOptions[0].textContent;
    // A swap that comes first happens at once, or not at all.
    const isSwapLater = quote.route === "bridge+swap" && wish().from === "ethereum";
    lines.push([say(isSwapLater ? "afterSwap" : "after"), say("refundedAfter", chosen)]);
  }
  lines.push([say("duration"), duration(quote.seconds)]);
  $("quote").replaceChildren(list(lines));
}

function unquoted(text) {
  shown = null;
  $("out").textContent = "0";
  $("out").title = "";
  $("kind").textContent = "";
  $("quote").replaceChildren(...(text ? [make("p", text, { class: "faint" })] : []));
}

async function requote() {
  quoting?.abort();
  const asked = wish();
  if (asked.amount === "") {
    unquoted();
    return ready();
  }
  const control = (quoting = new AbortController());
  try {
    const quote = await api.quote(asked, control.signal);
    shown = quote;
    showQuote(quote);
  } catch (error) {
    if (error.name === "AbortError") return;
    unquoted(explain(error));
  }
  ready();
}

let typing;
function later() {
  shown = null;
  if ($("amount").value.trim() !== "") $("quote").replaceChildren(make("p", say("asking"), { class: "faint" }));
  ready();
  clearTimeout(typing);
  typing = setTimeout(requote, 250);
}

// --- swapping and moving

async function go() {
  if (state.busy || !shown) return;
  state.busy = true;
  const seen = shown;
  ready();
  notice(say("preparing"));
  try {
    const asked = wish();
    const order = { account: state.account, ...asked };
    const to = receiver.chosen();
    if (to) order.receiver = to;
    receiver.use();
    if (seen.route !== "swap") order.minutes = Number($("patience").value);
    // Not every wallet signs a permit, and not every signature is good for one: then it is an allowance.
    let mayPermit = true;
    // A permit or an allowance first, if one is needed; then it is prepared and shown anew.
    for (;;) {
      const plan = await api.prepare(order).catch((error) => {
        if (!order.permit || error.kind !== "permit-refused") throw error;
        mayPermit = false;
        delete order.permit;
        return api.prepare(order);
      });
      notice();
      const isWorse = BigInt(plan.quote.receive.units) < BigInt(seen.least.units);
      const warnings = [
        isWorse && say("moved", money(plan.quote.receive)),
        to && receiver.isProgram() && say("programWarning"),
        plan.permit && !mayPermit && say("unpermitted"),
      ];
      const warning = warnings.filter(Boolean).join(" ");
      if (plan.permit && mayPermit) {
        try {
          order.permit = await permit(plan, warning, to);
          if (!order.permit) return;
        } catch (error) {
          if (wallets.isRefusal(error)) throw error;
          mayPermit = false;
        }
        continue;
      }
      const hash = await sign(plan.steps, warning, to);
      if (!hash) return;
      const [{ kind, chain }] = plan.steps;
      const { give, receive } = plan.quote;
      const text = kind === "swap" || kind === "cross" ? `${money(give)} → ${money(receive)}` : `${say(`do.${kind}`)}: ${money(give)}`;
      // A swap that comes first sends what comes out of it.
      const crossing = seen.route === "bridge+swap" && asked.from === "native" ? receive : give;
      const transfer = { amount: crossing, from: asked.from, to: asked.to, sender: state.account, receiver: to ?? state.account };
      const sent = progress.track({ hash, kind, chain, text, transfer });
      if (kind !== "allow") {
        // It needs nothing more from the person.
        $("amount").value = "";
        requote();
        sent.then((stage) => stage === "failed" && notice(say("failed")));
        break;
      }
      notice(say("pending"));
      const stage = await sent;
      notice();
      if (stage === "failed") {
        notice(say("failed"));
        break;
      }
    }
  } catch (error) {
    notice(explain(error));
  } finally {
    state.busy = false;
    ready();
    // A button that is disabled meanwhile lets go of the focus, and the dialog cannot give it back.
    if (isFocusLost()) $($("review").disabled ? "progress-title" : "review").focus({ preventScroll: true });
  }
}

// --- start

$("language").value = current();
translate();
$("language").addEventListener("change", (event) => {
  choose(event.target.value);
  ready();
  requote();
  receiver.show();
  showBalances();
  refresh();
  progress.redraw();
});
$("form").addEventListener("input", (event) => {
  // A box that is ticked changes no price.
  if (event.target.id === "elsewhere") return;
  if (event.target.id === "give" || event.target.id === "receive") part(event.target.id);
  receiver.show();
  showBalances();
  later();
});
$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  alone(go);
});
$("turn").addEventListener("click", () => {
  const give = $("give").value;
  $("give").value = $("receive").value;
  $("receive").value = give;
  receiver.show();
  showBalances();
  later();
});
$("all").addEventListener("click", () => {
  $("amount").value = spendable()?.amount ?? "";
  later();
});
$("leave").addEventListener("click", () => become(null));
$("network").addEventListener("click", useNetwork);
$("more-history").addEventListener("click", () => history(true).catch((error) => notice(explain(error))));
$("more-packets").addEventListener("click", packetsOf);
window.addEventListener("hashchange", linked);
// A price grows old.
setInterval(() => {
  if (shown && shown.route !== "bridge" && !state.busy && !document.hidden) requote();
}, REQUOTE_MS);
progress.onChange(refresh);
receiver.onChange(ready);
sides();
receiver.show();
ready();
chains().then(
  () => {
    sides();
    receiver.show();
    linked();
  },
  (error) => notice(explain(error)),
);
wallets.discover(showWallet);
