//! Faults made on a real nginx and Varnish in front of a small store: each is named, its printed remedy is applied, and it is gone.

use std::sync::{Arc, Mutex};

use crate::shop::{Extra, Origin, Server, VARNISH_GZIP, as_public, limits, nginx, probe, serve, varnish};
use medusa_advisor::checks::measures;
use medusa_advisor::checks::{self};
use medusa_advisor::evidence::Snapshot;
use medusa_advisor::evidence::medusa::MediaHost;
use medusa_advisor::evidence::storefront::PathClass;
use medusa_advisor::finding::{Finding, Outcome, RemedyKind, Severity};

fn run(id: &str, snapshot: &Snapshot) -> Outcome {
    checks::find(id).expect("a registered check").run(snapshot)
}

fn findings(id: &str, snapshot: &Snapshot) -> Vec<Finding> {
    match run(id, snapshot) {
        Outcome::Failed(findings) => findings,
        other => panic!("{id} was to fail: {other:?}"),
    }
}

fn remedy(finding: &Finding, kind: RemedyKind) -> String {
    finding.remedies.iter().find(|r| r.kind == kind).expect("a remedy of that kind").text.clone()
}

fn gzip() -> Extra {
    let types = "gzip on; gzip_min_length 100; gzip_types text/css application/json image/svg+xml;";
    Extra { http: types.into(), ..Extra::default() }
}

