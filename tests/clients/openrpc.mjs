// Every answer of the node, held against the OpenRPC schemas of Ethereum's JSON-RPC specification.
// usage: node openrpc.mjs URL KEY [OPENRPC.json]
//
// Without a document, the one that MetaMask publishes: the specification's `eth_` methods. The whole of
// it, debug_ and txpool_ included, is what `make build` writes in https://github.com/ethereum/execution-apis.
// A method of the document that stands in none of the tables below makes this script fail.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import Ajv from "ajv";
import { ContractFactory, JsonRpcProvider, NonceManager, Wallet, toQuantity } from "ethers";
import { counter } from "./counter.mjs";

const [url, key, file] = process.argv.slice(2);
const packaged = () => createRequire(import.meta.url)("@metamask/api-specs/dist/build/openrpc.json");
const document = file ? JSON.parse(readFileSync(file, "utf8")) : packaged();

// The package is older than the specification's word for when a log's block was made.
document.components.schemas.Log.properties.blockTimestamp ??= { $ref: "#/components/schemas/uint" };

// Families that are no node's, or not this one's.
const FOREIGN = [/^wallet_/, /^personal_/, /^engine_/, /^testing_/];
// What the node has not, with the code that it answers.
const REFUSED = {
    eth_blobBaseFee: -32004, eth_getProof: -32004, eth_sendTransaction: -32004, eth_sign: -32004,
    eth_signTransaction: -32004, eth_signTypedData_v4: -32004,
    debug_getRawBlock: -32004, debug_getRawHeader: -32004, debug_getRawReceipts: -32004,
    eth_config: -32601, eth_getBlockAccessList: -32601, debug_getRawBlockAccessList: -32601,
    eth_requestAccounts: -32601, eth_decrypt: -32601, eth_getEncryptionPublicKey: -32601,
};

const provider = new JsonRpcProvider(url, undefined, { staticNetwork: true, batchMaxCount: 1, pollingInterval: 50 });
const signer = new NonceManager(new Wallet(key, provider));
const free = { maxFeePerGas: 0n, maxPriorityFeePerGas: 0n };

let next = 0;
async function call(method, params) {
    const body = JSON.stringify({ jsonrpc: "2.0", id: ++next, method, params });
    const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
    return answer.json();
}

// Something to ask for: a contract, an event, each kind of transaction, one that fails, one that waits.
const me = await signer.getAddress();
const contract = await (await new ContractFactory(counter.abi, counter.bytecode, signer).deploy(free)).waitForDeployment();
const address = (await contract.getAddress()).toLowerCase();
const done = [];
for (const kind of [
    { type: 0, gasPrice: 0n }, { type: 1, gasPrice: 0n, accessList: [{ address, storageKeys: [`0x${"0".repeat(64)}`] }] },
    { type: 2, ...free },
]) {
    done.push(await (await contract.add(1, { ...kind, gasLimit: 200000 })).wait());
}
const failing = await contract.fail.populateTransaction();
const failed = await signer.sendTransaction({ ...failing, ...free, gasLimit: 200000 });
await failed.wait().then(() => assert.fail("it should have failed"), () => {});
const deployed = contract.deploymentTransaction();
const wallet = signer.signer;
const ahead = async () => wallet.signTransaction({
    to: me, value: 0, nonce: (await wallet.getNonce("latest")) + 5, gasLimit: 21000, chainId: (await provider.getNetwork()).chainId, type: 2, ...free,
});
const waiting = (await call("eth_sendRawTransaction", [await ahead()])).result;
const [height, blockHash] = [toQuantity(done[2].blockNumber), done[2].blockHash];
const hashes = [...done.map((one) => one.hash), deployed.hash, failed.hash];
const topic = contract.interface.getEvent("Counted").topicHash;
const add = { from: me, to: address, data: contract.interface.encodeFunctionData("add", [2]) };
const nowhere = `0x${"12".repeat(32)}`;
const filter = async (method, params = []) => (await call(method, params)).result;
const logs = { fromBlock: "earliest", toBlock: "latest", address, topics: [topic] };
const [logFilter, blockFilter, txFilter, spareFilter] = [
    await filter("eth_newFilter", [logs]), await filter("eth_newBlockFilter"), await filter("eth_newPendingTransactionFilter"),
    await filter("eth_newBlockFilter"),
];
// The first block has a system transaction: it closed a quarter.
const own = (await call("eth_getBlockByNumber", ["0x1", false])).result.transactions[0];
const tags = ["latest", "safe", "finalized", "earliest", "pending", height];
const each = (list, rest = () => []) => list.map((one) => [one, ...rest()]);
const tracers = [{}, { tracer: "callTracer" }, { tracer: "prestateTracer" }, { tracer: "prestateTracer", tracerConfig: { diffMode: true } }, { tracer: "4byteTracer" }];

