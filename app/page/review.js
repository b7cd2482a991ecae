// What is about to be signed, decoded; and the signing, one at a time over all tabs.

import { $, list, make } from "./dom.js";
import { notice, onNetwork, state } from "./state.js";
import * as wallets from "./wallets.js";
import { name, phrase, say } from "./words.js";

/** Who pays for the gas, where the list of what is signed does not say it all; whether that is good news. */
const PAID_BY = { operator: "good", stake: "good", sender: "faint" };

/** Says of the person's own address that it is theirs. */
function mine(text) {
  const at = state.account ? text.toLowerCase().indexOf(state.account.toLowerCase()) : -1;
  if (at < 0) return text;
  const end = at + state.account.length;
  return `${text.slice(0, end)} (${say("you")})${text.slice(end)}`;
}

function part(step, number, count) {
  const title = count > 1 ? `${say("step")} ${number}: ${say(`do.${step.kind}`)}` : say(`do.${step.kind}`);
  const told = [];
  if (step.kind === "permit") {
    told.push(make("p", say("permitTold"), { class: "good" }));
  } else {
    const tone = PAID_BY[step.gasPaidBy];
    if (tone) told.push(make("p", say(`gasBy.${step.gasPaidBy}`), { class: tone }));
    told.push(make("p", say(step.simulated ? "tried" : "untried"), { class: step.simulated ? "good" : "faint" }));
  }
  const lines = step.lines.map((line) => [name(line.name), mine(phrase(line.value))]);
  return make("section", null, {}, make("h3", title), list(lines), ...told);
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

/** Shows the steps, goes where the first belongs, and has it signed; null if the person said no. */
async function signFirst(steps, chain, warning, receiver, ask) {
  if (!(await agree(steps, warning, receiver))) return null;
  if (!(await onNetwork(chain, true))) {
    notice(say("wrongNetwork"));
    return null;
  }
  notice(say("waiting"));
  const signed = await ask(state.wallet.provider);
  notice();
  return signed;
}

/** Shows the steps and has the first signed and sent; answers its hash, or nothing if the person said no. */
export function sign(steps, warning, receiver) {
  const [{ chain, transaction }] = steps;
  return signFirst(steps, chain, warning, receiver, (provider) => wallets.send(provider, transaction));
}

/**
 * Shows a plan's permit, which takes the place of its first step, and has it signed; answers the permit as the
 * server takes it back, or nothing if the person said no. Not every wallet can: then it throws what is no refusal.
 */
export async function permit({ permit: { deadline, lines, typedData }, steps }, warning, receiver) {
  const shown = [{ kind: "permit", lines }, ...steps.slice(1)];
  const ask = (provider) => wallets.signTyped(provider, state.account, typedData);
  const signature = await signFirst(shown, "native", warning, receiver, ask);
  return signature && { deadline, signature };
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
