// For tests/live_redis/medusa_v2.rs: a lock as Medusa takes it for a cart that is being completed, which nobody gives back.
exports.default = async ({ container }) => {
  await container.resolve("locking").acquire("cart_01M8469SSQJ16F56J2S24NK90Y", { expire: 300 })
}
