#!/bin/sh
# Installs one Medusa v2 version, migrates an empty database with it and writes what its migrations create.
# Usage: scripts/medusa-migrated.sh VERSION DATABASE_URL FOLDER
#   VERSION       e.g. 2.13.6
#   DATABASE_URL  an empty database
#   FOLDER        VERSION.json is written there, for scripts/medusa-baselines.py; the installation is kept in FOLDER/store and reused
# Needs node 20, npm, psql 12 or newer. Nothing but packages is fetched; no install script of a package is run.
set -eu

if [ $# -ne 3 ]; then
    sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
version=$1
export DATABASE_URL=$2 MEDUSA_DISABLE_TELEMETRY=true NODE_ENV=development
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$3/store/src" "$3/store/stub"
folder=$(cd "$3" && pwd)
cd "$folder/store"
rm -f package-lock.json node_modules/.package-lock.json

echo '{"name":"stub","version":"1.0.0"}' >stub/package.json
# Early releases depend on one another by ranges that later releases satisfy, so every one is pinned. Packages that take no part in a
# migration and bring many others are stubs.
peers=$(npm view "@medusajs/framework@$version" peerDependencies --json)
node -e '
const [version, peers] = [process.argv[1], JSON.parse(process.argv[2] || "{}")]
const direct = ["cli", "framework", "medusa"]
const pinned = `admin-shared admin-vite-plugin analytics analytics-local api-key auth auth-emailpass auth-github auth-google auth-oidc
  cache-inmemory cache-redis caching caching-redis cart core-flows currency customer dashboard deps draft-order event-bus-local
  event-bus-redis file file-local fulfillment fulfillment-manual index inventory js-sdk link-modules locking locking-postgres
  locking-redis modules-sdk notification notification-local orchestration order payment pricing product promotion query rbac region
  sales-channel search search-postgres settings stock-location store tax telemetry translation types user utils
  workflow-engine-inmemory workflow-engine-redis workflows-sdk`.split(/\s+/)
const stubs = ["admin-bundler", "file-s3", "payment-stripe", "notification-sendgrid", "analytics-posthog"]
const all = (names, value) => Object.fromEntries(names.map((n) => ["@medusajs/" + n, value(n)]))
const needed = Object.entries(peers).filter(([n]) => /^(@mikro-orm|awilix|pg|ioredis)/.test(n))
console.log(JSON.stringify({
  name: "migrated", version: "1.0.0", private: true,
  dependencies: { ...Object.fromEntries(needed), ...all(direct, () => version) },
  devDependencies: { "@swc/core": "^1.7.28", "ts-node": "^10.9.2", typescript: "^5.6.2" },
  overrides: { ...all(pinned, () => version), ...all(direct, (n) => "$@medusajs/" + n), ...all(stubs, () => "file:./stub") },
}))' "$version" "$peers" >package.json
cat >medusa-config.js <<'CONFIG'
const { defineConfig } = require("@medusajs/framework/utils")
module.exports = defineConfig({
  projectConfig: {
    databaseUrl: process.env.DATABASE_URL,
    http: { storeCors: "", adminCors: "", authCors: "", jwtSecret: "supersecret", cookieSecret: "supersecret" },
  },
  admin: { disable: true },
})
CONFIG

npm install --no-audit --no-fund --ignore-scripts --legacy-peer-deps --loglevel=error
npx medusa db:migrate
npx medusa db:sync-links --execute-safe
"$here/medusa-baseline.sh" "$DATABASE_URL" "$version" "$folder/$version.json"
