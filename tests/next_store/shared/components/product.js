import Image from "next/image"
import Link from "next/link"

export default function Product({ country, handle }) {
  return (
    <main>
      <h1>{handle}</h1>
      <Image src="/shirt.png" alt={handle} width={800} height={1000} sizes="(max-width: 768px) 100vw, 800px" />
      <p>{"Soft cotton, washed once, made to last. ".repeat(60)}</p>
      <Link href={`/${country}/cart`}>Cart</Link>
    </main>
  )
}
