// Small things that every part of the page needs.

import { current, say } from "./words.js";

export const $ = (id) => document.getElementById(id);

/** Whether the focus is on nothing that can be seen and used. */
export function isFocusLost() {
  const at = document.activeElement;
  return !at || at === document.body || at.disabled || !at.checkVisibility();
}

/** An element with text; text never becomes markup. */
export function make(tag, text, attributes = {}, ...children) {
  const element = document.createElement(tag);
  if (text !== undefined && text !== null) element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Terms and what they are. */
export function list(pairs) {
  const dl = make("dl");
  for (const [term, text] of pairs) {
    const attributes = /0x[0-9a-f]{16}/i.test(text) ? { class: "mono" } : {};
    dl.append(make("div", null, {}, make("dt", term), make("dd", text, attributes)));
  }
  return dl;
}

const DECIMALS = 6;

/** A decimal text as people read it: grouped, and cut (never rounded up) after some decimals. */
export function nice(text, decimals = DECIMALS) {
  const [whole, fraction = ""] = text.split(".");
  const grouped = new Intl.NumberFormat(current()).format(BigInt(whole));
  if (fraction === "") return grouped;
  const cut = fraction.length > decimals ? `${fraction.slice(0, decimals)}…` : fraction;
  return `${grouped}.${cut}`;
}

export const money = ({ amount, token }) => `${nice(amount)} ${token}`;
/** All of it, for what is signed. */
export const exact = ({ amount, token }) => `${amount} ${token}`;

export const clock = (seconds) => new Date(seconds * 1000).toLocaleString(current(), { dateStyle: "medium", timeStyle: "medium" });

const short = (hash) => `${hash.slice(0, 8)}…${hash.slice(-6)}`;

/** An account, short, and a button that copies all of it. */
export function whom(address) {
  return make("span", null, { class: "hash" }, make("span", short(address), { class: "mono", title: address }), copier(address, say("copyAddress")));
}

/** A hash as a link where there is an explorer, and a button that copies it. */
export function hash(text, explorer) {
  const box = make("span", null, { class: "hash" });
  const shown = make(explorer ? "a" : "span", short(text), { class: "mono", title: text });
  if (explorer) {
    shown.href = `${explorer}/tx/${text}`;
    shown.rel = "noreferrer";
    shown.target = "_blank";
  }
  box.append(shown, copier(text, say("copyHash")));
  return box;
}

/** A button that copies a text. */
export function copier(text, label) {
  const button = make("button", null, { type: "button", class: "copy", "aria-label": label, title: label });
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      return;
    }
    button.classList.add("copied");
    button.setAttribute("aria-label", say("copied"));
    setTimeout(() => {
      button.classList.remove("copied");
      button.setAttribute("aria-label", label);
    }, 1500);
  });
  return button;
}
