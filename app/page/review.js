// What is about to be signed, decoded; and the signing, one at a time over all tabs.

import { $, list, make } from "./dom.js";
import { notice, onNetwork, state } from "./state.js";
import * as wallets from "./wallets.js";
import { name, phrase, say } from "./words.js";

/** Who may pay for the gas instead of the person. */
const PAID_BY = ["operator", "stake"];

/** Says of the person's own address that it is theirs. */
function mine(text) {
  const at = state.account ? text.toLowerCase().indexOf(state.account.toLowerCase()) : -1;
  if (at < 0) return text;
  const end = at + state.account.length;
  return `${text.slice(0, end)} (${say("you")})${text.slice(end)}`;
}

function part(step, number, count) {
  const title = count > 1 ? `${say("step")} ${number}: ${say(`do.${step.kind}`)}` : say(`do.${step.kind}`);
  return make(
    "section",
    null,
    {},
    make("h3", title),
    list(step.lines.map((line) => [name(line.name), mine(phrase(line.value))])),
    ...(PAID_BY.includes(step.gasPaidBy) ? [make("p", say(`gasBy.${step.gasPaidBy}`), { class: "good" })] : []),
    make("p", say(step.simulated ? "tried" : "untried"), { class: step.simulated ? "good" : "faint" }),
  );
}

/** Shows the steps, and who else receives what comes of them; answers whether the first may be signed. */
function agree(steps, warning, receiver) {
  const goes = $("goes-to");
  goes.hidden = !receiver;
  const isOwn = receiver?.toLowerCase() === state.account.toLowerCase();
  goes.replaceChildren(...(receiver ? [say(isOwn ? "goesToYou" : "goesToOther"), make("strong", receiver, { class: "mono" })] : []));
  $("warning").textContent = warning ?? "";
  $("warning").hidden = !warning;
  $("steps").replaceChildren(...steps.map((step, index) => part(step, index + 1, steps.length)));
  const dialog = $("dialog");
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "sign"), { once: true });
  });
}

/** Shows the steps and has the first signed and sent; answers its hash, or nothing if the person said no. */
export async function sign(steps, warning, receiver) {
  const [step] = steps;
  if (!(await agree(steps, warning, receiver))) return null;
  if (!(await onNetwork(step.chain, true))) {
    notice(say("wrongNetwork"));
    return null;
  }
  notice(say("waiting"));
  const hash = await wallets.send(state.wallet.provider, step.transaction);
  notice();
  return hash;
}

/** Does it if no other tab waits for a signature. */
export function alone(work) {
  if (!navigator.locks) return work();
  return navigator.locks.request("mileverse.signing", { ifAvailable: true }, (lock) => {
    if (lock) return work();
    notice(say("otherTab"));
    return null;
  });
}

$("cancel").addEventListener("click", () => $("dialog").close("no"));
$("confirm").addEventListener("click", () => $("dialog").close("sign"));
