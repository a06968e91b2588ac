import Product from "../../../../components/product"

export const revalidate = 300
export const dynamic = "force-static"

export default async function Page({ params }) {
  const { countryCode, handle } = await params
  return <Product country={countryCode} handle={handle} />
}
