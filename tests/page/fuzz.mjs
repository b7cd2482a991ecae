// Requests made from the API's own document: valid, at the limits, and wrong, from a seed. Every answer
// must be documented: its status, its media type, its body's schema. Nothing may be a fault of the server.

import assert from "node:assert/strict";
import Ajv from "ajv/dist/2020.js";

const REQUESTS = 600;
const AT_ONCE = 8;

/** mulberry32 */
function random(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  return { next, pick: (list) => list[Math.floor(next() * list.length)], chance: (part) => next() < part };
}

const NOISE = [
  "", " ", "0", "-1", "1", "1e9", "NaN", "null", "true", "0x", "0x00", "../..", "%2e%2e", "a".repeat(200), "9".repeat(99), "1.".padEnd(30, "0"),
  "😀", "\u0000", "<script>", "'; drop table", "18446744073709551615", "18446744073709551616", "4294967296", "native:0", "ethereum:18446744073709551615",
  "0x0000000000000000000000000000000000000000", "0x" + "f".repeat(40), "0x" + "f".repeat(64), "12.5", "0.000000000000000001", "1".repeat(60),
];

/** What a name usually means, so that requests get past the first check. */
const KNOWN = (world) => ({
  address: [world.account, "0x" + "11".repeat(20)],
  account: [world.account, "0x" + "11".repeat(20)],
  receiver: [world.account, "0x" + "22".repeat(20)],
  packet: [world.packet, "native:1", "ethereum:1", "native:99999", "ethereum:2"],
  hash: ["0x" + "ab".repeat(32)],
  amount: ["1", "12.5", "0.000001", "1000000", "0.5"],
});

function value(rng, world, name, schema, document) {
  if (rng.chance(0.2)) return rng.pick([...NOISE, null, -1, 0, 1.5, 2 ** 53, [], {}, true]);
  return good(rng, world, name, schema, document);
}

function good(rng, world, name, schema, document) {
  const resolved = schema.$ref ? document.components.schemas[schema.$ref.split("/").at(-1)] : schema;
  const options = resolved.oneOf ?? resolved.anyOf;
  if (options) return good(rng, world, name, rng.pick(options), document);
  if (resolved.enum) return rng.pick(resolved.enum);
  if (resolved.const !== undefined) return resolved.const;
  const known = KNOWN(world)[name];
  if (known) return rng.pick(known);
  const type = [resolved.type].flat().filter((one) => one !== "null")[0];
  if (type === "integer") return rng.pick([0, 1, 5, 50, 60, 200, 5000, 5001, 43_199, 43_200, 65_536, 2 ** 31]);
  if (type === "boolean") return rng.chance(0.5);
  return rng.pick(NOISE);
}

function body(rng, world, schema, document) {
  if (rng.chance(0.05)) return rng.pick(["", "{", "[]", "null", "1", "x".repeat(5000)]);
  const resolved = schema.$ref ? document.components.schemas[schema.$ref.split("/").at(-1)] : schema;
  const made = {};
  for (const [name, property] of Object.entries(resolved.properties ?? {})) {
    const isRequired = (resolved.required ?? []).includes(name);
    if (rng.chance(isRequired ? 0.95 : 0.5)) made[name] = value(rng, world, name, property, document);
  }
  if (rng.chance(0.05)) made[rng.pick(["extra", "__proto__x", ""])] = 1;
  return JSON.stringify(made);
}

/** Sends requests; answers how many of each status came back. */
export async function fuzz(base, seed, world) {
  const rng = random(seed);
  const document = await (await fetch(`${base}/openapi.json`)).json();
  const ajv = new Ajv({ strict: false, validateFormats: false });
  ajv.addSchema({ $id: "document", ...document });
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([method]) => ["get", "post"].includes(method))
      .map(([method, operation]) => ({ path, method, operation })),
  );
  assert.ok(operations.length >= 10, "the document has all paths");
  const checks = new Map();
  const answers = {};

  const one = async () => {
    const { path, method, operation } = rng.pick(operations);
    const query = new URLSearchParams();
    let filled = path;
    for (const parameter of operation.parameters ?? []) {
      const made = value(rng, world, parameter.name, parameter.schema ?? {}, document);
      const text = typeof made === "object" ? JSON.stringify(made) : String(made);
      // An empty part, or one of dots, would be another path.
      if (parameter.in === "path") filled = filled.replace(`{${parameter.name}}`, /^[./ ]*$/.test(text) ? "x" : encodeURIComponent(text));
      else if (parameter.required ? rng.chance(0.95) : rng.chance(0.5)) query.append(parameter.name, text);
    }
    if (rng.chance(0.05)) query.append(rng.pick(["other", "give", "amount"]), rng.pick(NOISE));
    const used = rng.chance(0.03) ? rng.pick(["PUT", "DELETE", "PATCH"]) : method.toUpperCase();
    const schema = operation.requestBody?.content?.["application/json"]?.schema;
    const options = { method: used };
    if (schema && used === "POST") {
      options.body = body(rng, world, schema, document);
      options.headers = rng.chance(0.03) ? { "content-type": "text/plain" } : { "content-type": "application/json" };
    }
    const url = `${base}${filled}${query.size > 0 ? `?${query}` : ""}`;
    const what = `${used} ${url} ${options.body ?? ""} (PAGE_SEED=${seed})`;
    // A stream's head is its answer.
    const control = new AbortController();
    const response = await fetch(url, { ...options, signal: control.signal });
    const { status } = response;
    answers[status] = (answers[status] ?? 0) + 1;
    assert.ok(status < 500, `${status}: ${what}`);
    const documented = operation.responses[status];
    assert.ok(documented, `${status} is not documented: ${what}`);
    const media = response.headers.get("content-type")?.split(";")[0];
    assert.ok(documented.content?.[media], `${status} with ${media} is not documented: ${what}`);
    if (media === "text/event-stream") return control.abort();
    const answer = await response.json();
    const at = `document#/paths/${path.replaceAll("~", "~0").replaceAll("/", "~1")}/${method}/responses/${status}/content/${media.replaceAll("/", "~1")}/schema`;
    if (!checks.has(at)) checks.set(at, ajv.compile({ $ref: encodeURI(at).replaceAll("{", "%7B").replaceAll("}", "%7D") }));
    const check = checks.get(at);
    assert.ok(check(answer), `${JSON.stringify(check.errors?.slice(0, 2))} in ${JSON.stringify(answer).slice(0, 300)}: ${what}`);
  };
  for (let done = 0; done < REQUESTS; done += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, one));
  }
  assert.ok(answers[200] > REQUESTS / 20, `too few requests were good: ${JSON.stringify(answers)}`);
  return { requests: REQUESTS, answers };
}
