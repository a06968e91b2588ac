// node front.mjs REST GRAPHQL: one address before both mocks, as Cloudflare has it; prints its own port.
import http from "node:http"

const [rest, graphql] = process.argv.slice(2).map(Number)
const front = http.createServer((request, response) => {
  const port = request.url === "/graphql" ? graphql : rest
  const onward = http.request({ host: "127.0.0.1", port, path: request.url, method: request.method, headers: request.headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers)
    answer.pipe(response)
  })
  onward.on("error", (e) => {
    response.writeHead(502)
    response.end(String(e))
  })
  request.pipe(onward)
})
front.listen(0, "127.0.0.1", () => console.log(front.address().port))
