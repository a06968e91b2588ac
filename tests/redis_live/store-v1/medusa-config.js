module.exports = require("./stock")
