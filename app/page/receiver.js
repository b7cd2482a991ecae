// Who receives what crosses: the person, or another address, which the server looks at before anything
// is signed: mistyped or not (EIP-55), a person's or a program. What was chosen is remembered in this
// browser, for each account.

import * as api from "./api.js";
import { $, make } from "./dom.js";
import { explain, state } from "./state.js";
import { say } from "./words.js";

const STORE = "mileverse.receivers";
/** Addresses that are remembered for an account. */
const MOST = 5;
const FORM = /^0x[0-9a-fA-F]{40}$/;

/** What is known of the address in the field; nothing while it is not known. */
let known = null;
let asking = 0;
let changed = () => {};

export const onChange = (call) => (changed = call);

const isSame = (one, other) => Boolean(one && other) && one.toLowerCase() === other.toLowerCase();
/** Whether an address is the person's own. */
export const isOwn = (address) => isSame(address, state.account);

function recall() {
  try {
    const found = JSON.parse(localStorage.getItem(STORE) ?? "{}")[state.account?.toLowerCase()];
    const last = Array.isArray(found?.last) ? found.last.filter((one) => FORM.test(one)) : [];
    return { on: found?.on === true, last };
  } catch {
    return { on: false, last: [] };
  }
}

function remember(entry) {
  if (!state.account) return;
  let all = {};
  try {
    all = JSON.parse(localStorage.getItem(STORE) ?? "{}");
  } catch {
    // Begun anew.
  }
  localStorage.setItem(STORE, JSON.stringify({ ...all, [state.account.toLowerCase()]: entry }));
}

/** Whether what is asked for crosses, so that somebody else may receive it. */
const crosses = () => $("give").value.split("@")[1] !== $("receive").value.split("@")[1];
const isOn = () => crosses() && $("elsewhere").checked;

/** The receiver for an order; nothing if it is the person. */
export const chosen = () => (isOn() && known ? known.address : undefined);
/** Whether it is known who receives. */
export const isKnown = () => !isOn() || known !== null;
/** Whether a program is where it arrives. */
export function isProgram() {
  if (!isOn() || !known) return false;
  return $("receive").value.endsWith("ethereum") ? known.ethereumContract === true : known.nativeContract;
}

function tell(parts, isWrong) {
  $("receiver-told").replaceChildren(...parts);
  $("receiver").setAttribute("aria-invalid", String(isWrong));
}

/** Shows what is chosen, for the chains as they are chosen now. */
export function show() {
  $("receiver-part").hidden = !crosses();
  $("receiver-field").hidden = !$("elsewhere").checked;
  $("receiver-label").textContent = say("receiver", $("receive").value.endsWith("ethereum") ? "Ethereum" : "MileVerse");
  if (!isOn() || !known) return;
  const parts = [make("span", known.address, { class: "mono" })];
  if (isOwn(known.address)) parts.push(make("span", say("you"), { class: "badge" }));
  else if (isProgram()) parts.push(make("span", say("program"), { class: "warned" }));
  else parts.push(make("span", say("checked"), { class: "good" }));
  tell(parts, false);
}

/** Looks at what is in the field; the last one asked counts. */
async function look() {
  known = null;
  const turn = ++asking;
  const text = $("receiver").value.trim();
  changed();
  if (text === "") return tell([make("span", say("receiverWanted"), { class: "faint" })], false);
  if (!FORM.test(text)) return tell([make("span", say("receiverForm"), { class: "warned" })], true);
  try {
    const found = await api.facts(text);
    if (turn !== asking) return;
    known = found;
    show();
  } catch (error) {
    if (turn !== asking) return;
    const isTyped = error instanceof api.Refused && error.kind === "invalid-request";
    tell([make("span", isTyped ? say("mistyped") : explain(error), { class: "warned" })], isTyped);
  }
  changed();
}

/** Another account, another choice. */
export function become() {
  const { on, last } = recall();
  $("elsewhere").checked = on;
  $("receiver").value = on ? (last[0] ?? "") : "";
  $("receivers").replaceChildren(...last.map((value) => make("option", null, { value })));
  known = null;
  tell([], false);
  show();
  if (on) look();
}

/** What is about to be signed is what was chosen. */
export function use() {
  const { last } = recall();
  const address = chosen();
  const next = address ? [address, ...last.filter((one) => !isSame(one, address))].slice(0, MOST) : last;
  remember({ on: Boolean(address), last: next });
  $("receivers").replaceChildren(...next.map((value) => make("option", null, { value })));
}

let typing;
$("elsewhere").addEventListener("change", () => {
  show();
  if ($("elsewhere").checked) {
    $("receiver").focus();
    look();
  } else {
    remember({ ...recall(), on: false });
    changed();
  }
});
$("receiver").addEventListener("input", (event) => {
  // The form's own listener asks for prices, which a receiver does not change.
  event.stopPropagation();
  known = null;
  changed();
  clearTimeout(typing);
  typing = setTimeout(look, 250);
});
