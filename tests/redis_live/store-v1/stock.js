// Everything that Medusa 1 can keep in Redis: events, cache and sessions.
const redisUrl = process.env.REDIS_URL

module.exports = {
  projectConfig: {
    database_url: process.env.DATABASE_URL,
    redis_url: redisUrl,
    store_cors: "http://localhost:8000",
    admin_cors: "http://localhost:7001",
    jwt_secret: "supersecret",
    cookie_secret: "supersecret",
  },
  plugins: ["medusa-fulfillment-manual", "medusa-payment-manual"],
  modules: {
    eventBus: { resolve: "@medusajs/event-bus-redis", options: { redisUrl } },
    cacheService: { resolve: "@medusajs/cache-redis", options: { redisUrl } },
  },
}
