// What people do on the page, from their first visit on. `node sessions.mjs PROGRAM`, where PROGRAM is
// `mileverse`; needs a Chromium. PAGE_PICTURES names a folder for pictures, PAGE_SEED seeds the fuzzer,
// PAGE_SESSIONS is a pattern of names to play alone.
// `node sessions.mjs --attach DIRECTORY URL` plays against a system that runs already.

import assert from "node:assert/strict";
import { AbiCoder, Wallet, dataSlice, getAddress, id, parseEther, parseUnits, zeroPadValue } from "ethers";
import { DESKTOP, PHONE, findChromium, launch, open } from "./browser.mjs";
import { fuzz } from "./fuzz.mjs";
import { FOREVER, POOL, attach, sent, start, until } from "./system.mjs";
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
/** For those who work on one session that needs none before it. */
const only = new RegExp(process.env.PAGE_SESSIONS ?? "");
let failed = 0;

/** One session; a failure is told, and a picture of the page kept where pictures are wanted. */
async function session(name, play) {
  if (!only.test(name)) return;
  try {
    await play();
    say(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    say(`NOT OK  ${name}\n${error.stack}`);
    await here?.picture(`failed-${failed}`).catch(() => {});
  }
}

/** One of EIP-55's own examples, with one letter's case turned. */
const MISTYPED = "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

say("starting the system, and its journey");
const system = program === "--attach" ? await attach(...running) : await start(program);
let browser;
let here;
try {
  const member = await system.member();
  await system.fillPool(member);
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

  const isOpen = () => here.page.$eval("#dialog", (dialog) => dialog.open);
  const sections = () => here.page.$$eval("#steps section", (parts) => parts.length);
  const timesAsked = (method) => wallet.asked.filter((asked) => asked === method).length;

  await session("wrong network: the network is added, then points become coin by a permit and one transaction", async () => {
    assert.equal(wallet.chainId, far.chainId);
    await here.ask("mvp@native", "mvc@native", "100");
    await here.picture("quote");
    await here.review();
    assert.match(await here.text("#steps"), /up to 100 MVP/);
    // The pool, the network, and that it costs nothing, are said before anything is asked of the wallet.
    assert.match(await here.text("#steps"), /Sign a permit.*the pool of MVP and MVC, 0x4d56.*moves nothing by itself.*Swap.*Shown again/is);
    assert.ok((await here.text("#steps")).includes(String(BigInt(native))));
    assert.equal(await sections(), 2);
    assert.deepEqual(await here.axe(), []);
    await here.picture("review");
    await here.confirm();
    await until("the swap itself", isOpen);
    assert.equal(wallet.chainId, native);
    await here.reads("#steps", /with a permit.*Receive at least.*MileVerse pays the gas.*it would succeed/s);
    assert.equal(await sections(), 1);
    assert.equal(await here.isShown("#warning"), false);
    assert.deepEqual(await here.axe(), []);
    await here.picture("review-permitted");
    await here.confirm();
    await here.reads("#progress li .badge", /final/i);
    // No allowance was paid for with points.
    await here.reads("#points", /^1,900$/);
    await here.reads("#history li", /Swapped/);
    assert.deepEqual([timesAsked("eth_signTypedData_v4"), timesAsked("eth_sendTransaction")], [1, 1]);
  });

  await session("a permit declined in the wallet: nothing happens, and nothing else is asked", async () => {
    const sentBefore = timesAsked("eth_sendTransaction");
    await here.ask("mvp@native", "mvc@native", "100");
    await here.review();
    wallet.answer = "no";
    await here.confirm();
    await here.reads("#notice", /declined/);
    wallet.answer = "yes";
    assert.equal(await isOpen(), false);
    assert.equal(timesAsked("eth_sendTransaction"), sentBefore);
    assert.equal(await here.text("#points"), "1,900");
  });

  await session("a wallet that signs no typed data: two transactions, the first of them paid with points", async () => {
    wallet.typedData = 4200;
    await here.ask("mvp@native", "mvc@native", "100");
    await here.review();
    await here.confirm();
    await here.reads("#warning", /two transactions/);
    assert.match(await here.text("#steps"), /Step 1: Allow.*up to 100 MVP.*Step 2: Swap/s);
    assert.equal(await sections(), 2);
    assert.deepEqual(await here.axe(), []);
    await here.confirm();
    await until("the second step", isOpen);
    await here.reads("#steps", /Receive at least/);
    assert.equal(await sections(), 1);
    assert.equal(await here.isShown("#warning"), false);
    await here.confirm();
    await here.reads("#points", /^1,799\.9/);
  });

  await session("a signature that is not the account's own is noticed before anything is sent", async () => {
    const sentBefore = timesAsked("eth_sendTransaction");
    wallet.typedData = "other";
    await here.ask("mvp@native", "mvc@native", "100");
    await here.review();
    await here.confirm();
    await here.reads("#warning", /two transactions/);
    await here.reads("#steps", /Step 1: Allow/);
    await here.click("#cancel");
    wallet.typedData = "own";
    await until("the button", () => here.page.$eval("#review", (button) => !button.disabled));
    assert.equal(timesAsked("eth_sendTransaction"), sentBefore);
  });

  /** Somebody else, with points and no coin, in a browser of their own. */
  const newcomer = async () => {
    const own = new BrowserWallet(networks, [far.chainId]);
    await system.give(member, own.account, "100");
    const private_ = await browser.createBrowserContext();
    const at = await open(private_, system.url, own);
    await at.connect();
    return { own, at, leave: () => at.close().then(() => private_.close()) };
  };

  await session("points and no coin: the first swap, whose gas is paid for", async () => {
    const { own, at, leave } = await newcomer();
    assert.equal(await at.text("#coin"), "0");
    await at.ask("mvp@native", "mvc@native", "40");
    await at.review();
    assert.match(await at.text("#steps"), /Sign a permit.*MileVerse pays the gas/s);
    await at.confirm();
    await at.reads("#steps", /with a permit.*MileVerse pays the gas.*it would succeed/s);
    await at.picture("newcomer");
    await at.confirm();
    await at.reads("#progress li .badge", /final/i);
    await at.reads("#points", /^60$/);
    // What came of it, all of it, is the coin that there is now.
    const { entries } = await system.api(`/accounts/${own.account}/history`);
    const swapped = entries.find(({ kind }) => kind === "swapped");
    assert.equal(await system.native.getBalance(own.account), BigInt(swapped.in[0].units));
    await leave();
  });

  await session("points and no coin: coin on Ethereum in one action, whose gas is paid for", async () => {
    const { own, at, leave } = await newcomer();
    await at.ask("mvp@native", "mvc@ethereum", "40");
    await at.review();
    assert.match(await at.text("#steps"), /Sign a permit.*the router of swaps/s);
    await at.confirm();
    await at.reads("#steps", /send to Ethereum, with a permit.*MileVerse pays the gas.*it would succeed/s);
    await at.confirm();
    await at.reads("#progress li .badge", /Received/, 120_000);
    await at.reads("#points", /^60$/);
    assert.equal(await at.text("#coin"), "0");
    const { ethereum } = await system.api(`/accounts/${own.account}/balances`);
    assert.ok(BigInt(ethereum.coin.units) > 0n, "coin has come");
    await leave();
  });

  await session("the operator's limit of a day is reached: it is said, before anything is signed", async () => {
    const { own, at, leave } = await newcomer();
    // Calls of nothing, which are paid for as well: as many as the limit bears.
    const junk = { to: POOL, data: `0x${"ff".repeat(24_000)}`, gasLimit: 990_000n, gasPrice: 0n, type: 0 };
    const signer = own.signer.connect(system.native);
    for (let count = 0; ; ++count) {
      assert.ok(count < 20, "no limit was met");
      try {
        const call = await signer.sendTransaction(junk);
        await call.wait().catch(() => {});
      } catch {
        break;
      }
    }
    await at.ask("mvp@native", "mvc@native", "40");
    await at.click("#review");
    await at.reads("#notice", /pays for such calls|midnight/);
    assert.equal(own.asked.includes("eth_signTypedData_v4"), false);
    await at.page.select("#language", "ko");
    await at.click("#review");
    await at.reads("#notice", /가스비를 모두 썼습니다/);
    await at.picture("limit");
    await leave();
  });

  await session("and coin becomes points in one", async () => {
    await here.ask("mvc@native", "mvp@native", "1");
    await here.review();
    assert.equal(await here.page.$$eval("#steps section", (parts) => parts.length), 1);
    await here.confirm();
    await here.reads("#points", /^1,9\d\d\./);
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
    wallet.typedData = -32601;
    await here.ask("mvp@native", "mvc@native", "200");
    await here.review();
    await here.confirm();
    await here.reads("#warning", /two transactions/);
    await here.confirm();
    await until("the second step", () => here.page.$eval("#dialog", (dialog) => dialog.open));
    await here.page.reload({ waitUntil: "load" });
    await until("the account", () => here.isShown("#connected"));
    await here.ask("mvp@native", "mvc@native", "200");
    await here.review();
    assert.equal(await here.page.$$eval("#steps section", (parts) => parts.length), 1);
    await here.confirm();
    await until("the swap", async () => (await here.text("#history li")).includes("−200 MVP"));
    wallet.typedData = "own";
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

  await session("Korean, on a phone, in the dark, over a slow network", async () => {
    const phone = await page({ viewport: PHONE, scheme: "dark", language: "ko-KR" });
    const { page: tab } = phone;
    await until("the account", () => phone.isShown("#connected"));
    assert.equal(await phone.text("h1"), "두 체인의 포인트와 코인");
    assert.equal(await tab.$eval("html", (html) => html.lang), "ko");
    assert.deepEqual(await phone.axe(), []);
    const client = await tab.createCDPSession();
    await client.send("Network.emulateNetworkConditions", { offline: false, latency: 400, downloadThroughput: 50_000, uploadThroughput: 50_000 });
    await phone.ask("mvc@native", "mvp@native", "0.25");
    await phone.reads("#quote", /최소 수령/);
    await phone.picture("phone-dark-korean");
    await phone.review();
    await phone.reads("#steps", /최소 수령/);
    assert.deepEqual(await phone.axe(), []);
    await phone.picture("phone-dark-korean-review");
    await phone.confirm();
    await phone.reads("#history li", /−0\.25 MVC/);
    await phone.close();
  });

  await session("by keyboard alone, from the first visit to the finished swap", async () => {
    const fresh = await browser.createBrowserContext();
    const keys = await open(fresh, system.url, wallet);
    const { page: tab } = keys;
    const press = async (...all) => {
      for (const key of all) await tab.keyboard.press(key);
    };
    const isAt = (selector) => tab.$eval(selector, (element) => element === document.activeElement).catch(() => false);
    // The tabulator, to and fro. Whatever it stops at can be seen, and is seen to have the focus.
    const to = async (selector, isBack = false) => {
      for (let count = 0; count < 60; ++count) {
        if (await isAt(selector)) return;
        if (isBack) await tab.keyboard.down("Shift");
        await press("Tab");
        if (isBack) await tab.keyboard.up("Shift");
        const stop = await tab.evaluate(() => {
          const { activeElement: at } = document;
          if (!at || at === document.body) return null;
          const lit = [at, at.closest(".side")].some((one) => one && getComputedStyle(one).outlineStyle !== "none");
          return { what: at.id || at.className || at.tagName, lit, shown: at.checkVisibility() };
        });
        if (stop) assert.ok(stop.lit && stop.shown, `the focus is not seen at ${stop.what}`);
      }
      throw new Error(`${selector} is not reached by the keyboard`);
    };
    // A closed list of choices follows the arrows.
    const choose = async (selector, value) => {
      const all = await tab.$$eval(`${selector} option`, (options) => options.map((option) => option.value));
      const now = await tab.$eval(selector, (select) => select.value);
      const by = all.indexOf(value) - all.indexOf(now);
      for (let count = 0; count < Math.abs(by); ++count) await press(by > 0 ? "ArrowDown" : "ArrowUp");
      assert.equal(await tab.$eval(selector, (select) => select.value), value);
    };
    const clear = async () => {
      await tab.keyboard.down("Control");
      await press("KeyA");
      await tab.keyboard.up("Control");
      await press("Backspace");
    };

    await press("Tab");
    assert.ok(await isAt(".skip"), "the first stop leads past the top of the page");
    await press("Enter");
    await to("#wallets button");
    await press("Enter");
    await until("the account", () => keys.isShown("#connected"));
    await until("the amount to have the focus", () => isAt("#amount"));
    await keys.reads("#points", /\d/);
    // Points of the chain for coin there is what is chosen at first; here it is the other way.
    await to("#give", true);
    await choose("#give", "mvc@native");
    await to("#receive");
    await choose("#receive", "mvp@native");
    await to("#amount", true);
    await tab.keyboard.type("0.35");
    await keys.reads("#out", /[1-9]/);
    await to("#review");
    await press("Enter");
    await until("the dialog", () => tab.$eval("#dialog", (dialog) => dialog.open));
    // Escape closes it, and the focus is where it was.
    await press("Escape");
    await until("the focus", () => isAt("#review"));
    await until("the button", () => tab.$eval("#review", (button) => !button.disabled));
    await press("Enter");
    await until("the dialog", () => tab.$eval("#dialog", (dialog) => dialog.open));
    await to("#confirm");
    await press("Enter");
    await keys.reads("#history li", /−0\.35 MVC/);

    // Somebody else as the receiver, limits, and the other language: all are within reach.
    await to("#receive", true);
    await choose("#receive", "mvc@ethereum");
    await to("#elsewhere");
    await press("Space");
    await until("the receiver's field", () => isAt("#receiver"));
    await tab.keyboard.type(Wallet.createRandom().address);
    await keys.reads("#receiver-told", /well formed/);
    await to("#amount", true);
    await clear();
    await tab.keyboard.type("0.2");
    await keys.reads("#out", /[1-9]/);
    await to("summary");
    await press("Enter");
    await to("#patience");
    await choose("#patience", "30");
    await keys.reads("#quote", /30 minutes/);
    await to("#review");
    await press("Enter");
    await until("the dialog", () => tab.$eval("#dialog", (dialog) => dialog.open));
    await to("#cancel");
    await press("Enter");
    await until("the focus", () => isAt("#review"));
    await to("#language", true);
    await choose("#language", "ko");
    await keys.reads("h1", /두 체인/);
    await keys.close();
    await fresh.close();
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
      for (const [scheme, language] of [["light", "en-US"], ["dark", "ko-KR"], ["light", "ko-KR"], ["dark", "en-US"]]) {
        const shot = await page({ viewport, scheme, language });
        const at = `${name}-${scheme}-${language.slice(0, 2)}`;
        const look = async (what) => {
          assert.deepEqual(await shot.axe(), [], `${at} ${what}`);
          const wide = await shot.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(wide <= 0, `the page is ${wide} pixels too wide at ${at} ${what}`);
          await shot.picture(`${at}-${what}`);
        };
        await until("the account", () => shot.isShown("#connected"));
        await shot.ask("mvp@native", "mvc@native", "1250.5");
        await shot.reads("#history li", /./);
        await shot.reads("#progress .badge", /./);
        await look("page");
        // Somebody else, and a program, as the receiver.
        await shot.ask("mvp@native", "mvp@ethereum", "12.5");
        await shot.click("#elsewhere");
        await shot.receiver(far.coin);
        await shot.reads("#receiver-told .warned", /program|프로그램/);
        await shot.review();
        await shot.reads("#warning", /program|프로그램/);
        await look("review");
        await shot.click("#cancel");
        await shot.receiver(MISTYPED);
        await shot.reads("#receiver-told .warned", /mistyped|잘못/);
        await look("mistyped");
        await shot.click("#elsewhere");
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
    assert.match(await here.text("#steps"), /Sign a permit.*the router of swaps/s);
    await here.confirm();
    await until("the swap itself", isOpen);
    assert.match(await here.text("#steps"), /send to Ethereum, with a permit.*it would succeed/s);
    assert.equal(await sections(), 1);
    await here.confirm();
    await here.reads("#far-coin", /^59\./, 120_000);
    await here.reads("#progress li:first-child .badge", /Received/);
    assert.deepEqual(await here.axe(), []);
  });

  await session("another address receives it: mistyped, a program, oneself, somebody", async () => {
    const somebody = Wallet.createRandom().address;
    const isReady = () => here.page.$eval("#review", (button) => !button.disabled);
    await here.ask("mvp@native", "mvc@native", "5");
    assert.equal(await here.isShown("#elsewhere"), false, "a swap on the chain pays who signs it");
    await here.ask("mvp@native", "mvp@ethereum", "5");
    await here.click("#elsewhere");
    await here.reads("#review", /Say who receives it/);
    assert.equal(await isReady(), false);
    for (const [text, said, isFine] of [
      ["0x1234", /40 letters or digits/, false],
      [MISTYPED, /mistyped/, false],
      [far.coin, /program/, true],
      [wallet.account, /you/, true],
      [somebody.toLowerCase(), /well formed/, true],
    ]) {
      await here.receiver(text);
      await here.reads("#receiver-told", said);
      await until("the button", async () => (await isReady()) === isFine);
      assert.equal(await here.page.$eval("#receiver", (input) => input.getAttribute("aria-invalid")), String(!isFine));
      assert.deepEqual(await here.axe(), []);
      // As EIP-55 writes it, whatever was typed.
      if (isFine) assert.ok((await here.text("#receiver-told")).includes(getAddress(text)));
    }
    await here.review();
    assert.ok((await here.text("#goes-to")).includes(somebody));
    assert.ok((await here.text("#steps")).includes(somebody));
    assert.match(await here.text("#steps"), /\(you\)/);
    assert.deepEqual(await here.axe(), []);
    await here.picture("receiver");
    await here.confirm();
    const to = new RegExp(`To${somebody.slice(0, 8)}…${somebody.slice(-6)}`, "i");
    await here.reads("#progress li:first-child", to);
    await here.reads("#progress li:first-child .badge", /Received/, 120_000);
    await here.reads("#history", to);
    const got = await system.api(`/accounts/${somebody}/balances`);
    assert.equal(got.ethereum.points.amount, "5");

    // It is remembered, and seen to be, until it is taken back.
    await here.page.reload({ waitUntil: "load" });
    await until("the account", () => here.isShown("#connected"));
    await here.ask("mvc@ethereum", "mvp@native", "1");
    await here.reads("#receiver-told", /well formed/);
    assert.equal(await here.page.$eval("#receiver", (input) => input.value), somebody);
    await here.review();
    assert.ok((await here.text("#goes-to")).includes(somebody));
    await here.confirm();
    await until("the second step", () => here.page.$eval("#dialog", (dialog) => dialog.open));
    assert.ok((await here.text("#goes-to")).includes(somebody));
    await here.confirm();
    await until("the swapped points", async () => BigInt((await system.api(`/accounts/${somebody}/balances`)).points.units) > 0n, 120_000);
    await here.click("#elsewhere");
    await here.page.reload({ waitUntil: "load" });
    await until("the account", () => here.isShown("#connected"));
    await here.ask("mvp@native", "mvp@ethereum", "5");
    assert.equal(await here.page.$eval("#elsewhere", (box) => box.checked), false);
    await here.review();
    assert.equal(await here.isShown("#goes-to"), false);
    await here.click("#cancel");
  });

  await session("an account's transfers are listed whole, out of the index, page after page", async () => {
    const list = (query) => system.api(`/accounts/${wallet.account}/packets?${new URLSearchParams(query)}`);
    const final = await system.ethereum.getBlock("finalized");
    await until("the index", async () => {
      const { nativeIndexed, ethereumIndexed } = await list({ limit: 1 });
      return nativeIndexed > 0 && ethereumIndexed > final.number;
    });
    // What the chains themselves say: version, kind, three numbers, and of a transfer the sender at byte 62.
    const expected = new Set();
    const topics = [id("PacketSent(uint64,bytes32,bytes)")];
    for (const [name, provider, address] of [["native", system.native, system.facts.bridge], ["ethereum", system.ethereum, far.bridge]]) {
      for (const log of await provider.getLogs({ address, topics, fromBlock: 0 })) {
        const [packet] = AbiCoder.defaultAbiCoder().decode(["bytes"], log.data);
        const isTransfer = ["01", "04"].includes(dataSlice(packet, 1, 2).slice(2));
        if (isTransfer && dataSlice(packet, 62, 82) === wallet.account) expected.add(`${name}:${BigInt(log.topics[1])}`);
      }
    }
    assert.ok(expected.size >= 6, `${expected.size} transfers were sent`);
    const found = new Set();
    let before = {};
    for (let page = 0; page < 50; ++page) {
      const { packets, nativeOldest, ethereumOldest } = await list({ limit: 2, ...before });
      packets.forEach(({ packet }) => found.add(packet));
      if (nativeOldest + ethereumOldest === 0) break;
      before = { nativeBefore: nativeOldest, ethereumBefore: ethereumOldest };
    }
    assert.deepEqual([...found].sort(), [...expected].sort());
  });

  await session("an account's history is whole on both chains, out of the index, page after page", async () => {
    const account = wallet.account.toLowerCase();
    const word = zeroPadValue(account, 32);
    const moved = id("Transfer(address,address,uint256)");
    const chains = [["native", system.native, [system.facts.points, system.facts.coin]], ["ethereum", system.ethereum, [far.points, far.coin]]];
    for (const [chain, provider, address] of chains) {
      const page = (cursor) => system.api(`/accounts/${account}/history?${new URLSearchParams({ chain, limit: 3, ...(cursor && { cursor }) })}`);
      const { number } = await provider.getBlock("finalized");
      // Most of it is in the index; what is newer is found all the same.
      await until("the index", async () => (await page()).indexed > (chain === "native" ? number / 2 : number));
      const entries = [];
      for (let cursor = null, count = 0; ; ++count) {
        const found = await page(cursor);
        assert.equal(found.since === 0 || chain === "ethereum", true);
        entries.push(...found.entries);
        cursor = found.nextCursor;
        if (!cursor) break;
        assert.equal(found.entries.length, 3);
        assert.ok(count < 200, "it ends");
      }
      const sorted = [...entries].sort((a, b) => b.block - a.block || b.index - a.index);
      assert.deepEqual(entries, sorted, "newest first");
      assert.equal(new Set(entries.map(({ block, index }) => `${block} ${index}`)).size, entries.length, "each once");
      // Whatever moved has a transfer of points or of coin, as the chain itself tells.
      const logs = await Promise.all([[moved, word], [moved, null, word]].map((topics) => provider.getLogs({ address, topics, fromBlock: 0 })));
      const expected = new Set(logs.flat().map(({ transactionHash }) => transactionHash));
      assert.ok(expected.size >= 5, `${expected.size} transactions on ${chain}`);
      assert.deepEqual(new Set(entries.map(({ transaction }) => transaction)), expected);
    }
    // The page shows the newest of each chain; whoever looks further back finds the rest, each once.
    await here.page.reload({ waitUntil: "load" });
    await until("the account", () => here.isShown("#connected"));
    await until("the history", async () => (await here.page.$$("#history li")).length > 0);
    await until("all of it", async () => {
      if (!(await here.isShown("#more-history"))) return true;
      await here.click("#more-history");
      return false;
    });
    let all = 0;
    for (const [chain] of chains) all += (await system.api(`/accounts/${account}/history?chain=${chain}&limit=200`)).entries.length;
    await until("each entry once", async () => (await here.page.$$("#history li")).length === all);
    assert.deepEqual(await here.axe(), []);
    await here.picture("history");
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
