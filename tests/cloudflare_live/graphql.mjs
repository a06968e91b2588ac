// node graphql.mjs PORT SCHEMA FIELDS_MAX LOG: the analytics as Cloudflare's own schema describes them, with typed random data. A query that asks
// more than FIELDS_MAX fields is refused as Cloudflare words it; LOG gets a line for each query: its name, its fields, and what is wrong with it.
import { appendFileSync, readFileSync } from "node:fs"
import http from "node:http"
import { addMocksToSchema } from "@graphql-tools/mock"
import { makeExecutableSchema } from "@graphql-tools/schema"
import { graphql, isObjectType, getNamedType, parse, visit } from "graphql"

const [port, schemaFile, fieldsMax, log] = process.argv.slice(2)
const typed = makeExecutableSchema({ typeDefs: readFileSync(schemaFile, "utf8") })

/** "count", "dimensions_cacheStatus": as the settings list what a plan may ask. */
const names = (type, prefix) =>
  Object.values(type.getFields()).flatMap((field) => {
    const inner = getNamedType(field.type)
    return isObjectType(inner) ? names(inner, `${prefix}${field.name}_`) : [prefix + field.name]
  })
const availableFields = names(typed.getType("ZoneHttpRequestsAdaptiveGroups"), "")

const whole = () => Math.floor(Math.random() * 1000)
const mocks = Object.fromEntries(["uint64", "uint32", "uint16", "uint8", "int64", "int32", "int16", "int8", "bytes"].map((name) => [name, whole]))
Object.assign(mocks, {
  float64: () => Math.random() * 100,
  float32: () => Math.random() * 100,
  string: () => "hit",
  bool: () => true,
  Time: () => "2026-01-01T00:00:00Z",
  Date: () => "2026-01-01",
  Settings: () => ({
    enabled: true,
    maxDuration: 86400,
    notOlderThan: 691200,
    maxPageSize: 1000,
    maxNumberOfFields: Number(fieldsMax),
    availableFields,
  }),
})
const schema = addMocksToSchema({ schema: typed, mocks })

function asked(query) {
  let fields = 0
  visit(parse(query), {
    Field(node) {
      if (node.name.value === "settings") return false
      if (!node.selectionSet) fields += 1
    },
  })
  return fields
}

async function answer({ query, variables }) {
  const name = /query (\w+)/.exec(query)?.[1]
  const fields = asked(query)
  const tooMany = fields > Number(fieldsMax)
  const answered = tooMany
    ? { data: null, errors: [{ message: `number of fields can't be more than ${fieldsMax}` }] }
    : await graphql({ schema, source: query, variableValues: variables })
  const wrong = answered.errors?.map((e) => e.message).join(" | ") ?? ""
  appendFileSync(log, JSON.stringify({ name, fields, wrong }) + "\n")
  return [tooMany ? 400 : 200, { data: answered.data ?? null, errors: answered.errors ?? null }]
}

http
  .createServer(async (request, response) => {
    let body = ""
    for await (const part of request) body += part
    response.setHeader("content-type", "application/json")
    if (!/^Bearer /.test(request.headers.authorization ?? "")) {
      response.writeHead(401)
      return response.end('{"data":null,"errors":[{"message":"not authorized"}]}')
    }
    const [status, json] = await answer(JSON.parse(body))
    response.writeHead(status)
    response.end(JSON.stringify(json))
  })
  .listen(Number(port), "127.0.0.1")
