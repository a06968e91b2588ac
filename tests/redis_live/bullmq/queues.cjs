// Real BullMQ for tests/live_redis/medusa_v2.rs: REDIS_URL=… node queues.cjs add|work PREFIX QUEUE …
//   add PREFIX QUEUE COUNT [failing]   adds jobs; those that fail are marked in their data
//   work PREFIX QUEUE [COUNT DAYS]     works until it is ended; with COUNT until so many are done, on a clock that is DAYS behind
const [task, prefix, name, count, last] = process.argv.slice(2)
if (task === "work" && last) {
  const now = Date.now
  Date.now = () => now() - Number(last) * 86_400_000
}
const { Queue, Worker } = require("bullmq")
const Redis = require("ioredis")

const connection = () => new Redis(process.env.REDIS_URL, { maxRetriesPerRequest: null })

const add = async () => {
  const queue = new Queue(name, { prefix, connection: connection() })
  const job = (_, i) => ({ name: "order.placed", data: { id: `order_${i}`, fails: last === "failing" }, opts: { priority: 100 } })
  await queue.addBulk(Array.from({ length: Number(count) }, job))
  process.exit(0)
}

const work = async () => {
  let left = Number(count ?? Infinity)
  const handle = async (job) => {
    if (job.data.fails) throw new Error("connect ECONNREFUSED")
    // What works beside others takes its time; what prepares the test does not.
    if (!count) await new Promise((done) => setTimeout(done, 1_000))
  }
  // The mark of the worker outlives it by this long: 30 s unless it is told otherwise.
  const worker = new Worker(name, handle, { prefix, connection: connection(), concurrency: count ? 50 : 1, stalledInterval: 5_000 })
  const done = () => --left === 0 && worker.close().then(() => process.exit(0))
  worker.on("completed", done).on("failed", done)
  await worker.waitUntilReady()
  console.log("ready")
}

;({ add, work })[task]()
