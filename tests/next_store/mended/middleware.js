import { NextResponse } from "next/server"

export function middleware(request) {
  const { pathname } = request.nextUrl
  if (!/^\/[a-z]{2}(\/|$)/.test(pathname)) {
    return NextResponse.redirect(new URL(`/us${pathname === "/" ? "" : pathname}`, request.url), 307)
  }
  return NextResponse.next()
}

export const config = { matcher: ["/((?!api|_next/static|_next/image|favicon.ico|.*\\.png).*)"] }
