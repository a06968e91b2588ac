const { defineConfig } = require("@medusajs/framework/utils")

module.exports = defineConfig(require("./stock"))