fn store(origin: Origin, extra: &Extra) -> Option<(Arc<Mutex<Origin>>, Server)> {
    let origin = Arc::new(Mutex::new(origin));
    let server = nginx(serve(&origin), extra);
    if server.is_none() {
        println!("skipped: nginx is not installed");
    }
    Some((origin, server?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_well_configured_store_is_quiet() {
    let Some((_origin, server)) = store(Origin::healthy(), &gzip()) else { return };
    let snapshot = probe(server.port, &limits(), Vec::new()).await;
    assert_quiet(&snapshot);
    let shop = snapshot.shop().unwrap();
    let classes: Vec<PathClass> = shop.pages().unwrap().iter().map(|t| t.class).collect();
    assert!(classes.contains(&PathClass::Product) && classes.contains(&PathClass::Collection), "{classes:?}");
    assert_eq!(classes.iter().filter(|c| **c == PathClass::Personal).count(), 3);
    let p95 = measures::api_p95(&snapshot).unwrap();
    assert!(p95.samples >= 20 && p95.p95_ms < 1_000.0, "{p95:?}");
    let cost = &snapshot.costs[0];
    assert!(cost.calls <= 60, "{} requests", cost.calls);
    assert!(!snapshot.timelines[0].points.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_well_configured_varnish_is_quiet() {
    let origin = Arc::new(Mutex::new(Origin::healthy()));
    let Some(server) = varnish(serve(&origin), VARNISH_GZIP) else {
        println!("skipped: varnishd is not installed");
        return;
    };
    assert_quiet(&probe(server.port, &limits(), Vec::new()).await);
    origin.lock().unwrap().page_cache_control = Some("private, no-store");
    drop(server);
    let server = varnish(serve(&origin), VARNISH_GZIP).unwrap();
    let found = findings("cdn-uncached-catalogue", &probe(server.port, &limits(), Vec::new()).await);
    assert!(found[0].observed.contains("no-store"), "{}", found[0].observed);
}

fn assert_quiet(snapshot: &Snapshot) {
    for id in [
        "cdn-compression-missing",
        "cdn-personal-response-cached",
        "cdn-session-cookie-everywhere",
        "cdn-static-not-immutable",
        "cdn-uncached-catalogue",
    ] {
        assert_eq!(run(id, snapshot), Outcome::Passed, "{id}");
    }
    assert!(matches!(run("cdn-absent", snapshot), Outcome::NotApplicable(_)));
    assert!(matches!(run("cdn-low-hit-ratio", snapshot), Outcome::Unknown(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_forbid_caching_are_named_until_they_allow_it() {
    let stock = Origin { page_cache_control: Some("private, no-cache, no-store, max-age=0, must-revalidate"), ..Origin::healthy() };
    let Some((origin, server)) = store(stock, &gzip()) else { return };
    let found = findings("cdn-uncached-catalogue", &probe(server.port, &limits(), Vec::new()).await);
    assert!(found[0].observed.contains("no-store"), "{}", found[0].observed);
    assert!(remedy(&found[0], RemedyKind::Storefront).contains("revalidate = 300"));
    // What Next.js sends for `revalidate = 300`.
    origin.lock().unwrap().page_cache_control = Some("s-maxage=300, stale-while-revalidate=31535700");
    assert_eq!(run("cdn-uncached-catalogue", &probe(server.port, &limits(), Vec::new()).await), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_starters_visitor_redirect_is_followed_and_named() {
    let stock = Origin { wants_visitor_cookie: true, page_cache_control: Some("private, no-store"), ..Origin::healthy() };
    let Some((origin, server)) = store(stock, &gzip()) else { return };
    let snapshot = probe(server.port, &limits(), Vec::new()).await;
    let product = snapshot.shop().unwrap().pages().unwrap().iter().find(|t| t.class == PathClass::Product).unwrap();
    let answers: Vec<_> = product.probes.iter().map(|p| p.answer.as_ref().unwrap()).collect();
    assert!(answers.iter().all(|a| a.status == 200));
    assert_eq!(answers.iter().map(|a| a.redirects.len()).collect::<Vec<_>>(), [1, 0, 0, 0]);
    assert!(!format!("{snapshot:?}").contains("SENTINEL"), "a cookie's value entered the snapshot");
    findings("cdn-uncached-catalogue", &snapshot);
    *origin.lock().unwrap() = Origin::healthy();
    assert_eq!(run("cdn-uncached-catalogue", &probe(server.port, &limits(), Vec::new()).await), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_kept_for_others_is_critical_until_the_remedy() {
    let everything = "proxy_ignore_headers Cache-Control Set-Cookie; proxy_cache_valid 200 1m;";
    let faulty = Extra { location: everything.into(), ..gzip() };
    let Some((origin, server)) = store(Origin::healthy(), &faulty) else { return };
    let found = findings("cdn-personal-response-cached", &probe(server.port, &limits(), Vec::new()).await);
    assert_eq!((found.len(), found[0].severity), (3, Severity::Critical));
    let text = remedy(&found[0], RemedyKind::Shell);
    let (http, location) = text.split_once("# location block").expect("both blocks");
    let fixed = Extra { http: format!("{}\n{http}", gzip().http), location: format!("{everything}\n{location}"), ..Extra::default() };
    drop(server);
    let server = nginx(serve(&origin), &fixed).unwrap();
    assert_eq!(run("cdn-personal-response-cached", &probe(server.port, &limits(), Vec::new()).await), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn short_lived_hashed_files_are_named_until_the_remedy() {
    let Some((origin, server)) = store(Origin { static_cache_control: Some("public, max-age=0"), ..Origin::healthy() }, &gzip()) else { return };
    let found = findings("cdn-static-not-immutable", &probe(server.port, &limits(), Vec::new()).await);
    let fixed = Extra { server: remedy(&found[0], RemedyKind::Shell), ..gzip() };
    drop(server);
    let server = nginx(serve(&origin), &fixed).unwrap();
    assert_eq!(run("cdn-static-not-immutable", &probe(server.port, &limits(), Vec::new()).await), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_texts_are_named_until_the_remedy() {
    let Some((origin, server)) = store(Origin::healthy(), &Extra::default()) else { return };
    let found = findings("cdn-compression-missing", &probe(server.port, &limits(), Vec::new()).await);
    let pages = found.iter().find(|f| !f.subject.name.contains("store API")).expect("the storefront's side");
    let fixed = Extra { http: remedy(pages, RemedyKind::Shell), ..Extra::default() };
    drop(server);
    let server = nginx(serve(&origin), &fixed).unwrap();
    assert_eq!(run("cdn-compression-missing", &probe(server.port, &limits(), Vec::new()).await), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_for_everybody_are_named_until_the_remedy() {
    let Some((origin, server)) = store(Origin { opens_session: true, ..Origin::healthy() }, &gzip()) else { return };
    let snapshot = probe(server.port, &limits(), Vec::new()).await;
    let found = findings("cdn-session-cookie-everywhere", &snapshot);
    assert!(!format!("{snapshot:?}").contains("SENTINEL"), "a cookie's value entered the snapshot");
    let fixed = Extra { server: remedy(&found[0], RemedyKind::Shell), ..gzip() };
    drop(server);
    let server = nginx(serve(&origin), &fixed).unwrap();
    assert_eq!(run("cdn-session-cookie-everywhere", &probe(server.port, &limits(), Vec::new()).await), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_store_without_a_cdn_is_named_until_a_cache_answers() {
    let Some((origin, server)) = store(Origin::healthy(), &gzip()) else { return };
    let bare = as_public(probe(serve(&origin), &limits(), Vec::new()).await);
    assert_eq!(findings("cdn-absent", &bare)[0].subject.name, "shop.example.com");
    assert!(matches!(run("cdn-uncached-catalogue", &bare), Outcome::NotApplicable(_)));
    assert_eq!(run("cdn-absent", &as_public(probe(server.port, &limits(), Vec::new()).await)), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn media_named_by_the_database_are_asked() {
    let Some((_origin, server)) = store(Origin::healthy(), &gzip()) else { return };
    let host = format!("http://127.0.0.1:{}", server.port);
    let local = MediaHost {
        column: "image.url".into(),
        host: host.clone(),
        folder: "static".into(),
        local_form: 2,
        count: 2,
        example: format!("{host}/static/1700000000000-shirt.jpg"),
    };
    let snapshot = probe(server.port, &limits(), vec![local]).await;
    let media = snapshot.shop().unwrap().media().unwrap();
    assert_eq!((media[0].class, media[0].probes.len()), (PathClass::Media, 2));
    assert!(media[0].probes.iter().all(|p| p.answer.as_ref().is_ok_and(|a| a.status == 200)));
}
