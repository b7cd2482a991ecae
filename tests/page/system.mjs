// A whole system of its own: `mileverse up` with its own ports and its own data directory, and what
// the sessions need of it. Stopped by the handle that started it.

import { spawn } from "node:child_process";
import { mkdtemp, readFile, readdir, readlink, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Contract, JsonRpcProvider, Wallet, parseEther, parseUnits } from "ethers";

const START_MS = 300_000;
/** What a gas costs on the native chain, so that it matters who pays for it. */
const BASE_PRICE = "1000000000";
const STOP_MS = 30_000;

/** Waits until `look` answers something; says what it waited for if it never does. */
export async function until(what, look, limit = 60_000) {
  const end = Date.now() + limit;
  let last;
  for (;;) {
    try {
      const found = await look();
      if (found) return found;
      last = found;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`waited ${limit / 1000} s for ${what}; last: ${last?.message ?? JSON.stringify(last)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Starts `program up` and waits for its journey, which leaves a member with points and coin on both chains. */
export async function start(program) {
  const directory = await mkdtemp(join(tmpdir(), "mileverse-page-"));
  const child = spawn(program, ["up", "--data-dir", directory, "--base-price", BASE_PRICE, "--json"], { stdio: ["ignore", "pipe", "pipe"] });
  const said = [];
  createInterface({ input: child.stderr }).on("line", (line) => {
    said.push(line);
    if (said.length > 200) said.shift();
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
      await ended;
      clearTimeout(late);
    }
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const report = await new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no report after ${START_MS / 1000} s`)), START_MS);
      createInterface({ input: child.stdout }).on("line", (line) => {
        if (!line.startsWith("{")) return;
        clearTimeout(late);
        resolve(JSON.parse(line));
      });
      ended.then((code) => reject(new Error(`up ended with ${code}`)));
    });
    if (!report.ok) throw new Error("the journey did not come true");
    return new System(report, directory, stop);
  } catch (error) {
    await stop();
    throw new Error(`${error.message}\n${said.slice(-30).join("\n")}`);
  }
}

/** A system that runs already, for those who work on the page: its data directory, and who serves the page. */
export async function attach(directory, url) {
  const { ports } = JSON.parse(await readFile(join(directory, "settings.json"), "utf8"));
  const local = (port) => `http://127.0.0.1:${port}`;
  const urls = { gateway: url, native: ports.rpc.map(local), ethereum: local(ports.ethereum) };
  return new System({ urls }, directory, async () => {});
}

export const POOL = "0x4d56000000000000000000000000000000000102";
const ERC20 = [
  "function balanceOf(address) view returns (uint256)",
  "function transfer(address,uint256) returns (bool)",
  "function approve(address,uint256) returns (bool)",
];
const POOL_ABI = [
  "function reserves() view returns (uint256,uint256)",
  "function provide(uint256 most0,uint256 most1,uint256 leastShares,address receiver,uint256 deadline) payable returns (uint256)",
  "function exactIn(address tokenIn,uint256 amountIn,uint256 leastOut,address receiver,uint256 deadline) payable returns (uint256)",
];
export const FOREVER = 2n ** 64n;

class System {
  constructor(report, directory, stop) {
    const { gateway, native, ethereum } = report.urls;
    Object.assign(this, { directory, end: stop });
    this.url = gateway.replace(/\/$/, "");
    const options = { batchMaxCount: 1, cacheTimeout: -1, pollingInterval: 100, staticNetwork: true };
    this.native = new JsonRpcProvider(native[0], undefined, options);
    this.ethereum = new JsonRpcProvider(ethereum, undefined, options);
    this.stopped = false;
  }

  /** The member of the journey, on the native chain. */
  async member() {
    const [keystore, password] = await Promise.all(
      ["member.json", "password"].map((name) => readFile(join(this.directory, "keys", name), "utf8")),
    );
    const wallet = await Wallet.fromEncryptedJson(keystore, password.trim());
    return wallet.connect(this.native);
  }

  async api(path) {
    const response = await fetch(`${this.url}/app/api/v1${path}`);
    const body = await response.json();
    if (!response.ok) throw new Error(`${path}: ${JSON.stringify(body)}`);
    return body;
  }

  /** 60 MVC more in the pool than the journey put there, and as many points as belong to them. */
  async fillPool(member) {
    const { points } = (this.facts = await this.api("/chain"));
    this.pool = new Contract(POOL, POOL_ABI, member);
    const [, coins] = await this.pool.reserves();
    if (coins > parseEther("60")) return;
    const token = new Contract(points, ERC20, member);
    await sent(token.approve(POOL, parseUnits("1000000", 6), { gasPrice: 0n, gasLimit: 60_000n, type: 0 }));
    const value = parseEther("60");
    await sent(this.pool.provide(parseUnits("50000", 6), value, 0n, member.address, FOREVER, { value, gasLimit: 400_000n }));
  }

  /** Points alone. */
  async give(member, account, points) {
    const free = { gasPrice: 0n, gasLimit: 100_000n, type: 0 };
    await sent(new Contract(this.facts.points, ERC20, member).transfer(account, parseUnits(points, 6), free));
  }

  /** Points and coin on the native chain, coin and ether on Ethereum. */
  async fund(member, account) {
    const { coin, ethereum } = this.facts;
    const far = member.connect(this.ethereum);
    await this.give(member, account, "2000");
    await sent(new Contract(coin, ERC20, member).transfer(account, parseEther("10")));
    const nonce = await far.getNonce();
    const pending = [
      far.sendTransaction({ to: account, value: parseEther("1"), nonce }),
      new Contract(ethereum.coin, ERC20, far).transfer(account, parseEther("100"), { nonce: nonce + 1 }),
    ];
    await Promise.all(pending.map(sent));
  }

  /** The relayer's process: the one that works in this system's own directory for it. */
  async relayer() {
    const home = await realpath(join(this.directory, "relayer"));
    const found = [];
    for (const name of await readdir("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      if ((await readlink(`/proc/${name}/cwd`).catch(() => "")) === home) found.push(Number(name));
    }
    if (found.length !== 1) throw new Error(`${found.length} processes work in ${home}`);
    return found[0];
  }

  /** Keeps the relayer from doing anything, as if it were dead; `up` itself would not bear its death. */
  async pauseRelayer(isPaused) {
    if (isPaused === this.stopped) return;
    process.kill(await this.relayer(), isPaused ? "SIGSTOP" : "SIGCONT");
    this.stopped = isPaused;
  }

  async stop() {
    await this.pauseRelayer(false);
    this.native.destroy();
    this.ethereum.destroy();
    await this.end();
  }
}

/** Waits for a transaction that ethers sends. */
export async function sent(transaction) {
  const receipt = await (await transaction).wait();
  if (receipt.status !== 1) throw new Error(`refused: ${receipt.hash}`);
  return receipt;
}
