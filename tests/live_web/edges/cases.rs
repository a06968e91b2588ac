//! The faults and the traps, one line of configuration or one header each.

use super::site::*;
use crate::shop::VARNISH_GZIP;

/// What stands in front of the shop. `ORIGIN` in nginx's text is the origin's address.
pub enum Front {
    Nginx { http: &'static str, server: &'static str, location: &'static str },
    Varnish(&'static str),
    Squid(&'static str),
}

pub struct Case {
    pub what: &'static str,
    pub front: Front,
    pub change: fn(&mut Site),
    /// Checks that must name it.
    pub names: &'static [&'static str],
    /// Checks that may rightly name it as well.
    pub also: &'static [&'static str],
}

const GZIP: &str = "gzip on; gzip_min_length 100; gzip_types text/css application/json image/svg+xml application/javascript;";
const NGINX: Front = Front::Nginx { http: GZIP, server: "", location: "" };
/// Keeps everything for a minute, whatever the origin says.
const IGNORE: &str = "proxy_ignore_headers Cache-Control Expires; proxy_cache_valid 200 1m;";
/// Keeps the personal pages as well, as a host of files does.
const STATIC_SITE: &str = "location ~ /(cart|account|checkout)$ { proxy_pass http://storefront; proxy_cache shop; proxy_ignore_headers Cache-Control; \
                           proxy_cache_valid 200 1m; }";
const PAGES: [&str; 4] = ["/us", PRODUCT, COLLECTION, CATEGORY];
const HASHED: [&str; 2] = [STYLE, SCRIPT];
const API: [&str; 3] = [LIST, ONE, REGIONS];
/// Squid compresses nothing itself.
const PACKED: fn(&mut Site) = |s| {
    let text = ["/us", PRODUCT, COLLECTION, CATEGORY, CART, ACCOUNT, CHECKOUT, STYLE, SCRIPT, LOGO, LIST, ONE, REGIONS];
    for path in text {
        s.page(path).bytes = s.page(path).bytes.min(700);
    }
    s.page("/us").bytes = 20;
};

/// A UUID: which picture it is, not what is in it.
const NAMED_BY_ID: &str = "/products/3f2a9c1b-12ab-4cde-8f01-0a1b2c3d4e5f.webp";

const UNCACHED: &str = "cdn-uncached-catalogue";
const PERSONAL: &str = "cdn-personal-response-cached";
const SESSION: &str = "cdn-session-cookie-everywhere";
const IMMUTABLE: &str = "cdn-static-not-immutable";
const PLAIN: &str = "cdn-compression-missing";
const REDIRECT: &str = "cdn-visitor-redirect";
const RSC: &str = "cdn-rsc-mixed";
const OPTIMIZER: &str = "cdn-image-optimizer-uncached";
const FORMAT: &str = "cdn-legacy-image-format";
const HEAVY: &str = "cdn-heavy-images";
const KEY: &str = "cdn-cache-key-too-wide";
const EDGE: &str = "cdn-edge-ttl-short";

macro_rules! case {
    ($what:literal, $front:expr, $change:expr => $names:expr) => {
        Case { what: $what, front: $front, change: $change, names: $names, also: &[] }
    };
    ($what:literal, $front:expr, $change:expr => $names:expr, also $also:expr) => {
        Case { what: $what, front: $front, change: $change, names: $names, also: $also }
    };
}

pub const FAULTS: &[Case] = &[
    case!("nginx: pages say no-store", NGINX, |s| s.header(&PAGES, "Cache-Control", "private, no-cache, no-store, max-age=0, must-revalidate") => &[UNCACHED]),
    case!("nginx: pages say nothing of their lifetime", NGINX, |s| s.header(&PAGES, "Cache-Control", "") => &[UNCACHED]),
    case!("nginx: pages set a session cookie", NGINX, |s| s.header(&PAGES, "Set-Cookie", "connect.sid=s%3ASENTINEL; Path=/; HttpOnly") => &[UNCACHED]),
    case!("nginx: pages vary by cookie", NGINX, |s| s.header(&PAGES, "Vary", "Accept-Encoding, Cookie") => &[KEY]),
    case!("nginx: pages vary by everything", NGINX, |s| s.header(&PAGES, "Vary", "*") => &[UNCACHED], also &[KEY]),
    case!("nginx: pages expired in 1970", NGINX, |s| {
        s.header(&PAGES, "Cache-Control", "");
        s.header(&PAGES, "Expires", "Thu, 01 Jan 1970 00:00:00 GMT");
    } => &[UNCACHED]),
    case!("nginx: pages have max-age 0", NGINX, |s| s.header(&PAGES, "Cache-Control", "public, max-age=0, must-revalidate") => &[UNCACHED]),
    case!("nginx: CDN-Cache-Control alone, which nginx does not know", NGINX, |s| {
        s.header(&PAGES, "Cache-Control", "private, no-store");
        s.header(&PAGES, "CDN-Cache-Control", "max-age=300");
    } => &[UNCACHED]),
    case!("nginx: lists of the store API say no-store", NGINX, |s| s.header(&API, "Cache-Control", "no-store") => &[UNCACHED]),
    case!("nginx: every page is kept, the cart too", Front::Nginx { http: GZIP, server: "", location: IGNORE }, |_| () => &[PERSONAL], also &[EDGE]),
    case!("Cloudflare that keeps nothing before nginx that keeps every page",
        Front::Nginx { http: GZIP, server: "add_header cf-ray 1; add_header cf-cache-status DYNAMIC;", location: IGNORE }, |_| () => &[PERSONAL], also &[EDGE]),
    case!("nginx: the account page calls itself public", NGINX, |s| s.header(&[ACCOUNT], "Cache-Control", "public, s-maxage=60") => &[PERSONAL]),
    case!("nginx: the checkout has an hour", NGINX, |s| s.header(&[CHECKOUT], "Cache-Control", "max-age=3600") => &[PERSONAL]),
    case!("nginx: a session cookie is kept with the logo",
        Front::Nginx { http: GZIP, server: "", location: "proxy_ignore_headers Set-Cookie;" },
        |s| s.header(&[LOGO], "Set-Cookie", "connect.sid=s%3ASENTINEL; Path=/") => &[PERSONAL]),
    case!("nginx: the backend opens a session for everybody", NGINX,
        |s| s.header(&[HEALTH, LIST, ONE, REGIONS], "Set-Cookie", "connect.sid=s%3ASENTINEL; Path=/; HttpOnly") => &[SESSION], also &[UNCACHED]),
    case!("nginx: hashed files have max-age 0", NGINX, |s| s.header(&HASHED, "Cache-Control", "public, max-age=0") => &[IMMUTABLE]),
    case!("nginx: hashed files say nothing", NGINX, |s| s.header(&HASHED, "Cache-Control", "") => &[IMMUTABLE]),
    case!("nginx: hashed files have a day", NGINX, |s| s.header(&HASHED, "Cache-Control", "public, max-age=86400") => &[IMMUTABLE]),
    case!("nginx: one of two hashed files has an hour", NGINX, |s| s.header(&[SCRIPT], "Cache-Control", "public, max-age=3600") => &[IMMUTABLE]),
    case!("nginx: nothing is compressed", Front::Nginx { http: "", server: "", location: "" }, |_| () => &[PLAIN]),
    case!("nginx: HTML alone is compressed", Front::Nginx { http: "gzip on;", server: "", location: "" }, |_| () => &[PLAIN]),
    case!("nginx: visitors are redirected to take a cookie", NGINX, |s| s.wants_visitor_cookie = true => &[REDIRECT], also &[UNCACHED]),
    case!("nginx: the key is the path, Vary is ignored",
        Front::Nginx { http: GZIP, server: "", location: "proxy_cache_key $uri; proxy_ignore_headers Vary;" }, |_| () => &[RSC, OPTIMIZER]),
    case!("nginx: the pictures' key has no query",
        Front::Nginx { http: GZIP, server: "location = /_next/image { proxy_pass http://storefront; proxy_cache shop; proxy_cache_key $uri; }", location: "" },
        |_| () => &[OPTIMIZER]),
    case!("nginx: optimised pictures are private", NGINX, |s| s.picture = "private, max-age=60" => &[OPTIMIZER]),
    case!("nginx: a photograph comes as JPEG", NGINX, |s| s.page(PHOTO).kind = "image/jpeg" => &[FORMAT]),
    case!("nginx: a photograph comes as PNG", NGINX, |s| s.page(PHOTO).kind = "image/png" => &[FORMAT]),
    case!("nginx: a photograph of 400 kB", NGINX, |s| s.page(PHOTO).bytes = 400_000 => &[HEAVY]),
    case!("nginx: an optimised picture of 1.2 MB", NGINX, |s| s.picture_bytes = 1_200_000 => &[HEAVY]),
    case!("Varnish: pages say no-store", Front::Varnish(VARNISH_GZIP), |s| s.header(&PAGES, "Cache-Control", "private, no-store") => &[UNCACHED]),
    case!("Varnish: pages set a cookie", Front::Varnish(VARNISH_GZIP), |s| s.header(&PAGES, "Set-Cookie", "locale=en; Path=/") => &[UNCACHED]),
    case!("Varnish: cookies are ignored and every page is kept", Front::Varnish(
        "sub vcl_recv { unset req.http.cookie; return (hash); }\nsub vcl_backend_response { set beresp.ttl = 60s; set beresp.do_gzip = true; return (deliver); }"),
        |_| () => &[PERSONAL]),
    case!("Varnish: the hash is the path and Vary is taken off", Front::Varnish(
        "sub vcl_hash { hash_data(regsub(req.url, \"\\?.*\", \"\")); return (lookup); }\nsub vcl_backend_response { unset beresp.http.vary; if (beresp.http.content-type ~ \"text|json|svg|javascript\") { set beresp.do_gzip = true; } }"),
        |_| () => &[RSC, OPTIMIZER]),
    case!("Varnish: nothing is compressed", Front::Varnish(""), |_| () => &[PLAIN]),
    case!("Squid: pages are private", Front::Squid(""), |s| {
        PACKED(s);
        s.header(&PAGES, "Cache-Control", "private, no-store");
    } => &[UNCACHED]),
    case!("Squid: the cart is public", Front::Squid(""), |s| {
        PACKED(s);
        s.header(&[CART], "Cache-Control", "public, max-age=600");
    } => &[PERSONAL]),
    case!("Squid: nothing is compressed", Front::Squid(""), |_| () => &[PLAIN]),
];

pub const TRAPS: &[Case] = &[
    case!("nginx: a shop as it should be", NGINX, |_| () => &[]),
    case!("Varnish: a shop as it should be", Front::Varnish(VARNISH_GZIP), |_| () => &[]),
    case!("Squid: a shop as it should be", Front::Squid(""), PACKED => &[]),
    case!("nginx: max-age 0 for browsers, minutes for caches", NGINX, |s| s.header(&PAGES, "Cache-Control", "public, max-age=0, s-maxage=300") => &[]),
    case!("nginx: a lifetime by Expires alone", NGINX, |s| {
        s.header(&PAGES, "Cache-Control", "");
        s.header(&PAGES, "Expires", "Thu, 01 Jan 2037 00:00:00 GMT");
    } => &[]),
    case!("nginx: a second of life, then stale while it is renewed",
        Front::Nginx { http: GZIP, server: "", location: "proxy_cache_use_stale updating; proxy_cache_background_update on;" },
        |s| s.header(&PAGES, "Cache-Control", "s-maxage=1, stale-while-revalidate=600") => &[]),
    case!("nginx: Vary in two lines", Front::Nginx { http: GZIP, server: "gzip_vary on; add_header Vary Accept;", location: "add_header X-Cache-Status $upstream_cache_status;" }, |_| () => &[]),
    case!("nginx: the cart's shell is kept, shoppers pass",
        Front::Nginx { http: "map $http_cookie $is_shopper { default 0; \"~_medusa_cart_id=\" 1; }\n gzip on; gzip_min_length 100; gzip_types text/css application/json image/svg+xml application/javascript;",
            server: "", location: "proxy_cache_bypass $is_shopper; proxy_no_cache $is_shopper;" },
        |s| s.header(&[CART], "Cache-Control", "public, s-maxage=60") => &[]),
    case!("nginx: a cart page built ahead holds nobody's cart", NGINX, |s| {
        s.header(&[CART], "Cache-Control", "s-maxage=31536000");
        s.header(&[CART], "x-nextjs-prerender", "1");
    } => &[]),
    case!("Cloudflare that keeps nothing before nginx that keeps the catalogue",
        Front::Nginx { http: GZIP, server: "add_header cf-ray 1; add_header cf-cache-status DYNAMIC;", location: "" }, |_| () => &[]),
    case!("nginx: a static site's cart is a file, the browser reads the cart",
        Front::Nginx { http: GZIP, server: STATIC_SITE, location: "" }, |s| {
            s.header(&[CART, ACCOUNT, CHECKOUT], "Cache-Control", "public, max-age=0, must-revalidate");
            s.header(&[CART, ACCOUNT, CHECKOUT], "ETag", "\"file-1\"");
        } => &[]),
    case!("Varnish that hides its status, and pages that are not for browsers to keep",
        Front::Varnish("sub vcl_backend_response { set beresp.ttl = 60s; set beresp.do_gzip = true; return (deliver); }\n\
                        sub vcl_deliver { unset resp.http.X-Varnish; unset resp.http.Age; }"),
        |s| s.header(&PAGES, "Cache-Control", "max-age=0") => &[]),
    case!("nginx: account and checkout are not there", NGINX, |s| {
        s.page(ACCOUNT).status = 404;
        s.page(CHECKOUT).status = 404;
    } => &[]),
    case!("nginx: the CDN's own cookie is kept with the logo",
        Front::Nginx { http: GZIP, server: "", location: "proxy_ignore_headers Set-Cookie;" },
        |s| s.header(&[LOGO], "Set-Cookie", "__cf_bm=SENTINEL; Path=/") => &[]),
    case!("nginx: a file without a hash is asked for each time", NGINX, |s| s.header(&[LOGO, PHOTO], "Cache-Control", "public, max-age=0") => &[]),
    case!("nginx: a picture is called after its product's id", NGINX, |s| {
        let hour = vec![("Cache-Control", "public, max-age=3600".to_owned())];
        s.pages.insert(NAMED_BY_ID, Page::new("image/webp", 90_000, hour));
        s.page("/us").html.push_str(&format!("<img src=\"{NAMED_BY_ID}\">"));
    } => &[]),
    case!("nginx: texts of less than a kilobyte are plain", Front::Nginx { http: "gzip off;", server: "", location: "" }, PACKED => &[]),
    case!("nginx: the origin compresses itself", Front::Nginx { http: "", server: "", location: "" }, |s| {
        for path in ["/us", PRODUCT, COLLECTION, CATEGORY, CART, ACCOUNT, CHECKOUT, STYLE, SCRIPT, LOGO, LIST, ONE, REGIONS] {
            s.header(&[path], "Content-Encoding", "br");
        }
        s.header(&["/us", PRODUCT, LIST], "Content-Encoding", "");
        s.page(PRODUCT).bytes = 400;
        s.page("/us").bytes = 10;
        s.page(LIST).bytes = 100;
    } => &[]),
    case!("nginx: a small PNG", NGINX, |s| {
        s.page(PHOTO).kind = "image/png";
        s.page(PHOTO).bytes = 9_000;
    } => &[]),
    case!("nginx: an animation stays GIF", NGINX, |s| s.page(PHOTO).kind = "image/gif" => &[]),
    case!("nginx: a photograph of 290 kB", NGINX, |s| s.page(PHOTO).bytes = 290_000 => &[]),
    case!("nginx: the key has no host but the whole query", Front::Nginx { http: GZIP, server: "", location: "proxy_cache_key $request_uri;" }, |_| () => &[]),
    case!("nginx: a category of the menu is gone", NGINX, |s| s.page(CATEGORY).status = 404 => &[]),
    case!("nginx: a collection fails", NGINX, |s| s.page(COLLECTION).status = 503 => &[]),
    case!("nginx: pages are revalidated by ETag", Front::Nginx { http: GZIP, server: "", location: "proxy_cache_revalidate on;" }, |s| s.header(&PAGES, "ETag", "\"p-1\"") => &[]),
    case!("nginx: hashed files live two years", NGINX, |s| s.header(&HASHED, "Cache-Control", "public, max-age=63072000, immutable") => &[]),
    case!("nginx: the backend's health says nothing", NGINX, |s| s.header(&[HEALTH], "Cache-Control", "no-store") => &[]),
    case!("nginx: search is personal by design", NGINX, |s| s.header(&[CART, ACCOUNT, CHECKOUT], "Vary", "Cookie") => &[]),
    case!("Varnish: pages say nothing and get its default", Front::Varnish(VARNISH_GZIP), |s| s.header(&PAGES, "Cache-Control", "") => &[]),
    case!("Varnish: a second of life and grace", Front::Varnish(VARNISH_GZIP), |s| s.header(&PAGES, "Cache-Control", "s-maxage=1") => &[]),
    case!("Varnish: shoppers with a cart pass", Front::Varnish(VARNISH_GZIP), |s| s.header(&[CART], "Cache-Control", "no-store") => &[]),
    case!("Varnish: the visitor's cookie is taken off", Front::Varnish(
        "sub vcl_recv { if (req.http.cookie !~ \"_medusa_(jwt|cart_id)=\") { unset req.http.cookie; } }\nsub vcl_backend_response { if (beresp.http.content-type ~ \"text|json|svg|javascript\") { set beresp.do_gzip = true; } }"),
        |_| () => &[]),
    case!("Squid: a cookie of the shop is dropped from the hit", Front::Squid(""), |s| {
        PACKED(s);
        s.header(&PAGES, "Set-Cookie", "locale=en; Path=/");
    } => &[]),
    case!("Squid: an hour by Expires", Front::Squid(""), |s| {
        PACKED(s);
        s.header(&PAGES, "Cache-Control", "");
        s.header(&PAGES, "Expires", "Thu, 01 Jan 2037 00:00:00 GMT");
    } => &[]),
];
