//! Words of the trade: what a key or client name may show in clear. Everything else could be a person's.

/// Lower case.
#[rustfmt::skip]
const KNOWN: &[&str] = &[
    "abandoned", "account", "active", "address", "addresses", "admin", "all", "amount", "analytics", "api", "app", "apps", "attribute", "attributes",
    "auth", "auto", "availability", "backend", "banner", "banners", "base", "batch", "blog", "brand", "brands", "browse", "buffer", "bull", "bullmq",
    "by", "cache", "cached", "caches", "caching", "cancel", "capture", "cart", "carts", "catalog", "catalogue", "categories", "category", "change",
    "channel", "checkout", "claim", "cleaner", "cli", "client", "cms", "collection", "collections", "commander", "complete", "component", "config",
    "connection", "content", "count", "counter", "countries", "country", "create", "cron", "cross", "currencies", "currency", "cus", "customer",
    "customers", "daily", "data", "de", "default", "delayed", "delete", "delivery", "detail", "details", "dev", "discount", "discounts", "doc",
    "document", "draft", "dtrx", "email", "emails", "en", "entity", "entry", "erp", "es", "eur", "event", "events", "exchange", "export", "express",
    "facet", "facets", "failed", "false", "feature", "feed", "field", "file", "files", "filter", "filters", "flag", "flags", "footer", "fr", "fragment",
    "fragments", "frontend", "fulfillment", "gbp", "geo", "gift", "global", "graphql", "group", "groups", "guest", "handle", "hash", "header",
    "health", "home", "homepage", "hourly", "html", "http", "id", "ids", "idempotency", "image", "images", "import", "in", "index", "info", "inventory",
    "invoice", "ioredis", "it", "item", "items", "job", "jobs", "json", "key", "keys", "lang", "language", "last", "layout", "limit", "limiter",
    "limits", "line", "link", "links", "list", "listing", "lists", "local", "locale", "location", "lock", "locks", "log", "login", "lookup", "mail",
    "main", "map", "mc", "media", "medusa", "menu", "message", "messages", "meta", "metadata", "metrics", "middleware", "module", "monitor", "mutex",
    "nav", "navigation", "new", "news", "newsletter", "next", "node", "notification", "notifications", "null", "of", "off", "offer", "offers", "on",
    "option", "options", "order", "orders", "page", "pages", "password", "path", "pattern", "pay", "paycol", "payment", "payments", "payout",
    "permission", "pixel", "plp", "pdp", "point", "popular", "post", "preference", "preview", "price", "prices", "pricing", "process", "prod",
    "product", "production", "products", "profile", "promo", "promotion", "promotions", "ps", "pub", "publishable", "pubsub", "query", "queue",
    "queues", "quote", "rate", "ratelimit", "rates", "rating", "recent", "recommendation", "recommendations", "redirect", "redis", "redisinsight",
    "redlock", "refresh", "reg", "region", "regions", "related", "render", "repeat", "report", "request", "requests", "reservation", "reset",
    "resource", "response", "result", "results", "return", "review", "reviews", "role", "route", "routes", "rule", "rules", "sales", "sc", "schedule",
    "search", "section", "seo", "server", "service", "sess", "session", "sessions", "set", "setting", "settings", "shipping", "shop", "sid", "site",
    "sitemap", "size", "sku", "slug", "so", "social", "sort", "staging", "stat", "state", "static", "stats", "status", "stock", "store", "storefront",
    "stores", "stream", "string", "sub", "subscription", "suggest", "suggestions", "sync", "tag", "tags", "task", "tasks", "tax", "taxes", "temp",
    "template", "tenant", "test", "theme", "throttle", "time", "timestamp", "title", "tmp", "to", "token", "tokens", "top", "total", "totals",
    "tracking", "transaction", "transactions", "translation", "translations", "tree", "trending", "true", "txrtcache", "type", "types", "undefined",
    "update", "url", "urls", "usd", "user", "users", "value", "values", "variant", "variants", "vendor", "version", "view", "views", "wait",
    "warehouse", "warm", "web", "webhook", "webhooks", "website", "widget", "wishlist", "worker", "workers", "workflow", "workflows", "xml", "zone",
];

/// Short prefixes and version marks: `v1`, `v2`.
fn is_version(word: &str) -> bool {
    word.strip_prefix('v').is_some_and(|n| !n.is_empty() && n.len() <= 2 && n.chars().all(|c| c.is_ascii_digit()))
}

/// Words of a name: split at dashes, underscores, dots, and where a capital begins (`productCache`); lower case.
pub fn split(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut was_lower = false;
    let mut fresh = true;
    for c in name.chars() {
        if matches!(c, '-' | '_' | '.') {
            fresh = true;
            continue;
        }
        fresh |= c.is_uppercase() && was_lower;
        was_lower = c.is_lowercase();
        if fresh {
            words.push(String::new());
        }
        fresh = false;
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
    }
    words
}

/// Every word of `name` is one of the trade.
pub fn are_all_known(name: &str) -> bool {
    if matches!(name, "RedisEventBusService" | "medusa_lock" | "events-queue") {
        return true;
    }
    let words = split(name);
    !words.is_empty() && words.iter().all(|w| KNOWN.contains(&w.as_str()) || is_version(w))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_split_into_words() {
        assert_eq!(split("productCache"), ["product", "cache"]);
        assert_eq!(split("medusa-workflows_v2"), ["medusa", "workflows", "v2"]);
        assert!(are_all_known("complete-cart") && are_all_known("v2") && !are_all_known("jane-cart") && !are_all_known("--"));
    }
}
