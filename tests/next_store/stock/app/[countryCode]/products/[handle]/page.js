import { cookies } from "next/headers"
import Product from "../../../../components/product"

// As the starter's getCacheTag: the tag of a catalogue fetch holds the visitor's id, so the page is rendered for each request.
async function cacheTag() {
  try {
    return (await cookies()).get("_medusa_cache_id")?.value ?? ""
  } catch {
    return ""
  }
}

export function generateStaticParams() {
  return [{ countryCode: "us", handle: "shirt" }]
}

export default async function Page({ params }) {
  const { countryCode, handle } = await params
  await cacheTag()
  return <Product country={countryCode} handle={handle} />
}
