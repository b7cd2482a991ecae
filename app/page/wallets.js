// Wallets of this browser: announced by EIP-6963, or the one of `window.ethereum` (EIP-1193).

/** Calls `onFound` once for each wallet: { id, name, icon, provider }. */
export function discover(onFound) {
  const seen = new Set();
  const add = (id, name, icon, provider) => {
    if (seen.has(id)) return;
    seen.add(id);
    onFound({ id, name, icon, provider });
  };
  window.addEventListener("eip6963:announceProvider", ({ detail }) => {
    const { info, provider } = detail ?? {};
    if (!info?.uuid || !provider?.request) return;
    const icon = typeof info.icon === "string" && info.icon.startsWith("data:image/") ? info.icon : null;
    add(info.rdns || info.uuid, String(info.name).slice(0, 60), icon, provider);
  });
  window.dispatchEvent(new Event("eip6963:requestProvider"));
  // Older wallets announce nothing.
  setTimeout(() => {
    if (seen.size === 0 && window.ethereum?.request) add("injected", "Browser wallet", null, window.ethereum);
  }, 300);
}

/** Whether the person said no. */
export const isRefusal = (error) => error?.code === 4001;

export async function accounts(provider, mayAsk) {
  const method = mayAsk ? "eth_requestAccounts" : "eth_accounts";
  return provider.request({ method });
}

/** Whether the wallet is on this network. */
export async function isOn(provider, network) {
  const found = await provider.request({ method: "eth_chainId" });
  return BigInt(found) === BigInt(network.chainId);
}

/** Goes to the network; adds it first where the wallet does not know it. */
export async function use(provider, network, nativeCurrency) {
  const { chainId, name: chainName, rpcUrl, explorerUrl } = network;
  const change = () => provider.request({ method: "wallet_switchEthereumChain", params: [{ chainId }] });
  try {
    await change();
  } catch (error) {
    if (isRefusal(error) || !rpcUrl) throw error;
    const added = { chainId, chainName, rpcUrls: [rpcUrl], nativeCurrency };
    if (explorerUrl) added.blockExplorerUrls = [explorerUrl];
    await provider.request({ method: "wallet_addEthereumChain", params: [added] });
    await change();
  }
}

/** Has typed data signed (EIP-712); answers the signature. */
export const signTyped = (provider, account, data) => provider.request({ method: "eth_signTypedData_v4", params: [account, JSON.stringify(data)] });

/** Has a prepared transaction signed and sent; answers its hash. */
export const send = (provider, transaction) => provider.request({ method: "eth_sendTransaction", params: [transaction] });
