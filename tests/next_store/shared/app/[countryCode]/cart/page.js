import { cookies } from "next/headers"

export default async function Page() {
  const cart = (await cookies()).get("_medusa_cart_id")?.value
  return <p>{cart ? `Cart ${cart}` : "Nothing here yet."}</p>
}