// What each method is asked.
const ASKED = {
    web3_clientVersion: [[]], web3_sha3: [["0x68656c6c6f"]], net_version: [[]], net_listening: [[]], net_peerCount: [[]],
    eth_chainId: [[]], eth_blockNumber: [[]], eth_syncing: [[]], eth_accounts: [[]], eth_gasPrice: [[]],
    eth_maxPriorityFeePerGas: [[]], eth_baseFee: [[]],
    eth_feeHistory: [["0x4", "latest", [10, 50]], ["0x1", height, []]],
    eth_getBalance: each(tags.slice(0, 3).concat(height)).map(([tag]) => [me, tag]),
    eth_getTransactionCount: tags.slice(0, 3).concat("pending", height).map((tag) => [me, tag]),
    eth_getCode: [[address, "latest"], [me, "latest"]],
    eth_getStorageAt: [[address, "0x0", "latest"], [address, `0x${"0".repeat(64)}`, height]],
    eth_getStorageValues: [[{ [address]: ["0x0", `0x${"0".repeat(63)}1`] }, "latest"], [{ [address]: ["0x0"], [me.toLowerCase()]: ["0x1"] }]],
    eth_call: [[add, "latest"], [add, height], [{ ...add, gas: "0x30d40" }, "pending"]],
    eth_simulateV1: [
        [{ blockStateCalls: [{ calls: [add, { from: me, to: me, value: "0x0" }] }, { calls: [add] }] }, "latest"],
        [{ blockStateCalls: [{ calls: [add, { ...add, data: contract.interface.encodeFunctionData("fail") }] }], returnFullTransactions: true }],
    ],
    eth_fillTransaction: [[add], [{ from: me, to: me, value: "0x1", gasPrice: "0x0" }]],
    eth_capabilities: [[]], eth_config: [[]], eth_coinbase: [[]],
    eth_estimateGas: [[add], [add, "latest"]], eth_createAccessList: [[add], [add, "latest"]],
    eth_getBlockByNumber: tags.flatMap((tag) => [[tag, false], [tag, true]]).concat([["0xffffffff", false], ["0x1", false], ["0x1", true]]),
    eth_getBlockByHash: [[blockHash, false], [blockHash, true], [nowhere, false]],
    eth_getHeaderByNumber: each(tags), eth_getHeaderByHash: [[blockHash]],
    eth_getBlockReceipts: each(tags.concat("0x1")), eth_getBlockTransactionCountByNumber: each(tags),
    eth_getBlockTransactionCountByHash: [[blockHash]],
    eth_getUncleCountByBlockNumber: [[height]], eth_getUncleCountByBlockHash: [[blockHash]],
    eth_getTransactionByHash: each([...hashes, own, nowhere]),
    eth_getTransactionByBlockHashAndIndex: [[blockHash, "0x0"], [blockHash, "0x63"]],
    eth_getTransactionByBlockNumberAndIndex: [[height, "0x0"], [height, "0x63"]],
    eth_getTransactionReceipt: each([...hashes, own, nowhere]),
    eth_getLogs: [[logs], [{ blockHash }], [{ fromBlock: "0x1", toBlock: "0x1" }], [{ ...logs, address: [address, me], topics: [[topic, nowhere]] }], [{ fromBlock: "latest" }]],
    eth_newFilter: [[logs]], eth_newBlockFilter: [[]], eth_newPendingTransactionFilter: [[]],
    eth_getFilterChanges: each([logFilter, blockFilter, txFilter]), eth_getFilterLogs: [[logFilter]],
    eth_uninstallFilter: [[spareFilter], [spareFilter]],
    eth_sendRawTransaction: [async () => [await wallet.signTransaction({
        to: me, nonce: await wallet.getNonce("pending"), gasLimit: 21000, chainId: (await provider.getNetwork()).chainId, type: 2, ...free,
    })]],
    txpool_status: [[]], txpool_content: [[]], txpool_contentFrom: [[me]], txpool_inspect: [[]],
    debug_getRawTransaction: each(hashes.concat(own)), debug_getBadBlocks: [[]],
    debug_traceTransaction: tracers.flatMap((tracer) => [[hashes[2], tracer], [failed.hash, tracer]]).concat([[own], [own, tracers[1]]]),
    debug_traceBlockByNumber: tracers.map((tracer) => [height, tracer]).concat([["0x1"], ["0x1", tracers[1]]]),
    debug_traceBlockByHash: tracers.map((tracer) => [blockHash, tracer]),
    debug_traceCall: tracers.map((tracer) => [add, "latest", tracer]),
};
// Only over WebSocket, where ethers and viem try them.
const ELSEWHERE = ["eth_subscribe", "eth_unsubscribe"];

// Of what waits there is no block yet; the specification has no words for it, so this is geth's form.
const shown = (await call("eth_getTransactionByHash", [waiting])).result;
assert.deepEqual([shown.blockHash, shown.blockNumber, shown.transactionIndex], [null, null, null]);

const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
ajv.addSchema(document, "openrpc");
const faults = [];
let answers = 0;
const methods = document.methods.filter(({ name }) => !FOREIGN.some((family) => family.test(name)) && !ELSEWHERE.includes(name));
for (const method of methods) {
    const { name } = method;
    if (name in REFUSED) {
        const { error } = await call(name, []);
        if (error?.code !== REFUSED[name] && error?.code !== -32602) faults.push(`${name}: not refused, but ${JSON.stringify(error)}`);
        continue;
    }
    if (!(name in ASKED)) {
        faults.push(`${name}: the node does not have it, and no table says so`);
        continue;
    }
    const place = document.methods.indexOf(method);
    const pointer = method.result.$ref ?? `#/methods/${place}/result`;
    const valid = ajv.compile({ $ref: `openrpc${pointer}/schema` });
    for (const asked of ASKED[name]) {
        const params = typeof asked === "function" ? await asked() : asked;
        const { result, error } = await call(name, params);
        const question = `${name}(${JSON.stringify(params).slice(0, 120)})`;
        if (error) faults.push(`${question}: ${JSON.stringify(error)}`);
        // No logs and no hashes look alike, which the schemas of filters do not allow for.
        else if (!valid(result) && !(Array.isArray(result) && result.length === 0)) {
            const why = valid.errors.slice(0, 4).map((one) => `${one.instancePath} ${one.message} ${JSON.stringify(one.params)}`);
            faults.push(`${question}: ${why.join("; ")}`);
        }
        answers += 1;
    }
}
provider.destroy();
console.log(`${methods.length} methods, ${answers} answers, ${faults.length} faults`);
if (faults.length > 0) {
    console.error(faults.join("\n"));
    process.exit(1);
}
