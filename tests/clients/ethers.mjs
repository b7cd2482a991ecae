// What an application built on ethers v6 does: deploy, call, subscribe, estimate, replace, fail.
// usage: node ethers.mjs URL KEY
import assert from "node:assert/strict";
import { ContractFactory, JsonRpcProvider, Wallet, WebSocketProvider, isError } from "ethers";
import { counter } from "./counter.mjs";

const [url, key] = process.argv.slice(2);
const http = new JsonRpcProvider(url, undefined, { batchMaxCount: 50, cacheTimeout: -1, pollingInterval: 50 });
const socket = new WebSocketProvider(url.replace("http", "ws"));
const wallet = new Wallet(key, http);
const free = { maxFeePerGas: 0n, maxPriorityFeePerGas: 0n };

const network = await http.getNetwork();
assert.equal(network.chainId, 77771n);
const fees = await http.getFeeData();
// A base fee of zero counts as none here, so only the plain price is told.
assert.equal(fees.gasPrice, 0n);

// Deploy, and call.
const factory = new ContractFactory(counter.abi, counter.bytecode, wallet);
const contract = await factory.deploy();
const deployed = await contract.deploymentTransaction().wait();
assert.equal(deployed.status, 1);
assert.equal(deployed.contractAddress, await contract.getAddress());
assert.equal(await contract.count(), 0n);

// Subscribe, then act.
const heads = [];
await socket.on("block", (number) => heads.push(number));
const heard = new Promise((resolve) => contract.connect(socket).on("Counted", (value) => resolve(value)));
const arrived = new Promise((resolve) => socket.once("pending", resolve));
await socket.getBlockNumber();
const estimate = await contract.add.estimateGas(5n);
assert.ok(estimate > 21000n && estimate < 100000n);
const sent = await contract.add(5n, { ...free, gasLimit: estimate });
const receipt = await sent.wait();
assert.equal(receipt.status, 1);
assert.equal(await arrived, sent.hash);
assert.equal(await heard, 5n);
assert.equal(await contract.count(), 5n);
const past = await contract.count({ blockTag: receipt.blockNumber - 1 });
assert.equal(past, 0n);
const found = await contract.queryFilter("Counted", receipt.blockNumber, "latest");
assert.equal(found.length, 1);
const block = await http.getBlock(receipt.blockNumber, true);
assert.deepEqual(block.prefetchedTransactions.map((one) => one.hash), [sent.hash]);

// The chain's own work: the first block closed a quarter, with nobody's transaction.
const first = await http.getBlock(1, true);
const [system] = first.prefetchedTransactions;
assert.equal(system.from.toLowerCase(), `0x${"f".repeat(39)}e`);
const closing = await http.getTransactionReceipt(system.hash);
assert.deepEqual([closing.status, closing.gasUsed, closing.index], [1, 0n, 0]);
assert.ok(closing.logs.length > 0 && closing.logs.every((log) => log.transactionHash === system.hash));
assert.equal((await http.getTransaction(system.hash)).blockNumber, 1);
const told = await http.getLogs({ address: system.to, fromBlock: 1, toBlock: 1 });
assert.deepEqual(told.map((log) => log.index), closing.logs.map((log) => log.index));

// Replace: a nonce that waits, then a better price, then what it waited for.
const nonce = await http.getTransactionCount(wallet.address, "pending");
const base = { to: wallet.address, gasLimit: 21000n };
const waiting = await wallet.sendTransaction({ ...base, nonce: nonce + 1, maxFeePerGas: 100n, maxPriorityFeePerGas: 100n });
await assert.rejects(
    wallet.sendTransaction({ ...base, nonce: nonce + 1, value: 1n, maxFeePerGas: 105n, maxPriorityFeePerGas: 105n }),
    (error) => isError(error, "REPLACEMENT_UNDERPRICED"),
);
const better = await wallet.sendTransaction({ ...base, nonce: nonce + 1, value: 1n, maxFeePerGas: 110n, maxPriorityFeePerGas: 110n });
assert.equal(await http.getTransaction(waiting.hash), null);
await wallet.sendTransaction({ ...base, nonce, ...free });
assert.equal((await better.wait()).status, 1);

// Fail.
await assert.rejects(contract.fail.staticCall(), (error) => isError(error, "CALL_EXCEPTION") && error.reason === "no more");
await assert.rejects(contract.fail.estimateGas(), (error) => isError(error, "CALL_EXCEPTION"));
// It is a view, which ethers would only call.
const data = contract.interface.encodeFunctionData("fail");
const failed = await wallet.sendTransaction({ to: await contract.getAddress(), data, ...free, gasLimit: 100000n });
await assert.rejects(failed.wait(), (error) => isError(error, "CALL_EXCEPTION") && error.receipt.status === 0);
await assert.rejects(
    wallet.sendTransaction({ ...base, nonce: 0, ...free }),
    (error) => isError(error, "NONCE_EXPIRED"),
);
await assert.rejects(
    wallet.sendTransaction({ ...base, value: 10n ** 30n, ...free }),
    (error) => isError(error, "INSUFFICIENT_FUNDS"),
);
assert.ok(heads.length > 0);
await socket.destroy();
http.destroy();
console.log(JSON.stringify({ ok: true, heads: heads.length }));
