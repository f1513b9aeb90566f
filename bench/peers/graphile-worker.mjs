// graphile-worker with what its own performance test and documentation advise: a local queue, completed jobs in batches.
import pg from "pg";
import { Logger, makeWorkerUtils, run, runMigrations } from "graphile-worker";
import { answer, settings } from "./lib.mjs";

const connectionString = settings.connection;
const logger = new Logger(() => () => {});
let pool;
let utils;
let runner;

const queue = {
  setUp: async () => {
    const client = new pg.Client({ connectionString });
    await client.connect();
    await client.query("drop schema if exists graphile_worker cascade");
    await client.end();
    await runMigrations({ connectionString, logger });
  },
  open: async () => {
    pool = new pg.Pool({ connectionString, max: 64 });
    pool.on("error", (error) => console.error(error.message));
    pool.on("connect", (client) => client.on("error", (error) => console.error(error.message)));
    utils = await makeWorkerUtils({ pgPool: pool, logger });
  },
  enqueue: (message) => utils.addJob("bench", message),
  fill: (messages) => pool.query("select graphile_worker.add_job('bench', to_json(i)) from generate_series(1, $1) as i", [messages]),
  start: async (handle) => {
    runner = await run({
      taskList: { bench: async (message) => handle(message) },
      parsedCronItems: [],
      noHandleSignals: true,
      logger,
      preset: {
        worker: {
          connectionString,
          concurrentJobs: 24,
          maxPoolSize: 25,
          pollInterval: 2000,
          localQueue: { size: 1000 },
          completeJobBatchDelay: 0,
          failJobBatchDelay: 0,
        },
      },
    });
  },
  close: async () => {
    await runner?.stop();
    runner = undefined;
    await utils.release();
    await pool.end();
  },
};

await answer({ queue });
