import { NextResponse } from "next/server"

// As the starter's: a country in the path, and a visitor's id before any page.
export function middleware(request) {
  const { pathname } = request.nextUrl
  if (!/^\/[a-z]{2}(\/|$)/.test(pathname)) {
    return NextResponse.redirect(new URL(`/us${pathname === "/" ? "" : pathname}`, request.url), 307)
  }
  if (!request.cookies.get("_medusa_cache_id")) {
    const response = NextResponse.redirect(request.nextUrl.href, 307)
    response.cookies.set("_medusa_cache_id", crypto.randomUUID(), { maxAge: 60 * 60 * 24 })
    return response
  }
  return NextResponse.next()
}

export const config = { matcher: ["/((?!api|_next/static|_next/image|favicon.ico|.*\\.png).*)"] }
