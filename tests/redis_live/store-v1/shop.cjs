// Shoppers of a Medusa 1 store, for tests/live_redis/medusa_v1.rs: they browse, fill carts and buy; somebody changes prices meanwhile.
// `node shop.cjs SECONDS`. Prints how many requests were answered.
const { BACKEND, KEY } = process.env
let answered = 0
const refused = new Set()

const ask = async (path, body, more = {}) => {
  const headers = { "content-type": "application/json", ...more }
  const answer = await fetch(BACKEND + path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) })
  if (answer.ok) answered += 1
  else refused.add(`${answer.status} ${path.split("?")[0]}: ${(await answer.clone().text()).slice(0, 120)}`)
  return answer.json()
}

const browse = async (region, products, turn) => {
  const product = products[turn % products.length]
  await ask(`/store/products?limit=12&offset=${(turn % 3) * 12}&region_id=${region}`)
  await ask(`/store/products?handle=${product.handle}&region_id=${region}`)
  await ask("/store/product-categories")
}

const buy = async (region, products, turn) => {
  const { cart } = await ask("/store/carts", { region_id: region })
  const path = `/store/carts/${cart.id}`
  await ask(`${path}/line-items`, { variant_id: products[turn % products.length].variants[0].id, quantity: 1 })
  if (turn % 2) return
  const address = { first_name: "A", last_name: "B", address_1: "x", city: "Berlin", country_code: "de", postal_code: "10115" }
  await ask(path, { email: `shopper${process.pid}.${turn}@example.com`, shipping_address: address, billing_address: address })
  const { shipping_options: options } = await ask(`/store/shipping-options/${cart.id}`)
  await ask(`${path}/shipping-methods`, { option_id: options[0].id })
  await ask(`${path}/payment-sessions`, {})
  await ask(`${path}/payment-session`, { provider_id: "manual" })
  await ask(`${path}/complete`, {})
}

const reprice = async (products, turn) => {
  const product = products[turn % products.length]
  // A price that stays what it was clears nothing.
  const prices = [{ currency_code: "eur", amount: 1_000 + (Date.now() % 9_000) }]
  await ask(`/admin/products/${product.id}/variants/${product.variants[0].id}`, { prices }, { "x-medusa-access-token": KEY })
}

const main = async () => {
  const end = Date.now() + Number(process.argv[2]) * 1_000
  const { regions } = await ask("/store/regions")
  const region = regions[0].id
  const { products } = await ask(`/store/products?limit=40&region_id=${region}`)
  for (let turn = 0; Date.now() < end; turn++) {
    await Promise.all([browse(region, products, turn), buy(region, products, turn), turn % 5 === 0 && reprice(products, turn)])
  }
  console.log(answered)
  refused.forEach((line) => console.error(line))
}
main()
