// What every peer's program shares: the arguments, the load, and the lines of JSON, as Kv.Benchmarks has them.
import process from "node:process";
import { createInterface } from "node:readline";

const argument = (name) => {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
};

export const settings = {
  system: argument("--systems"),
  folder: argument("--folder"),
  connection: argument("--connection"),
  seconds: Number(argument("--seconds")),
  warmUp: Number(argument("--warmup-seconds")),
  cases: JSON.parse(argument("--cases")),
  setUp: process.argv.includes("--setup"),
  inTurns: process.argv.includes("--in-turns"),
};

const drainLimit = 100_000; // milliseconds: a queue that slows down with its length may never come to the end
const loadedRate = 500;
const warmUpMessages = 5_000;

/** Runtimes compile what was found to be hot when nothing new comes for a while. */
const rest = () => sleep(settings.warmUp >= 1 ? 1000 : 0);

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const at = (sorted, part) => Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0) * 1000 * 10) / 10;

const result = (latencies, perSecond) => {
  latencies.sort((a, b) => a - b);
  return { ops_per_s: Math.round(perSecond * 10) / 10, p50_us: at(latencies, 0.5), p99_us: at(latencies, 0.99) };
};

/** Once; or, in turns with other processes, whenever a line comes in, until there are no more. */
async function* turns() {
  if (!settings.inTurns) return yield;
  console.log("ready");
  for await (const _ of createInterface({ input: process.stdin })) {
    yield;
    console.log("ready");
  }
}

/** Runs an operation by some callers at once for some time; before that it runs unmeasured. */
async function load(operation, callers) {
  const run = async (time, latencies) => {
    const end = performance.now() + time * 1000;
    await Promise.all(Array.from({ length: callers }, async () => {
      do {
        const began = performance.now();
        await operation();
        latencies.push(performance.now() - began);
      } while (performance.now() < end);
    }));
  };
  await run(settings.warmUp, []);
  await rest();
  const latencies = [];
  let elapsed = 0;
  for await (const _ of turns()) {
    const started = performance.now();
    await run(settings.seconds, latencies);
    elapsed += performance.now() - started;
  }
  return result(latencies, latencies.length / (elapsed / 1000));
}

/** The questions to a queue and its worker: the same as QueueLoad.cs asks. */
async function queueLoad(queue, { op, params }) {
  let last = 0;
  const inFlight = new Map();
  const handle = (message) => {
    inFlight.get(message)?.();
    inFlight.delete(message);
  };
  const roundTrip = async () => {
    const message = ++last;
    const handled = new Promise((resolve) => inFlight.set(message, resolve));
    await queue.enqueue(message);
    await handled;
  };

  const handleAll = async (messages) => {
    await queue.open();
    await queue.fill(messages);
    let handled = 0;
    let first = 0;
    const elapsed = await new Promise((resolve, reject) => {
      const timer = setTimeout(() => resolve(performance.now() - first), drainLimit);
      queue.start(() => {
        if (++handled === 1) first = performance.now();
        if (handled === messages) {
          clearTimeout(timer);
          resolve(performance.now() - first);
        }
      }).catch(reject);
    });
    await queue.close();
    return { ops_per_s: Math.round(((handled - 1) / (elapsed / 1000)) * 10) / 10, p50_us: 0, p99_us: 0 };
  };

  const loaded = async () => {
    const warm = performance.now() + settings.warmUp * 1000;
    do await roundTrip();
    while (performance.now() < warm);
    await rest();
    const latencies = [];
    const sent = [];
    const started = performance.now();
    while (performance.now() - started < settings.seconds * 1000) {
      while (sent.length < ((performance.now() - started) / 1000) * loadedRate) {
        const began = performance.now();
        sent.push(roundTrip().then(() => latencies.push(performance.now() - began)));
      }
      await sleep(1);
    }
    await Promise.all(sent);
    return result(latencies, sent.length / ((performance.now() - started) / 1000));
  };

  await queue.setUp();
  if (op === "drain") {
    const began = performance.now();
    do await handleAll(Math.min(params.messages, warmUpMessages));
    while (performance.now() - began < settings.warmUp * 1000);
    await rest();
    return handleAll(params.messages);
  }

  await queue.open();
  if (op !== "enqueue") await queue.start(handle);
  const answer = op === "enqueue" ? await load(() => queue.enqueue(++last), params.callers)
    : op === "loaded" ? await loaded()
    : await load(roundTrip, params.callers);
  await queue.close();
  return answer;
}

const queueOperations = ["enqueue", "drain", "steady", "latency", "loaded"];

/** Answers the cases of the command line, a line of JSON each. */
export async function answer({ queue, keyValue, setUp }) {
  for (const question of settings.cases) {
    if (settings.setUp) {
      await setUp(question.params.rows);
      continue;
    }
    let measured = { ops_per_s: 0, p50_us: 0, p99_us: 0 };
    if (queueOperations.includes(question.op)) {
      measured = await queueLoad(queue, question);
    } else {
      const { operation, close } = await keyValue(question);
      if (question.op !== "startup") measured = await load(operation, question.params.callers);
      close();
    }
    console.log(JSON.stringify({ system: settings.system, op: question.op, params: question.params, ...measured, alloc_b: null }));
  }
  // Some peers keep timers that would hold the process.
  process.exit(0);
}
