// What an application built on viem does: deploy, call, subscribe, estimate, replace, fail.
// usage: node viem.mjs URL KEY
import assert from "node:assert/strict";
import {
    ContractFunctionRevertedError, InsufficientFundsError, NonceTooLowError, createPublicClient,
    createWalletClient, defineChain, http, webSocket,
} from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { counter } from "./counter.mjs";

const [url, key] = process.argv.slice(2);
const chain = defineChain({
    id: 77771,
    name: "MileVerse",
    nativeCurrency: { name: "MVC", symbol: "MVC", decimals: 18 },
    rpcUrls: { default: { http: [url] } },
});
const account = privateKeyToAccount(key);
const options = { chain, pollingInterval: 50, cacheTime: 0 };
const client = createPublicClient({ ...options, transport: http(url, { batch: true }) });
const socket = createPublicClient({ ...options, transport: webSocket(url.replace("http", "ws")) });
const wallet = createWalletClient({ ...options, account, transport: http(url) });
const free = { maxFeePerGas: 0n, maxPriorityFeePerGas: 0n };
const { abi, bytecode } = counter;

assert.equal(await client.getChainId(), 77771);
assert.deepEqual(await client.estimateFeesPerGas(), free);

// Deploy, and call.
const deployment = await wallet.deployContract({ abi, bytecode });
const deployed = await client.waitForTransactionReceipt({ hash: deployment });
assert.equal(deployed.status, "success");
const address = deployed.contractAddress;
const count = (more) => client.readContract({ abi, address, functionName: "count", ...more });
assert.equal(await count(), 0n);

// The chain's own work: the first block closed a quarter, with nobody's transaction.
const { transactions: [system] } = await client.getBlock({ blockNumber: 1n, includeTransactions: true });
assert.equal(system.from, `0x${"f".repeat(39)}e`);
const closing = await client.getTransactionReceipt({ hash: system.hash });
assert.deepEqual([closing.status, closing.gasUsed, closing.type], ["success", 0n, "legacy"]);
const told = await client.getLogs({ address: system.to, fromBlock: 1n, toBlock: 1n });
assert.ok(told.length > 0);
assert.deepEqual(told.map((log) => log.logIndex), closing.logs.map((log) => log.logIndex));
assert.equal((await client.getTransaction({ hash: system.hash })).blockNumber, 1n);

// Something else assumed.
const slot = (number) => `0x${number.toString(16).padStart(64, "0")}`;
const stateOverride = [{ address, stateDiff: [{ slot: slot(0), value: slot(41) }] }];
assert.equal(await count({ stateOverride }), 41n);
const { accessList, gasUsed } = await client.createAccessList({
    account, to: address, data: "0x06661abd",
});
assert.equal(accessList[0].address, address.toLowerCase());
assert.ok(gasUsed > 21000n);

// Subscribe, then act.
let unwatch;
const heard = new Promise((resolve, reject) => {
    unwatch = socket.watchContractEvent({ abi, address, eventName: "Counted", onLogs: resolve, onError: reject });
});
const polled = new Promise((resolve, reject) => {
    client.watchContractEvent({ abi, address, eventName: "Counted", poll: true, onLogs: resolve, onError: reject });
});
const head = new Promise((resolve, reject) => {
    socket.watchBlockNumber({ onBlockNumber: resolve, onError: reject });
});
assert.ok((await head) > 0n);
// The filter that is polled must be there before there is something to tell.
while ((await client.request({ method: "txpool_status" })).pending !== "0x0");
const call = { account, abi, address, functionName: "add", args: [5n] };
const gas = await client.estimateContractGas(call);
let listening = false;
while (!listening) {
    const hash = await wallet.writeContract({ ...call, ...free, gas: gas + 30000n });
    const receipt = await client.waitForTransactionReceipt({ hash });
    assert.equal(receipt.status, "success");
    assert.equal(await count({ blockNumber: receipt.blockNumber }) - await count({ blockNumber: receipt.blockNumber - 1n }), 5n);
    listening = await Promise.race([
        Promise.all([heard, polled]).then(() => true),
        client.getBlockNumber().then(() => false),
    ]);
}
assert.equal((await heard)[0].args.value % 5n, 0n);
assert.equal((await polled)[0].address, address.toLowerCase());
unwatch();

// Simulate blocks of calls, each on top of the one before.
const counted = { to: address, abi, functionName: "add", args: [5n], account: account.address };
const before = await client.readContract({ address, abi, functionName: "count" });
const [one, two] = await client.simulateBlocks({ blocks: [{ calls: [counted] }, { calls: [counted, { to: address, abi, functionName: "count" }] }] });
assert.equal(two.number, one.number + 1n);
assert.equal(two.calls[1].result, before + 10n);
assert.equal(await client.readContract({ address, abi, functionName: "count" }), before);
const filled = await client.fillTransaction({ account, to: account.address, value: 0n });
assert.equal(filled.transaction.gas, 21000n);

// Replace.
const nonce = await client.getTransactionCount({ address: account.address, blockTag: "pending" });
const base = { to: account.address, gas: 21000n };
const priced = (price) => ({ maxFeePerGas: price, maxPriorityFeePerGas: price });
await wallet.sendTransaction({ ...base, nonce: nonce + 1, ...priced(100n) });
await assert.rejects(
    wallet.sendTransaction({ ...base, nonce: nonce + 1, value: 1n, ...priced(105n) }),
    /replacement transaction underpriced/,
);
const better = await wallet.sendTransaction({ ...base, nonce: nonce + 1, value: 1n, ...priced(110n) });
await wallet.sendTransaction({ ...base, nonce, ...free });
assert.equal((await client.waitForTransactionReceipt({ hash: better })).status, "success");

// Sent and final in one request (EIP-7966).
const request = await wallet.prepareTransactionRequest({ ...base, ...free });
const raw = await account.signTransaction(request);
const receipt = await client.sendRawTransactionSync({ serializedTransaction: raw });
assert.equal(receipt.status, "success");

// Fail.
await assert.rejects(
    client.simulateContract({ account, abi, address, functionName: "fail" }),
    (error) => error.walk((one) => one instanceof ContractFunctionRevertedError).reason === "no more",
);
const failed = await wallet.writeContract({ abi, address, functionName: "fail", ...free, gas: 100000n });
assert.equal((await client.waitForTransactionReceipt({ hash: failed })).status, "reverted");
const trace = await client.request({ method: "debug_traceTransaction", params: [failed, { tracer: "callTracer" }] });
assert.equal(trace.error, "execution reverted");
assert.equal(trace.revertReason, "no more");
await assert.rejects(
    wallet.sendTransaction({ ...base, nonce: 0, ...free }),
    (error) => error.walk((one) => one instanceof NonceTooLowError) !== null,
);
await assert.rejects(
    wallet.sendTransaction({ ...base, value: 10n ** 30n, ...free }),
    (error) => error.walk((one) => one instanceof InsufficientFundsError) !== null,
);
console.log(JSON.stringify({ ok: true }));
process.exit(0);
