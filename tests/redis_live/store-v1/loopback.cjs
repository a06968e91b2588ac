// Medusa 1 listens on every address; for `node --require`: here it listens on loopback alone.
const { Server } = require("node:net")

const listen = Server.prototype.listen
Server.prototype.listen = function (...given) {
  const isPort = /^\d+$/.test(String(given[0]))
  const hasHost = typeof given[1] === "string"
  return listen.apply(this, isPort && !hasHost ? [given[0], "127.0.0.1", ...given.slice(1).filter((a) => a !== undefined)] : given)
}
