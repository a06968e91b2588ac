//! The backend hands a session cookie to everybody who asks for anything.

use crate::checks::http::{answers, host, path};
use crate::checks::{Check, always};
use crate::evidence::storefront::{Answer, PathClass, Target};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "cdn-session-cookie-everywhere",
    layer: Layer::Cdn,
    title: "The backend sets a session cookie on every answer",
    passed: "Store lists, health and files come without a session cookie.",
    why: "An answer that sets a cookie belongs to one visitor, so CDNs refuse to keep it: nothing behind the backend can be cached, pictures \
          included. Each such answer also creates a session in Redis.",
    remedy: "Set saveUninitialized to false in medusa-config, upgrade Medusa 2 to 2.7 or later, or take the cookie off public answers at the proxy.",
    method: "Looks for Set-Cookie: connect.sid or medusa_session on GETs of /health, the store's lists and files of the backend. Over plain HTTP the \
             request names https in X-Forwarded-Proto, since a production Medusa keeps its Secure cookie back otherwise.",
    effort: Effort::Minutes,
    references: &[
        "https://github.com/medusajs/medusa/issues/9897",
        "https://docs.medusajs.com/learn/configurations/medusa-config",
        "https://github.com/expressjs/session#saveuninitialized",
    ],
    needs: &[Section::StoreApi],
    uses: &[Section::StorefrontMedia, Section::PgMedusa],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

const COOKIES: [&str; 2] = ["connect.sid", "medusa_session"];
/// Without a log of requests: lists and pictures of the backend that a CDN may not keep.
const SHARE_BY_RULE: f64 = 0.10;

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let shop = snapshot.shop()?;
    let api: Vec<&Target> = shop.api()?.iter().filter(|t| matches!(t.class, PathClass::Health | PathClass::ApiCatalogue)).collect();
    if !api.iter().any(|t| answers(t).next().is_some()) {
        let cause = Cause::TooFew { have: 0, need: 1, what: "answers of the backend".into() };
        return Err(Gap::new(Section::StoreApi, cause, "The backend answered none of the store's public requests."));
    }
    let backend = api.first().map_or("", |t| host(&t.url));
    let media = shop.media().ok().into_iter().flatten().filter(|t| host(&t.url) == backend);
    let asked: Vec<&Target> = api.iter().copied().chain(media).collect();
    let bad: Vec<(&Target, &str)> = asked.iter().filter_map(|t| Some((*t, session_cookie(t)?))).collect();
    // One path that needs a session is by design; the health check and a list never are.
    if bad.is_empty() {
        return Ok(Vec::new());
    }
    let major = snapshot.medusa().ok().map(|m| m.major);
    Ok(vec![finding(backend, &bad, asked.len(), major)])
}

fn session_cookie(target: &Target) -> Option<&'static str> {
    let sets = |a: &Answer| COOKIES.into_iter().find(|c| a.cookies_set().contains(c));
    answers(target).find_map(|(_, a)| sets(a))
}

fn finding(backend: &str, bad: &[(&Target, &str)], asked: usize, major: Option<u8>) -> Finding {
    let has_files = bad.iter().any(|(t, _)| t.class == PathClass::Media);
    let rows = bad.iter().map(|(t, cookie)| vec![Cell::text(path(&t.url)), Cell::text(*cookie)]);
    let mut touches = vec!["traffic:cdn".to_owned(), "keys:sess:*".to_owned()];
    touches.extend(bad.iter().map(|(t, _)| format!("path:{}", crate::checks::http::pattern(t))));
    touches.dedup();
    Finding {
        subject: Subject::new("host", backend),
        observed: format!(
            "{} of {} asked without a cookie came back with Set-Cookie: {}{}.",
            text::count(bad.len() as u64),
            text::plural(asked as u64, "public path", "public paths"),
            bad[0].1,
            if has_files { ", pictures included" } else { "" }
        ),
        step: "Stop opening a session for every request".to_owned(),
        evidence: vec![Evidence::table("Paths", &["path", "cookie"], rows.collect())],
        severity: Severity::Medium,
        confidence: Confidence::High,
        confidence_because: "read from the answers".to_owned(),
        effort: if major == Some(1) { Effort::Hours } else { Effort::Minutes },
        cost: Cost { resource: Resource::OriginRequests, share: SHARE_BY_RULE },
        gain: Some(Gain::new(Basis::RuleOfThumb, "lists and pictures of the backend become cacheable; one Redis session a request is spared")),
        averts: None,
        remedies: match major {
            Some(1) => vec![config_one(), proxy(), cloudflare()],
            Some(_) => vec![config(), cloudflare()],
            None => vec![config(), config_one(), proxy(), cloudflare()],
        },
        verify: format!("curl -sI -H 'X-Forwarded-Proto: https' https://{backend}/health shows no Set-Cookie."),
        touches,
    }
}

