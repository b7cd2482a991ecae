// What is on its way. Transactions that this browser sent are remembered until they are final; where
// a transfer between the chains is, the chains themselves tell, to whoever asks and whenever.

import * as api from "./api.js";
import { $, clock, copier, hash as hashOf, isFocusLost, make, money, whom } from "./dom.js";
import { alone, sign } from "./review.js";
import { chains, explain, explorer, notice, state } from "./state.js";
import { say } from "./words.js";

const STORE = "mileverse.sent";
const MOST = 20;
/** Seconds after which a person may want to deliver by hand. */
const LONG = 45;

/** Cards by key: a transaction's hash, or a packet's name. */
const cards = new Map();
let changed = () => {};

export const onChange = (call) => (changed = call);

// --- transactions of this browser

const recall = () => {
  try {
    const found = JSON.parse(localStorage.getItem(STORE) ?? "[]");
    return Array.isArray(found) ? found : [];
  } catch {
    return [];
  }
};

function remember(entry) {
  const others = recall().filter(({ hash }) => hash !== entry.hash);
  localStorage.setItem(STORE, JSON.stringify([entry, ...others].slice(0, MOST)));
}

/** The allowance that was sent last: what it is for has not been sent yet. */
let allowed = null;

/** Remembers a transaction that was just sent, and follows it; answers its stage once it counts. */
export function track(entry) {
  // With what it was for, an allowance is of no more interest.
  drop(allowed);
  allowed = entry.kind === "allow" ? entry.hash : null;
  const whole = { ...entry, account: state.account, time: Math.floor(Date.now() / 1000) };
  remember(whole);
  return follow(whole);
}

const following = new Map();

function follow(entry) {
  if (!following.has(entry.hash)) {
    const ended = followUntil(entry).finally(() => following.delete(entry.hash));
    following.set(entry.hash, ended);
  }
  return following.get(entry.hash);
}

