// A program that shares a file with EfKv: node|deno shared.mjs PATH COMMAND [ARGUMENTS]. What it says is one JSON document.
import assert from "node:assert";
import { values, newer } from "./values.mjs";

const isDeno = typeof Deno !== "undefined";
const [path, command, ...rest] = isDeno ? Deno.args : process.argv.slice(2);
const { openKv, KvU64 } = isDeno
  ? { openKv: Deno.openKv, KvU64: Deno.KvU64 }
  : await import("@deno/kv").then(async (m) => {
    const { serialize, deserialize } = await import("node:v8");
    return { openKv: (p) => m.openKv(p, { encodeV8: serialize, decodeV8: deserialize }), KvU64: (await import("@deno/kv")).KvU64 ?? BigIntCounter };
  });
class BigIntCounter { constructor(value) { this.value = value; } }
const kv = await openKv(path);
const all = { ...values(), ...(isDeno ? newer() : {}) };
const show = (value) => JSON.stringify(value, (_, v) => typeof v === "bigint" ? `${v}n` : v);

const commands = {
  async make() { return "made"; },

  async write(prefix) {
    for (const [name, value] of Object.entries(all)) await kv.set([prefix, name], value);
    return Object.keys(all);
  },

  async compare(prefix) {
    const wrong = [];
    for (const [name, value] of Object.entries(all)) {
      try {
        const entry = await kv.get([prefix, name]);
        assert.notStrictEqual(entry.versionstamp, null, "absent");
        if (name === "invalid") assert.ok(entry.value instanceof Date && isNaN(entry.value));
        else assert.deepStrictEqual(entry.value, value);
      } catch (error) {
        wrong.push(`${name}: ${error.message.split("\n").slice(0, 12).join(" ")}`);
      }
    }
    return wrong;
  },

  async keys() {
    await kv.set([new Uint8Array([0, 255]), "a\u0000é", -(2n ** 70n), 0n, 7n, -1.5, 42, false, true], "key");
    const found = [];
    for await (const entry of kv.list({ prefix: [] })) found.push(entry.key.map((part) => part instanceof Uint8Array ? [...part] : part));
    return found.map((key) => show(key));
  },

  async user() {
    const { value } = await kv.get(["user"]);
    assert.deepStrictEqual(value, {
      Name: "Ada", Born: new Date(1700000000123), Fortune: 10n ** 30n, Photo: new Uint8Array([1, 2, 3]), Tags: ["a", "b"], Scores: { x: 1.5 }, Gone: null,
    });
    await kv.set(["user", "deno"], { ...value, Name: "Grace", Scores: new Map([["y", 2]]), Tags: new Set(["c"]) });
    return "equal";
  },

  async count(times) {
    for (let i = 0; i < Number(times); i++) await kv.atomic().sum(["count"], 1n).commit();
    return "counted";
  },

  async list() {
    const found = {};
    for await (const entry of kv.list({ prefix: [] })) found[show(entry.key)] = entry.value instanceof Uint8Array ? [...entry.value] : entry.value;
    return JSON.parse(show(found));
  },

  async enqueue(count) {
    for (let i = 0; i < Number(count); i++) {
      await kv.enqueue({ number: i, when: new Date(i), fails: i % 5 === 0 }, { backoffSchedule: [], keysIfUndelivered: [["dead", i]] });
    }
    return "enqueued";
  },

  // The first attempt of each message fails, and what has failed so often waits for its next one.
  async fail(count) {
    let failed = 0;
    let done;
    const all = new Promise((resolve) => done = resolve);
    kv.listenQueue(() => {
      if (++failed === Number(count)) done();
      throw new Error("as asked");
    }).catch(() => {});
    await all;
    await new Promise((resolve) => setTimeout(resolve, 500));
    return failed;
  },

  // Takes messages and ends before any of their handlers does.
  async hold(count) {
    let taken = 0;
    await new Promise((resolve) => kv.listenQueue(() => {
      if (++taken === Number(count)) resolve();
      return new Promise(() => {});
    }));
    return taken;
  },

  async listen(count) {
    const seen = [];
    let done;
    const all = new Promise((resolve) => done = resolve);
    kv.listenQueue((message) => {
      seen.push(message instanceof Uint8Array ? [...message] : message);
      if (seen.length === Number(count)) done();
    });
    await all;

    // The last one's end is written after its handler returned.
    await new Promise((resolve) => setTimeout(resolve, 500));
    return JSON.parse(show(seen));
  },
};

const answer = await commands[command](...rest);
console.log(JSON.stringify(answer));
if (isDeno) {
  kv.close();
  Deno.exit(0);
}
process.exit(0);
