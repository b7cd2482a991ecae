// A wallet in the browser: EIP-1193, announced by EIP-6963. The keys stay with ethers, outside; the
// page sees what it would see of any wallet. What the person does in it is set by the session.

import { TypedDataEncoder, Wallet } from "ethers";

const ICON = "data:image/svg+xml," + encodeURIComponent('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><circle cx="4" cy="4" r="4" fill="#345"/></svg>');

export class BrowserWallet {
  /** `networks`: chain id in hex -> ethers provider. `known`: which of them the wallet has already. */
  constructor(networks, known) {
    this.networks = networks;
    this.known = new Set(known);
    this.signer = Wallet.createRandom();
    this.chainId = known[0];
    this.connected = false;
    /** What the person answers to the next question: `yes`, `no`, or a promise of it. */
    this.answer = "yes";
    /** What it does with typed data: it signs it (`own`), with another key as a wallet that is a program might
     * (`other`), or knows no such thing and says so by this code. */
    this.typedData = "own";
    this.asked = [];
    this.pages = new Set();
    this.last = Promise.resolve();
  }

  get account() {
    return this.signer.address.toLowerCase();
  }

  /** Puts the wallet into a page, before its own scripts run. */
  async into(page) {
    this.pages.add(page);
    await page.exposeFunction("walletAsks", async (request) => {
      try {
        return { result: (await this.request(request)) ?? null };
      } catch (error) {
        return { error: { code: error.code ?? -32603, message: String(error.shortMessage ?? error.message) } };
      }
    });
    await page.evaluateOnNewDocument((icon) => {
      const listeners = {};
      const provider = {
        async request(request) {
          const { result, error } = await window.walletAsks(request);
          if (error) throw Object.assign(new Error(error.message), { code: error.code });
          return result;
        },
        on(event, listener) {
          (listeners[event] ??= []).push(listener);
        },
      };
      window.walletSays = (event, value) => (listeners[event] ?? []).forEach((listener) => listener(value));
      const info = { uuid: "6b1f4a3e-3f0d-4ef0-9a53-0f6f3a4f0001", name: "Test Wallet", icon, rdns: "test.wallet" };
      const announce = () =>
        window.dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail: Object.freeze({ info, provider }) }));
      window.addEventListener("eip6963:requestProvider", announce);
      announce();
    }, ICON);
  }

  async say(event, value) {
    for (const page of this.pages) {
      if (!page.isClosed()) await page.evaluate((event, value) => window.walletSays?.(event, value), event, value);
    }
  }

  /** The person goes to another network in the wallet itself. */
  async change(chainId) {
    this.chainId = chainId;
    await this.say("chainChanged", chainId);
  }

  async person() {
    const answer = await this.answer;
    if (answer === "no") throw Object.assign(new Error("User rejected the request."), { code: 4001 });
  }

  async request({ method, params = [] }) {
    this.asked.push(method);
    switch (method) {
      case "eth_requestAccounts":
        await this.person();
        this.connected = true;
        return [this.account];
      case "eth_accounts":
        return this.connected ? [this.account] : [];
      case "eth_chainId":
        return this.chainId;
      case "wallet_switchEthereumChain": {
        const [{ chainId }] = params;
        if (!this.known.has(chainId)) throw Object.assign(new Error("Unrecognized chain."), { code: 4902 });
        await this.person();
        await this.change(chainId);
        return null;
      }
      case "wallet_addEthereumChain": {
        const [{ chainId, rpcUrls, chainName, nativeCurrency }] = params;
        if (!this.networks[chainId] || !rpcUrls?.[0] || !chainName || nativeCurrency?.decimals !== 18) {
          throw Object.assign(new Error("Invalid network."), { code: -32602 });
        }
        await this.person();
        this.known.add(chainId);
        return null;
      }
      case "eth_signTypedData_v4":
        return this.signTyped(params);
      case "eth_sendTransaction":
        return this.send(params[0]);
      default:
        throw Object.assign(new Error(`${method} is not supported`), { code: 4200 });
    }
  }

  async signTyped([account, text]) {
    const fault = (code, message) => Object.assign(new Error(message), { code });
    if (typeof this.typedData === "number") throw fault(this.typedData, "eth_signTypedData_v4 is not supported");
    if (account.toLowerCase() !== this.account) throw fault(4100, "Unknown account.");
    const { domain, message, primaryType, types: all } = JSON.parse(text);
    const { EIP712Domain, ...types } = all;
    // Wallets hash the domain by its declared fields, and refuse another network's.
    const declared = EIP712Domain.map(({ name }) => name).join();
    if (declared !== Object.keys(TypedDataEncoder.getPayload(domain, types, message).domain).join()) throw fault(-32602, "Invalid domain.");
    if (TypedDataEncoder.from(types).primaryType !== primaryType) throw fault(-32602, "Invalid type.");
    if (BigInt(domain.chainId) !== BigInt(this.chainId)) throw fault(-32602, "Another network is active.");
    await this.person();
    const signer = this.typedData === "own" ? this.signer : Wallet.createRandom();
    return signer.signTypedData(domain, types, message);
  }

  async send({ chainId, from, to, value, data, gas, gasPrice, maxFeePerGas, maxPriorityFeePerGas }) {
    if (chainId !== this.chainId) throw Object.assign(new Error("Another network is active."), { code: 4901 });
    if (from.toLowerCase() !== this.account) throw Object.assign(new Error("Unknown account."), { code: 4100 });
    await this.person();
    const provider = this.networks[chainId];
    const fees = gasPrice ? { type: 0, gasPrice } : { type: 2, maxFeePerGas, maxPriorityFeePerGas };
    // One after another: each takes the next nonce.
    const turn = this.last.then(async () => {
      const signer = this.signer.connect(provider);
      const nonce = await provider.getTransactionCount(this.account, "pending");
      const sent = await signer.sendTransaction({ to, value, data, gasLimit: gas, chainId: BigInt(chainId), nonce, ...fees });
      return sent.hash;
    });
    this.last = turn.catch(() => {});
    return turn;
  }
}
