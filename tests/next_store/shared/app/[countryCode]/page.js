import Image from "next/image"
import Link from "next/link"

export const revalidate = 300
export const dynamic = "force-static"

export default async function Home({ params }) {
  const { countryCode } = await params
  return (
    <main>
      <Image src="/shirt.png" alt="Shirt" width={800} height={1000} sizes="(max-width: 768px) 100vw, 800px" />
      <Link href={`/${countryCode}/products/shirt`}>Shirt</Link>
      <Link href={`/${countryCode}/collections/summer`}>Summer</Link>
      <Link href={`/${countryCode}/categories/shirts`}>Shirts</Link>
      <p>{"A shop of few things. ".repeat(80)}</p>
    </main>
  )
}
