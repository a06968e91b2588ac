// Everything that Medusa can keep in Redis, in one: events, workflows, cache, locks and sessions.
const redisUrl = process.env.REDIS_URL
const provider = (resolve, id) => ({ providers: [{ resolve, id, is_default: true, options: { redisUrl } }] })

module.exports = {
  projectConfig: {
    databaseUrl: process.env.DATABASE_URL,
    redisUrl,
    workerMode: process.env.MEDUSA_WORKER_MODE ?? "shared",
    http: { storeCors: "", adminCors: "", authCors: "", jwtSecret: "supersecret", cookieSecret: "supersecret" },
  },
  admin: { disable: true },
  featureFlags: { caching: true },
  modules: [
    { resolve: "@medusajs/medusa/event-bus-redis", options: { redisUrl } },
    { resolve: "@medusajs/medusa/workflow-engine-redis", options: { redis: { redisUrl } } },
    { resolve: "@medusajs/medusa/caching", options: provider("@medusajs/caching-redis", "caching-redis") },
    { resolve: "@medusajs/medusa/locking", options: provider("@medusajs/medusa/locking-redis", "locking-redis") },
  ],
}
