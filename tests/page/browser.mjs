// One Chromium, and pages that tell on themselves: whatever breaks the content security policy, asks
// somebody else, or goes wrong unseen fails the session.

import { access, mkdir } from "node:fs/promises";
import { constants } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import { readFile } from "node:fs/promises";
import puppeteer from "puppeteer-core";
import { until } from "./system.mjs";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
export const PHONE = { width: 390, height: 844, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
export const DESKTOP = { width: 1280, height: 900 };

/** The Chromium of this machine, or nothing. `CHROMIUM` names another. */
export async function findChromium() {
  const places = (process.env.PATH ?? "").split(delimiter).flatMap((folder) => NAMES.map((name) => join(folder, name)));
  for (const place of [process.env.CHROMIUM, ...places]) {
    if (!place) continue;
    try {
      await access(place, constants.X_OK);
      return place;
    } catch {
      // The next one.
    }
  }
  return null;
}

export async function launch(executablePath) {
  return puppeteer.launch({
    executablePath,
    headless: true,
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--lang=en-US", "--font-render-hinting=none"],
  });
}

/** A page with the wallet in it. `faults` fills with whatever must not happen. */
export async function open(context, url, wallet, options = {}) {
  const page = await context.newPage();
  const faults = [];
  const { viewport = DESKTOP, scheme = "light", language = "en-US", offlineIsFine = false } = options;
  await page.setViewport(viewport);
  // Without motion: a colour on its way from one to another is nobody's contrast.
  await page.emulateMediaFeatures([
    { name: "prefers-color-scheme", value: scheme },
    { name: "prefers-reduced-motion", value: "reduce" },
  ]);
  await page.setExtraHTTPHeaders({ "accept-language": language });
  await page.evaluateOnNewDocument((language) => {
    Object.defineProperty(navigator, "language", { get: () => language });
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`));
  }, language);
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("console", (message) => {
    const text = message.text();
    // A refusal of the API is an answer, which the console tells as well.
    if (/status of (404|409|422|429|503)/.test(text)) return;
    if (offlineIsFine && /ERR_INTERNET_DISCONNECTED|ERR_INCOMPLETE_CHUNKED|ERR_NETWORK/.test(text)) return;
    if (["error", "warn"].includes(message.type())) faults.push(`console: ${text}`);
  });
  page.on("request", (request) => {
    const asked = request.url();
    if (!asked.startsWith(`${url}/app`) && !asked.startsWith("data:")) faults.push(`asked elsewhere: ${asked}`);
  });
  if (wallet) await wallet.into(page);
  await page.goto(`${url}/app${options.hash ?? ""}`, { waitUntil: "load" });
  return new Session(page, faults);
}

export class Session {
  constructor(page, faults) {
    this.page = page;
    this.faults = faults;
  }

  text(selector) {
    return this.page.$eval(selector, (element) => element.textContent.trim());
  }

  isShown(selector) {
    return this.page.$eval(selector, (element) => element.checkVisibility());
  }

  /** Waits until an element's text is so. */
  async reads(selector, pattern, limit = 60_000) {
    return until(`${selector} to read ${pattern}`, async () => {
      const text = await this.page.$eval(selector, (element) => element.textContent.trim()).catch(() => null);
      if (text !== null && pattern.test(text)) return text || true;
      throw new Error(`it reads ${JSON.stringify(text)}; notice: ${JSON.stringify(await this.text("#notice"))}`);
    }, limit);
  }

  async click(selector) {
    await until(`${selector} to be ready`, () =>
      this.page.$eval(selector, (element) => element.checkVisibility() && !element.disabled).catch(() => false),
    );
    await this.page.$eval(selector, (element) => element.scrollIntoView({ block: "center" }));
    await this.page.click(selector);
  }

  async connect() {
    await this.click("#wallets button");
    await until("the account", () => this.isShown("#connected"));
    await this.reads("#points", /\d/);
  }

  /** Chooses what for what, and says how much. */
  async ask(give, receive, amount) {
    await this.page.select("#receive", receive);
    await this.page.select("#give", give);
    await this.page.select("#receive", receive);
    await this.page.$eval("#amount", (input) => (input.value = ""));
    await this.page.type("#amount", amount);
    await this.reads("#out", /[1-9]/);
    await this.reads("#quote", /second|minute|초|분/);
  }

  /** Types who receives it. */
  async receiver(address) {
    await this.page.$eval("#receiver", (input) => (input.value = ""));
    await this.page.type("#receiver", address);
  }

  async review() {
    await this.click("#review");
    await until("the dialog", () => this.page.$eval("#dialog", (dialog) => dialog.open));
  }

  async confirm() {
    await this.click("#confirm");
  }

  /** What the accessibility checker finds serious. */
  async axe() {
    await this.page.evaluate(await readFile(AXE, "utf8"));
    const { violations } = await this.page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    return violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary.slice(0, 200)}`).join(" | ")}`);
  }

  async picture(name) {
    const folder = process.env.PAGE_PICTURES;
    if (!folder) return;
    await mkdir(folder, { recursive: true });
    await this.page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
  }

  /** Ends the page; whatever must not have happened is an error. */
  async close() {
    const violations = await this.page.evaluate(() => window.violations);
    await this.page.close();
    const all = [...this.faults, ...violations.map((one) => `policy: ${one}`)];
    if (all.length > 0) throw new Error(`the page did what it must not:\n${all.join("\n")}`);
  }
}
