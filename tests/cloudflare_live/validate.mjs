// node validate.mjs SCHEMA QUERY…: holds each query against the schema, as graphql-js does; a line for each that fails.
import { readFileSync } from "node:fs"
import { buildSchema, parse, validate } from "graphql"

const [schema, ...queries] = process.argv.slice(2)
const built = buildSchema(readFileSync(schema, "utf8"))
let failed = 0
for (const query of queries) {
  const errors = validate(built, parse(readFileSync(query, "utf8")))
  if (errors.length > 0) {
    failed += 1
    console.log(`${query}: ${errors.map((e) => e.message).join(" | ")}`)
  }
}
process.exit(failed)
