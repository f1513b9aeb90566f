// Deno KV in its two homes: the Deno runtime, and Node with @deno/kv. Durable as it is: WAL with synchronous=FULL.
import fs from "node:fs";
import { answer, settings } from "./lib.mjs";

const openKv = globalThis.Deno ? (path) => Deno.openKv(path) : (await import("@deno/kv")).openKv;
const small = 100;
const counters = 16;
const onlyReads = ["get", "getmany10", "list100", "list1000"];

const fileOf = (rows) => `${settings.folder}/${settings.system}-${rows}.db`;
const rowsOf = (value, rows) => value === small ? rows : Math.max(Math.trunc(rows / 100), 20);
const rangeOf = (value) => value === small ? "bench" : "large";
const random = (below) => Math.floor(Math.random() * below);
const valueOf = (size) => crypto.getRandomValues(new Uint8Array(size));

async function setUp(rows) {
  const kv = await openKv(fileOf(rows));
  for (const [size, batch] of [[small, 500], [10 * 1024, 50]]) {
    const value = valueOf(size);
    for (let row = 0; row < rowsOf(size, rows); row += batch) {
      const write = kv.atomic();
      for (let i = row; i < Math.min(row + batch, rowsOf(size, rows)); i++) write.set([rangeOf(size), i], value);
      await write.commit();
    }
  }
  kv.close();
}

async function keyValue({ op, params }) {
  const kv = await openKv(fileOf(params.rows));
  const size = params.value ?? small;
  const rows = rowsOf(size, params.rows);
  const range = rangeOf(size);
  const value = valueOf(size);
  const get = () => kv.get([range, random(rows)]);
  const set = () => kv.set([range, random(rows)], value);
  const list = (wanted) => async () => {
    const limit = Math.min(wanted, Math.trunc(rows / 2));
    let listed = 0;
    for await (const _ of kv.list({ prefix: [range], start: [range, random(rows - limit)] }, { limit, batchSize: limit })) listed++;
    if (listed !== limit) throw new Error(`listed ${listed} of ${limit} rows`);
  };
  const operations = {
    get,
    set,
    getmany10: () => {
      const [row, step] = [random(rows / 10), rows / 10];
      return kv.getMany(Array.from({ length: 10 }, (_, i) => [range, row + i * step]));
    },
    list100: list(100),
    list1000: list(1000),
    "check+set": async () => {
      const entry = await get();
      await kv.atomic().check(entry).set(entry.key, value).commit();
    },
    sum: () => kv.atomic().sum(["counter", random(counters)], 1n).commit(),
    set10: () => {
      const row = random(rows - 10);
      const write = kv.atomic();
      for (let i = 0; i < 10; i++) write.set([range, row + i], value);
      return write.commit();
    },
    mixed: () => random(10) === 0 ? set() : get(),
  };
  await kv.get([range, 0]);
  // As long as nothing was committed since its file was opened, SQLite asks the kernel for the file's size at every read.
  if (onlyReads.includes(op)) await kv.set([range, 0], value);
  return { operation: operations[op], close: () => kv.close() };
}

let kv;
let listening;
const queueFile = `${settings.folder}/${settings.system}-queue.db`;
const queue = {
  setUp: () => {
    for (const end of ["", "-wal", "-shm"]) fs.rmSync(queueFile + end, { force: true });
  },
  open: async () => kv = await openKv(queueFile),
  enqueue: (message) => kv.enqueue(message),
  fill: async (messages) => {
    for (let i = 0; i < messages; i += 500) {
      const write = kv.atomic();
      for (let j = i; j < Math.min(i + 500, messages); j++) write.enqueue(j + 1);
      await write.commit();
    }
  },
  // It ends when the store is closed, in Node with an error.
  start: async (handle) => {
    listening = kv.listenQueue((message) => handle(message)).catch(() => {});
  },
  close: async () => {
    // What was handled last is still to be acknowledged.
    if (listening) await new Promise((resolve) => setTimeout(resolve, 50));
    kv.close();
    await Promise.race([listening, new Promise((resolve) => setTimeout(resolve, 1000))]);
    listening = undefined;
  },
};

// Node's store reports what was in flight when it was closed as an error that nobody can catch.
if (!globalThis.Deno) process.on("uncaughtException", (error) => {
  if (error.code !== "GenericFailure") throw error;
});

await answer({ queue, keyValue, setUp });
