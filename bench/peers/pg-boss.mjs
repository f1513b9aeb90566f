// pg-boss by fetch and complete in batches, which its documentation advises for throughput; half a second is the shortest poll that it allows its own workers.
import pg from "pg";
import PgBoss from "pg-boss";
import { answer, settings } from "./lib.mjs";

const connectionString = settings.connection;
const batchSize = 500;
const loops = 4;
const poll = 500;
let boss;
let working = [];
let stopping = false;

async function work(handle) {
  while (!stopping) {
    const jobs = await boss.fetch("bench", { batchSize });
    if (jobs.length === 0) {
      await new Promise((resolve) => setTimeout(resolve, poll));
      continue;
    }
    for (const job of jobs) handle(job.data.message);
    await boss.complete("bench", jobs.map((job) => job.id));
  }
}

const queue = {
  setUp: async () => {
    const client = new pg.Client({ connectionString });
    await client.connect();
    await client.query("drop schema if exists pgboss cascade");
    await client.end();
  },
  open: async () => {
    boss = new PgBoss({ connectionString, max: 64, supervise: false, schedule: false });
    boss.on("error", (error) => console.error(error.message));
    await boss.start();
    await boss.createQueue("bench");
  },
  enqueue: (message) => boss.send("bench", { message }),
  fill: async (messages) => {
    for (let i = 0; i < messages; i += 1000) {
      await boss.insert(Array.from({ length: Math.min(1000, messages - i) }, (_, j) => ({ name: "bench", data: { message: i + j + 1 } })));
    }
  },
  start: async (handle) => {
    stopping = false;
    working = Array.from({ length: loops }, () => work(handle));
  },
  close: async () => {
    stopping = true;
    await Promise.all(working);
    working = [];
    await boss.stop({ graceful: false, close: true, wait: true });
  },
};

await answer({ queue });
