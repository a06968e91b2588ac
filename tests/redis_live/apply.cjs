// A store's configuration with fragments as the advisor prints them, in files: what a fragment names takes the place of the store's.
const { readFileSync } = require("node:fs")
const { join } = require("node:path")

// Some fragments are TypeScript; version 1 has no compiler and needs none.
const script = (text) => {
  try {
    return require("typescript").transpile(text, { target: "ES2022" })
  } catch {
    return text
  }
}

// A fragment is a whole configuration, constants of one, properties of one, or one entry of its modules.
const whole = (text) => {
  const code = text.replace(/^(\/\/.*\n)+/, "")
  if (code.includes("module.exports =")) return code
  const constants = ["projectConfig", "modules"].filter((name) => code.includes(`const ${name} = `))
  if (constants.length) return `${code}\nmodule.exports = { ${constants.join(", ")} }`
  return `module.exports = {${code.startsWith("{") ? `modules: [${code}]` : code}}`
}

const read = (file) => {
  const module = { exports: {} }
  new Function("module", "defineConfig", script(whole(readFileSync(join(__dirname, file), "utf8"))))(module, (config) => config)
  return module.exports
}

const together = (store, given) => {
  const isKept = (entry) => !given.modules?.some((other) => other.resolve === entry.resolve)
  const isList = Array.isArray(store.modules)
  return {
    ...store,
    ...given,
    projectConfig: { ...store.projectConfig, ...given.projectConfig },
    modules: isList ? [...store.modules.filter(isKept), ...(given.modules ?? [])] : { ...store.modules, ...given.modules },
  }
}

module.exports = (store, files) => files.map(read).reduce(together, store)