fn config() -> Remedy {
    Remedy {
        kind: RemedyKind::MedusaConfig,
        label: "Medusa 2: keep empty sessions out".to_owned(),
        text: "// medusa-config.ts; the default since 2.7\nmodule.exports = defineConfig({\n  projectConfig: {\n    sessionOptions: {\n      saveUninitialized: false,\n    },\n  },\n})".to_owned(),
        lock: None,
        risk: "Low: signing in still opens a session.".to_owned(),
        undo: Some("Remove the option.".to_owned()),
    }
}

fn config_one() -> Remedy {
    Remedy {
        kind: RemedyKind::MedusaConfig,
        label: "Medusa 1: keep empty sessions out".to_owned(),
        text: "// medusa-config.js; releases before 1.20 may not read it: then take the cookie off at the proxy\nmodule.exports = {\n  projectConfig: {\n    \
               session_options: {\n      saveUninitialized: false,\n    },\n  },\n}"
            .to_owned(),
        lock: None,
        risk: "Low: signing in still opens a session.".to_owned(),
        undo: Some("Remove the option.".to_owned()),
    }
}

fn proxy() -> Remedy {
    Remedy {
        kind: RemedyKind::Shell,
        label: "Or take the cookie off public answers in nginx".to_owned(),
        text: "# server block\nlocation ~ ^/(health$|uploads/|store/(products|collections|product-categories|regions)) {\n    \
               proxy_pass http://medusa;\n    proxy_hide_header Set-Cookie;\n}"
            .to_owned(),
        lock: None,
        risk: "Low: these answers need no session; name your own upstream.".to_owned(),
        undo: Some("Remove the block and reload.".to_owned()),
    }
}

fn cloudflare() -> Remedy {
    Remedy {
        kind: RemedyKind::Cloudflare,
        label: "Or take it off at the edge".to_owned(),
        text: "// Dashboard: Rules → Transform Rules → Modify Response Header → Remove Set-Cookie. This runs after the cache, so keep files with a cache rule as well.\n\
               // API: phase http_response_headers_transform, POST /zones/{zone_id}/rulesets/{ruleset_id}/rules\n\
               {\n  \"description\": \"No session cookie on public answers\",\n  \"expression\": \"(http.request.method eq \\\"GET\\\" and (starts_with(http.request.uri.path, \\\"/store/products\\\") \
               or starts_with(http.request.uri.path, \\\"/uploads/\\\") or starts_with(http.request.uri.path, \\\"/static/\\\")))\",\n  \"action\": \"rewrite\",\n  \
               \"action_parameters\": { \"headers\": { \"set-cookie\": { \"operation\": \"remove\" } } }\n}"
            .to_owned(),
        lock: None,
        risk: "Medium: the origin still opens a session a request; prefer the fix at the origin.".to_owned(),
        undo: Some("Delete the rule.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::http::fixtures::{found, shop, target};
    use crate::finding::Outcome;

    fn health(headers: &[(&str, &str)]) -> Snapshot {
        shop(vec![], vec![], vec![target(PathClass::Health, "https://api.example.com/health", headers, headers)])
    }

    #[test]
    fn a_session_on_the_health_check_is_named() {
        let findings = found(CHECK.run(&health(&[("set-cookie", "connect.sid; Path=/; HttpOnly")])));
        assert!(findings[0].observed.contains("connect.sid"));
        assert_eq!(CHECK.run(&health(&[("set-cookie", "__cf_bm; Path=/")])), Outcome::Passed);
        assert_eq!(CHECK.run(&health(&[])), Outcome::Passed);
    }

    #[test]
    fn a_silent_backend_is_unknown() {
        assert!(matches!(CHECK.run(&shop(vec![], vec![], vec![])), Outcome::Unknown(_)));
    }
}