/** Looks until it is in a block that counts. A server that is away is asked again. */
async function followUntil(entry) {
  for (let wait = 300; ; wait = Math.min(wait * 1.5, 5_000)) {
    let found = { stage: "unknown", packets: [] };
    try {
      found = await api.transaction(entry.hash, entry.chain);
    } catch {
      // Asked again.
    }
    const isIn = ["included", "final", "failed"].includes(found.stage);
    if (entry.account === state.account) show(entry, found.stage);
    if (isIn) {
      remember({ ...entry, stage: found.stage });
      if (entry.account === state.account) {
        for (const name of found.packets) await look(name);
        if (found.packets.length > 0 && entry.transfer) drop(entry.hash);
        changed();
      }
      return found.stage;
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

/** Goes on with what an earlier visit, or another tab, has sent. */
export function resume() {
  for (const entry of recall()) {
    if (entry.account === state.account && !entry.stage) follow(entry);
  }
}

function show(entry, stage) {
  if (["send", "cross"].includes(entry.kind) && stage !== "failed") {
    draw(entry.hash, entry.time, () => transferCard({ ...entry.transfer, stage: "signed", signed: entry }));
  } else {
    draw(entry.hash, entry.time, () => transactionCard(entry, stage));
  }
}

function transactionCard(entry, stage) {
  const tone = stage === "final" || stage === "included" ? "good" : stage === "failed" ? "bad" : "";
  return [
    make("div", null, { class: "row" }, make("strong", entry.text ?? say(`do.${entry.kind}`)), make("span", say(short(stage)), { class: `badge ${tone}` })),
    ...(stage === "final" ? [] : [make("p", say(stage), { class: "stage faint" })]),
    make("p", null, {}, hashOf(entry.hash, explorer(entry.chain))),
  ];
}

const short = (stage) => ({ final: "stage.final", included: "stage.included", failed: "stage.failed" })[stage] ?? "next";

// --- transfers between the chains

const packets = new Map();

/** Asks for a packet, with all its transactions, and shows it. */
export async function look(name) {
  const found = await api.packet(name);
  put(found);
  return found;
}

/** Shows a packet, whose transactions may not have been looked for. */
export function put(found) {
  // The news of an expiry is told with the transfer that expired.
  if (found.kind !== "transfer" && found.kind !== "swap") return;
  const known = packets.get(found.packet);
  const outcome = found.outcome ?? known?.outcome;
  const refund = found.refund ?? known?.refund;
  const swap = found.swap?.received || !known ? found.swap : known.swap;
  const whole = { ...found, outcome, refund, swap };
  packets.set(found.packet, whole);
  // The card of its transaction has done its work.
  drop(found.locked.transaction);
  draw(found.packet, found.locked.time, () => transferCard(whole));
  const wants = (found.stage === "refunded" && !refund) || (["received", "expired", "refunded"].includes(found.stage) && !outcome);
  if (wants && !found.asked) {
    api.packet(found.packet).then((more) => put({ ...more, asked: true }), () => {});
  }
}

const CHAINS = { native: "MileVerse", ethereum: "Ethereum" };

function path(stage) {
  const start = ["signed", "locked", "final", "proven"];
  if (stage === "expired" || stage === "refunded") return [...start, "expired", "refunded"];
  if (stage === "held") return [...start, "held", "received"];
  return [...start, "received"];
}

/** What goes out and, if it is swapped where it arrives, what comes of it. */
function amounts({ amount, swap, stage }) {
  const given = amount ? money(amount) : "";
  const isBack = stage === "expired" || stage === "refunded";
  if (!swap || isBack) return given;
  const got = swap.received ? money(swap.received) : swap.least && say("atLeast", money(swap.least));
  return got ? `${given} → ${got}` : given;
}

function transferCard(packet) {
  const { stage, from, to } = packet;
  const isEnd = stage === "received" || stage === "refunded";
  const tone = stage === "received" ? "good" : stage === "refunded" || stage === "expired" || packet.late ? "warn" : "";
  const names = path(stage);
  const at = names.indexOf(stage);
  const steps = names.map((name, index) => {
    const isDone = index < at || isEnd;
    const isNow = !isDone && index === at;
    const item = make("li", null, { class: isDone || isNow ? "done" : "todo" });
    if (index === at) item.setAttribute("aria-current", "step");
    item.append(make("span", say(`stage.${name}`)));
    if (isDone || isNow) item.append(make("span", ` (${say("done")})`, { class: "hidden" }));
    return item;
  });
  const isOther = packet.receiver && packet.sender && packet.receiver.toLowerCase() !== packet.sender.toLowerCase();
  const end = stage === "received" ? packet.outcome : stage === "refunded" ? packet.refund : null;
  const is = packet.late ? say("is.late") : say(`is.${stage}`, packet.heldUntil && clock(packet.heldUntil));
  const what = end ? `${is}, ${clock(end.time)}` : is;
  const parts = [
    make("div", null, { class: "row" }, make("strong", amounts(packet)), make("span", say(`stage.${stage}`), { class: `badge ${tone}` })),
    make("p", `${CHAINS[from]} → ${CHAINS[to]}`, { class: "faint" }),
    ...(isOther ? [make("p", null, { class: "row faint" }, make("span", say("goesTo")), whom(packet.receiver))] : []),
    make("ol", null, { class: "stages" }, ...steps),
    make("p", what, { class: "stage" }),
  ];
  const hashes = [
    [say("stage.signed"), packet.signed && { transaction: packet.signed.hash, chain: packet.signed.chain }],
    [say("stage.locked"), packet.locked],
    [say(stage === "received" ? "stage.received" : "stage.expired"), packet.outcome],
    [say("stage.refunded"), packet.refund],
  ].filter(([, seen]) => seen);
  parts.push(
    make(
      "dl",
      null,
      { class: "hashes" },
      ...hashes.map(([term, seen]) =>
        make("div", null, {}, make("dt", `${term}, ${CHAINS[seen.chain]}`), make("dd", null, {}, hashOf(seen.transaction, explorer(seen.chain)))),
      ),
    ),
  );
  if (packet.packet) {
    const foot = make("div", null, { class: "row faint" }, make("span", packet.packet, { class: "mono" }));
    const link = `${location.origin}${location.pathname}#${packet.packet}`;
    foot.append(copier(link, say("link")));
    if (!isEnd && packet.deadline && !packet.late && stage !== "expired") foot.prepend(make("span", say("until", clock(packet.deadline))));
    parts.push(foot, ...byHand(packet));
  }
  return parts;
}

/** What a person can do when no relayer does. */
function byHand(packet) {
  const now = Date.now() / 1000;
  const isLong = packet.late || now - packet.locked.time > LONG;
  const isExpired = packet.stage === "expired";
  if (!isExpired && !(packet.stage === "proven" && isLong) && !(packet.stage === "held" && packet.heldUntil < now)) return [];
  const button = make("button", say(isExpired ? "pull" : "push"), { type: "button", class: "small push" });
  button.disabled = !state.account || state.busy;
  button.addEventListener("click", () => alone(() => deliver(packet)));
  return [make("p", say("pushWhy"), { class: "faint" }), make("p", null, {}, button)];
}

async function deliver(packet) {
  if (state.busy) return;
  state.busy = true;
  notice(say("preparing"));
  try {
    await chains();
    const plan = await api.delivery(packet.packet, state.account);
    notice();
    const hash = await sign([plan.step]);
    if (!hash) return;
    const { kind, chain } = plan.step;
    // The signature is given. Until Ethereum is final, others may be asked for, in this tab and in others.
    track({ hash, kind, chain, text: `${say(`do.${kind}`)} ${packet.packet}` })
      .then((stage) => {
        if (stage === "failed") notice(say("failed"));
        return look(packet.packet);
      })
      .catch((error) => notice(explain(error)));
  } catch (error) {
    notice(explain(error));
  } finally {
    state.busy = false;
    redraw();
    if (isFocusLost()) document.getElementById(`sent-${packet.packet}`)?.querySelector(".push, a, button")?.focus();
  }
}

// --- the list, newest first

function draw(key, time, parts) {
  let card = cards.get(key);
  if (!card) {
    card = { time, item: make("li", null, { id: `sent-${key}`, class: "transfer" }) };
    cards.set(key, card);
    const next = [...cards.values()].filter((one) => one !== card && one.time <= time).sort((a, b) => b.time - a.time)[0];
    $("progress").insertBefore(card.item, next?.item ?? null);
  }
  card.parts = parts;
  const focused = card.item.contains(document.activeElement) ? document.activeElement.className : null;
  const made = parts();
  // Nothing that reads the same is said twice.
  const text = made.map((part) => part.textContent).join("\n");
  if (card.text !== text || card.account !== state.account) {
    card.text = text;
    card.account = state.account;
    card.item.replaceChildren(...made);
    if (focused) card.item.querySelector(`.${focused.split(" ").at(-1)}`)?.focus();
  }
  $("progress-section").hidden = false;
}

function drop(key) {
  cards.get(key)?.item.remove();
  cards.delete(key);
}

export function redraw() {
  for (const [key, card] of cards) {
    card.text = null;
    draw(key, card.time, card.parts);
  }
}

/** Another account, another list. */
export function clear() {
  for (const key of [...cards.keys()]) drop(key);
  packets.clear();
  $("progress-section").hidden = true;
}

setInterval(() => {
  for (const [key, card] of cards) draw(key, card.time, card.parts);
}, 5_000);
// Streams are held up by some networks; what is on its way is asked for as well.
setInterval(() => {
  if (document.hidden) return;
  for (const { packet, stage } of packets.values()) {
    if (stage !== "received" && stage !== "refunded") look(packet).catch(() => {});
  }
}, 15_000);
// What another tab sends is followed here as well.
window.addEventListener("storage", ({ key }) => key === STORE && state.account && resume());
