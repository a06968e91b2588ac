// Shoppers for tests/live_redis/medusa_v2.rs: BACKEND=… KEY=… REGION=… node shop.cjs SECONDS. Prints how many requests were answered.
const { BACKEND, KEY, REGION } = process.env
let answered = 0
const refused = new Set()

const ask = async (path, body, more = {}) => {
  const headers = { "x-publishable-api-key": KEY, "content-type": "application/json", ...more }
  const answer = await fetch(BACKEND + path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) })
  if (answer.ok) answered += 1
  else refused.add(`${answer.status} ${path.split("?")[0]}: ${(await answer.clone().text()).slice(0, 120)}`)
  return answer.json()
}

const browse = async (products, turn) => {
  const product = products[turn % products.length]
  await ask(`/store/products?limit=12&offset=${(turn % 4) * 12}&region_id=${REGION}`)
  await ask(`/store/products?handle=${product.handle}&region_id=${REGION}&fields=*variants.calculated_price`)
  await ask("/store/regions")
  await ask("/store/product-categories")
}

const buy = async (products, turn) => {
  const { cart } = await ask("/store/carts", { region_id: REGION, email: `shopper${turn}@example.com` })
  const variant = products[turn % products.length].variants[0].id
  await ask(`/store/carts/${cart.id}/line-items`, { variant_id: variant, quantity: 1 })
  await ask(`/store/carts/${cart.id}`)
}

const signIn = async (turn) => {
  const login = { email: `customer${process.pid}.${turn}@example.com`, password: "supersecret" }
  const { token } = await ask("/auth/customer/emailpass/register", login)
  await ask("/store/customers", { email: login.email }, { authorization: `Bearer ${token}` })
  const signed = await ask("/auth/customer/emailpass", login)
  await ask("/auth/session", {}, { authorization: `Bearer ${signed.token}` })
}

const main = async () => {
  const end = Date.now() + Number(process.argv[2]) * 1_000
  const { products } = await ask(`/store/products?limit=50&region_id=${REGION}&fields=id,handle,*variants`)
  for (let turn = 0; Date.now() < end; turn++) {
    await Promise.all([browse(products, turn), buy(products, turn), turn % 3 === 0 && signIn(turn)])
  }
  console.log(answered)
  refused.forEach((line) => console.error(line))
}
main()
