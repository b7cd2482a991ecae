// What people do on the page, from their first visit on. `node sessions.mjs PROGRAM`, where PROGRAM is
// `mileverse`; needs a Chromium. PAGE_PICTURES names a folder for pictures, PAGE_SEED seeds the fuzzer.
// `node sessions.mjs --attach DIRECTORY URL` plays against a system that runs already.

import assert from "node:assert/strict";
import { parseEther, parseUnits } from "ethers";
import { DESKTOP, PHONE, findChromium, launch, open } from "./browser.mjs";
import { fuzz } from "./fuzz.mjs";
import { FOREVER, attach, sent, start, until } from "./system.mjs";
import { BrowserWallet } from "./wallet.mjs";

const [program, ...running] = process.argv.slice(2);
if (!program || (program === "--attach" && running.length !== 2)) {
  console.error("usage: node sessions.mjs PROGRAM | --attach DIRECTORY URL");
  process.exit(2);
}
const chromium = await findChromium();
if (!chromium) {
  console.error("SKIPPED: the page's sessions need Chromium, and none was found; install it, or name it in CHROMIUM");
  process.exit(0);
}

const began = Date.now();
const say = (text) => console.error(`${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}`);
let failed = 0;

/** One session; a failure is told, and a picture of the page kept where pictures are wanted. */
async function session(name, play) {
  try {
    await play();
    say(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    say(`NOT OK  ${name}\n${error.stack}`);
    await here?.picture(`failed-${failed}`).catch(() => {});
  }
}

say("starting the system, and its journey");
const system = program === "--attach" ? await attach(...running) : await start(program);
let browser;
let here;
try {
  const member = await system.member();
  await system.openPool(member);
  const { chainId: native, ethereum: far } = system.facts;
  const networks = { [native]: system.native, [far.chainId]: system.ethereum };
  // A wallet that knows Ethereum alone, as wallets do.
  const wallet = new BrowserWallet(networks, [far.chainId]);
  await system.fund(member, wallet.account);
  browser = await launch(chromium);
  const context = await browser.createBrowserContext();
  await context.overridePermissions(system.url, ["clipboard-read", "clipboard-write", "clipboard-sanitized-write"]);
  say("the system is ready");
  const page = (options) => open(context, system.url, wallet, options);
  let doomed;

  await session("a visit without a wallet says so", async () => {
    const bare = await browser.createBrowserContext();
    here = await open(bare, system.url, null);
    await here.reads("#no-wallet", /No wallet/);
    assert.equal(await here.isShown("#review"), true);
    assert.equal(await here.page.$eval("#review", (button) => button.disabled), true);
    await here.picture("no-wallet");
    await here.close();
    await bare.close();
  });

  here = await page();
  await session("first visit: connect, refuse, connect again", async () => {
    wallet.answer = "no";
    await here.click("#wallets button");
    await here.reads("#notice", /declined/);
    wallet.answer = "yes";
    await here.connect();
    assert.equal(await here.text("#points"), "2,000");
    await here.reads("#far-coin", /^100$/);
    assert.deepEqual(await here.axe(), []);
  });

  await session("wrong network: the network is added, then points become coin in two steps", async () => {
    assert.equal(wallet.chainId, far.chainId);
    await here.ask("mvp@native", "mvc@native", "100");
    await here.picture("quote");
    await here.review();
    assert.match(await here.text("#steps"), /up to 100 MVP/);
    assert.equal(await here.page.$$eval("#steps section", (parts) => parts.length), 2);
    assert.deepEqual(await here.axe(), []);
    await here.picture("review");
    await here.confirm();
    await until("the second step", () => here.page.$eval("#dialog", (dialog) => dialog.open));
    assert.equal(wallet.chainId, native);
    await here.reads("#steps", /Receive at least/);
    assert.equal(await here.page.$$eval("#steps section", (parts) => parts.length), 1);
    await here.confirm();
    await here.reads("#progress li .badge", /final/i);
    await here.reads("#points", /^1,89\d\.9/);
    await here.reads("#history li", /Swapped/);
  });

  await session("and coin becomes points in one", async () => {
    await here.ask("mvc@native", "mvp@native", "1");
    await here.review();
    assert.equal(await here.page.$$eval("#steps section", (parts) => parts.length), 1);
    await here.confirm();
    await here.reads("#points", /^2,\d/);
  });

  await session("refused in the wallet: nothing happens, and it can be tried again", async () => {
    const before = await here.text("#points");
    await here.ask("mvc@native", "mvp@native", "1");
    await here.review();
    wallet.answer = "no";
    await here.confirm();
    await here.reads("#notice", /declined/);
    wallet.answer = "yes";
    assert.equal(await here.text("#points"), before);
    await until("the button", () => here.page.$eval("#review", (button) => !button.disabled));
  });

  await session("too much is refused before anything is signed", async () => {
    await here.ask("mvc@native", "mvp@native", "50");
    await here.click("#review");
    await here.reads("#notice", /less than/);
  });

  const push = (amount) =>
    sent(system.pool.exactIn(system.facts.coin, parseEther(amount), 0n, member.address, FOREVER, { value: parseEther(amount), gasLimit: 400_000n }));

  await session("the price moves before the review: it is said", async () => {
    await here.ask("mvc@native", "mvp@native", "1");
    // No new quote comes in between.
    await here.page.evaluate(() => Object.defineProperty(document, "hidden", { get: () => true }));
    await push("5");
    await here.review();
    await here.reads("#warning", /price has moved/);
    await here.picture("moved");
    await here.click("#cancel");
  });

  await session("the price moves while it is signed: the chain refuses, nothing moves", async () => {
    const before = await here.text("#points");
    await here.ask("mvc@native", "mvp@native", "1");
    await here.review();
    let yes;
    wallet.answer = new Promise((resolve) => (yes = () => resolve("yes")));
    await here.confirm();
    await here.reads("#notice", /Waiting for your signature/);
    await push("5");
    yes();
    wallet.answer = "yes";
    await here.reads("#notice", /refused by the chain/);
    await here.reads("#progress .badge.bad", /Refused/);
    assert.equal(await here.text("#points"), before);
  });

  await session("a relayer that is dead: points are sent to Ethereum, and wait", async () => {
    await system.pauseRelayer(true);
    await here.page.$eval("details", (details) => (details.open = true));
    await here.page.select("#patience", "1");
    await here.ask("mvp@native", "mvp@ethereum", "50");
    await here.review();
    await here.confirm();
    const card = await until("the transfer", () =>
      here.page.$eval("#progress [id^='sent-native:']", (item) => item.id).catch(() => null),
    );
    doomed = card.slice("sent-".length);
    await here.reads(`[id="${card}"] .stage`, /waiting for a relayer/);
    await here.picture("waiting");
    await here.page.select("#patience", "60");
  });

  await session("reload in the middle: it is still there, and so is who was connected", async () => {
    await here.page.reload({ waitUntil: "load" });
    await until("the account", () => here.isShown("#connected"));
    await here.reads(`[id="sent-${doomed}"] .stage`, /relayer|deadline/);
  });

  await session("reload between the two steps of a swap: it goes on with the second", async () => {
    await here.ask("mvp@native", "mvc@native", "200");
    await here.review();
    await here.confirm();
    await until("the second step", () => here.page.$eval("#dialog", (dialog) => dialog.open));
    await here.page.reload({ waitUntil: "load" });
    await until("the account", () => here.isShown("#connected"));
    await here.ask("mvp@native", "mvc@native", "200");
    await here.review();
    assert.equal(await here.page.$$eval("#steps section", (parts) => parts.length), 1);
    await here.confirm();
    await until("the swap", async () => (await here.text("#history li")).includes("−200 MVP"));
  });

  await session("two tabs: one signs at a time, both see what became of it", async () => {
    const other = await page();
    await until("the account", () => other.isShown("#connected"));
    await here.page.bringToFront();
    await here.ask("mvc@native", "mvp@native", "0.5");
    await here.review();
    await other.page.bringToFront();
    await other.ask("mvc@native", "mvp@native", "0.5");
    await other.click("#review");
    await other.reads("#notice", /Another tab/);
    await here.page.bringToFront();
    await here.confirm();
    await here.reads("#history li", /−0\.5 MVC/);
    await other.page.bringToFront();
    await other.reads("#history li", /−0\.5 MVC/);
    await other.close();
    await here.page.bringToFront();
  });

  await session("Korean, on a phone, in the dark, by keyboard alone, over a slow network", async () => {
    const phone = await page({ viewport: PHONE, scheme: "dark", language: "ko-KR" });
    const { page: tab } = phone;
    await until("the account", () => phone.isShown("#connected"));
    assert.equal(await phone.text("h1"), "두 체인의 포인트와 코인");
    assert.equal(await tab.$eval("html", (html) => html.lang), "ko");
    assert.deepEqual(await phone.axe(), []);
    const client = await tab.createCDPSession();
    await client.send("Network.emulateNetworkConditions", { offline: false, latency: 400, downloadThroughput: 50_000, uploadThroughput: 50_000 });
    // From the top of the page with the tabulator, the space bar and Enter.
    const to = async (selector) => {
      for (let count = 0; count < 60; ++count) {
        if (await tab.$eval(selector, (element) => element === document.activeElement)) return;
        await tab.keyboard.press("Tab");
      }
      throw new Error(`${selector} is not reached by the keyboard`);
    };
    await tab.evaluate(() => document.activeElement?.blur());
    await to("#amount");
    await tab.keyboard.type("10");
    await to("#give");
    await tab.keyboard.type("MVC");
    await phone.reads("#give", /./);
    await tab.select("#give", "mvc@native");
    await phone.reads("#out", /[1-9]/);
    await tab.evaluate(() => document.activeElement?.blur());
    await to("#amount");
    await tab.keyboard.down("Control");
    await tab.keyboard.press("KeyA");
    await tab.keyboard.up("Control");
    await tab.keyboard.type("0.25");
    await phone.reads("#out", /[1-9]/);
    await phone.reads("#quote", /최소 수령/);
    await phone.picture("phone-dark-korean");
    await to("#review");
    await tab.keyboard.press("Enter");
    await until("the dialog", () => tab.$eval("#dialog", (dialog) => dialog.open));
    await phone.reads("#steps", /최소 수령/);
    assert.deepEqual(await phone.axe(), []);
    await phone.picture("phone-dark-korean-review");
    await to("#confirm");
    await tab.keyboard.press("Enter");
    await phone.reads("#history li", /−0\.25 MVC/);
    await phone.close();
  });

  await session("the connection is lost and comes back: it is said, and goes on", async () => {
    const lost = await page({ offlineIsFine: true });
    await until("the account", () => lost.isShown("#connected"));
    const client = await lost.page.createCDPSession();
    const network = (offline) => client.send("Network.emulateNetworkConditions", { offline, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
    await lost.ask("mvc@native", "mvp@native", "0.1");
    await network(true);
    await lost.click("#review");
    await lost.reads("#notice", /server does not answer/);
    await network(false);
    await lost.review();
    await lost.click("#cancel");
    await lost.close();
  });

  // While the deadline passes.
  await session("pictures at both sizes, in light and dark, and nothing serious for the accessibility checker", async () => {
    for (const [name, viewport] of [["desktop", DESKTOP], ["phone", PHONE]]) {
      for (const scheme of ["light", "dark"]) {
        const shot = await page({ viewport, scheme });
        await until("the account", () => shot.isShown("#connected"));
        await shot.ask("mvp@native", "mvc@native", "1250.5");
        await shot.reads("#history li", /./);
        await shot.reads("#progress .badge", /./);
        assert.deepEqual(await shot.axe(), []);
        const wide = await shot.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `the page is ${wide} pixels too wide at ${name}`);
        await shot.picture(`${name}-${scheme}`);
        await shot.close();
      }
    }
  });
  const seed = Number(process.env.PAGE_SEED ?? Date.now() % 1_000_000);
  await session(`the API under schema fuzzing, PAGE_SEED=${seed}`, async () => {
    const { requests, answers } = await fuzz(`${system.url}/app/api/v1`, seed, { account: wallet.account, packet: doomed });
    say(`        ${requests} requests: ${JSON.stringify(answers)}`);
  });

  await session("the deadline is over and nobody came: delivered by hand, it expires; refunded by hand", async () => {
    const card = `[id="sent-${doomed}"]`;
    await here.page.bringToFront();
    await here.reads(`${card} .stage`, /deadline is over/, 120_000);
    const before = (await system.api(`/accounts/${wallet.account}/balances`)).points.units;
    await here.click(`${card} .push`);
    await until("the dialog", () => here.page.$eval("#dialog", (dialog) => dialog.open));
    assert.match(await here.text("#steps"), /deliver a transfer/);
    await here.confirm();
    await here.reads(`${card} .stage`, /expired/);
    assert.equal(wallet.chainId, far.chainId);
    await here.picture("expired");
    // Ethereum's block must be final, and known on the native chain; until then it is said.
    await until("the refund to be possible", async () => {
      await here.click(`${card} .push`);
      return until("an answer", async () => {
        if (await here.page.$eval("#dialog", (dialog) => dialog.open)) return "yes";
        return /wait a moment/.test(await here.text("#notice")) ? "no" : null;
      }).then((answer) => answer === "yes");
    });
    assert.match(await here.text("#steps"), /refunds/);
    await here.confirm();
    await here.reads(`${card} .badge`, /Refunded/);
    assert.equal(wallet.chainId, native);
    const after = (await system.api(`/accounts/${wallet.account}/balances`)).points.units;
    assert.equal(BigInt(after) - BigInt(before), parseUnits("50", 6));
    await here.picture("refunded");
  });

  await session("with a relayer: points go to Ethereum", async () => {
    await system.pauseRelayer(false);
    await here.ask("mvp@native", "mvp@ethereum", "120");
    await here.review();
    assert.match(await here.text("#steps"), /send 120 MVP to Ethereum/);
    await here.confirm();
    await here.reads("#progress li:first-child .badge", /Received/, 120_000);
    await here.reads("#far-points", /^120$/);
  });

  await session("and coin comes from Ethereum, allowed and sent, while the page is left and found again", async () => {
    await here.ask("mvc@ethereum", "mvc@native", "40");
    await here.review();
    assert.equal(await here.page.$$eval("#steps section", (parts) => parts.length), 2);
    await here.confirm();
    await until("the second step", () => here.page.$eval("#dialog", (dialog) => dialog.open));
    await here.confirm();
    await until("the transfer", () => here.page.$("#progress [id^='sent-ethereum:']"));
    await here.picture("desktop-moving");
    const id = await here.page.$eval("#progress [id^='sent-ethereum:']", (item) => item.id);
    await here.page.evaluate(() => localStorage.clear());
    await here.close();
    // Another day: nothing is remembered in the browser, the chains know.
    here = await page();
    await here.connect();
    await here.reads(`[id="${id}"] .badge`, /Received/, 120_000);
    await here.reads(`[id="${id}"] .hashes`, /Received/);
    await here.reads("#far-coin", /^60$/);
    assert.deepEqual(await here.axe(), []);
  });

  await session("in one action: coin on Ethereum becomes points on the chain", async () => {
    const before = BigInt((await system.api(`/accounts/${wallet.account}/balances`)).points.units);
    await here.ask("mvc@ethereum", "mvp@native", "2");
    await here.review();
    await here.confirm();
    await until("the second step", () => here.page.$eval("#dialog", (dialog) => dialog.open));
    assert.match(await here.text("#steps"), /swap, on the native chain/);
    await here.confirm();
    await here.reads("#progress li:first-child .badge", /Received/, 120_000);
    await here.reads("#progress li:first-child strong", /2 MVC → [0-9,.…]+ MVP/);
    const after = BigInt((await system.api(`/accounts/${wallet.account}/balances`)).points.units);
    assert.ok(after > before, "points have come");
    await here.picture("crossed");
  });

  await session("in one action: points on the chain become coin on Ethereum", async () => {
    await here.ask("mvp@native", "mvc@ethereum", "150");
    await here.review();
    await here.confirm();
    await until("the second step", () => here.page.$eval("#dialog", (dialog) => dialog.open));
    await here.confirm();
    await here.reads("#far-coin", /^58\./, 120_000);
    await here.reads("#progress li:first-child .badge", /Received/);
    assert.deepEqual(await here.axe(), []);
  });

  await session("a link to a transfer shows it to anybody", async () => {
    const bare = await browser.createBrowserContext();
    const guest = await open(bare, system.url, null, { hash: `#${doomed}` });
    await guest.reads(`[id="sent-${doomed}"] .badge`, /Refunded/);
    assert.equal(await guest.page.$$eval(`[id="sent-${doomed}"] .hashes a, [id="sent-${doomed}"] .hashes .mono`, (all) => all.length), 3);
    await guest.close();
    await bare.close();
  });

  await here.close();
} catch (error) {
  failed += 1;
  say(`NOT OK  ${error.stack}`);
} finally {
  await browser?.close();
  await system.stop();
}
say(failed === 0 ? "all sessions went as they should" : `${failed} sessions did not`);
process.exit(failed === 0 ? 0 : 1);
