//! Every request of an audit, counted where it arrives: by default no more than sixty, and still enough for what needs samples.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use medusa_advisor::checks::find;
use medusa_advisor::checks::measures::{TIMINGS_MIN, api_p95};
use medusa_advisor::connect::profile::{Limits, ShopProfile};
use medusa_advisor::evidence::Snapshot;
use medusa_advisor::evidence::medusa::MediaHost;
use medusa_advisor::evidence::storefront::{PathClass, Storefront, Variant};
use medusa_advisor::finding::Outcome;

use super::site::{self, LIST, Site};
use crate::shop::{Extra, listen, nginx, probe_shop};

/// Counts what arrives and asks the server at `to` for it, which may be a cache.
fn counting(to: u16) -> (u16, Arc<AtomicU64>) {
    let count = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&count);
    let port = listen(move |mut client, head| {
        seen.fetch_add(1, Ordering::SeqCst);
        let mut server = std::net::TcpStream::connect(("127.0.0.1", to)).unwrap();
        let head = head.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
        server.write_all(head.as_bytes()).unwrap();
        let _ = std::io::copy(&mut server, &mut client);
    });
    (port, count)
}

/// A store with everything: pages of each kind, a product in the API, and more pictures than are ever weighed.
fn rich(wants_visitor_cookie: bool) -> Site {
    let mut site = Site { wants_visitor_cookie, ..Site::healthy() };
    (site.page(LIST).bytes, site.page(LIST).html) = (0, format!(r#"{{"products":[{{"id":"prod_1","text":"{}"}}]}}"#, "y".repeat(2_000)));
    let pictures: String = (0..20).map(|n| format!("<img src=\"/photo.webp?n={n}\">")).collect();
    site.page("/us").html.push_str(&pictures);
    site
}

struct Seen {
    snapshot: Snapshot,
    requests: u64,
}

impl Seen {
    fn shop(&self) -> &Storefront {
        self.snapshot.shop().unwrap()
    }

    fn notes(&self) -> String {
        self.shop().notes().join("\n")
    }

    /// Probes that a limit kept from being sent.
    fn refused(&self) -> Vec<String> {
        let shop = self.shop();
        let all = [shop.pages(), shop.assets(), shop.media(), shop.api()].into_iter().flatten().flatten();
        all.flat_map(|t| {
            t.probes.iter().filter(|p| p.answer.as_ref().is_err_and(|e| e.contains("limit"))).map(|p| format!("{} {:?}", t.url, p.variant))
        })
        .collect()
    }

    fn timed(&self) -> Vec<(&str, usize)> {
        let timed = self.shop().api().unwrap().iter().filter(|t| !t.timings_ms.is_empty());
        timed.map(|t| (t.url.splitn(4, '/').nth(3).unwrap(), t.timings_ms.len())).collect()
    }
}

async fn audit(site: Site, media_hosts: usize, limits: &Limits, has_storefront: bool) -> Option<Seen> {
    let origin = site::serve(site);
    let front = nginx(origin, &Extra::default())?;
    let (port, count) = counting(front.port);
    let mut counts = vec![count];
    let media = (0..media_hosts).map(|n| {
        let (port, count) = counting(front.port);
        counts.push(count);
        let host = format!("http://127.0.0.1:{port}");
        MediaHost { column: "image.url".into(), example: format!("{host}/photo.webp?m={n}"), host, folder: "static".into(), local_form: 0, count: 9 }
    });
    let media = media.collect();
    let url = Some(format!("http://127.0.0.1:{port}"));
    let shop = ShopProfile { storefront_url: url.clone().filter(|_| has_storefront), backend_url: url, ..ShopProfile::default() };
    let snapshot = probe_shop(shop, limits, media).await;
    let requests = counts.iter().map(|c| c.load(Ordering::SeqCst)).sum();
    assert_eq!(requests, snapshot.costs[0].calls, "the audit says what it sent");
    Some(Seen { snapshot, requests })
}

fn by_default() -> Limits {
    Limits { window_s: 2, ..Limits::default() }
}

fn assert_whole(seen: &Seen) {
    assert!(seen.requests <= 60, "{} requests", seen.requests);
    assert_eq!(seen.refused(), Vec::<String>::new());
    assert_eq!(api_p95(&seen.snapshot).unwrap().samples, TIMINGS_MIN);
    assert_eq!(seen.timed(), [("store/products", 20)]);
    assert!(!seen.notes().contains("not sent"), "{}", seen.notes());
    let judged = ["app-p95-slow", "cdn-uncached-catalogue", "cdn-personal-response-cached", "cdn-visitor-redirect", "cdn-static-not-immutable"];
    for id in judged {
        let outcome = find(id).unwrap().run(&seen.snapshot);
        assert!(!matches!(outcome, Outcome::Unknown(_)), "{id}: {outcome:?}");
    }
    let product = seen.shop().pages().unwrap().iter().find(|t| t.class == PathClass::Product).unwrap();
    let variants: Vec<Variant> = product.probes.iter().map(|p| p.variant).collect();
    assert_eq!(variants[..4], [Variant::First, Variant::Second, Variant::WithCartCookie, Variant::WithQuery]);
    assert!(seen.notes().contains("/store/products/prod_1 was not timed: the limit of 60 requests a run"), "{}", seen.notes());
    assert!(seen.notes().contains("files that the pages load were not weighed: the limit is 60 requests a run."), "{}", seen.notes());
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_requests_are_enough_for_a_store_with_everything() {
    let limits = by_default();
    let (plain, starter) = tokio::join!(audit(rich(false), 3, &limits, true), audit(rich(true), 1, &limits, true));
    let (Some(plain), Some(starter)) = (plain, starter) else {
        println!("skipped: nginx is not installed");
        return;
    };
    assert_whole(&plain);
    assert_whole(&starter);
    assert!(matches!(find("cdn-visitor-redirect").unwrap().run(&starter.snapshot), Outcome::Failed(_)));
    assert_eq!(plain.shop().media().unwrap().len(), 3, "{}", plain.notes());
    assert_eq!(starter.shop().media().unwrap().len(), 1);
}

/// Without a storefront one product is timed beside the list; with more requests everything is.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_limit_leaves_out_comes_with_a_higher_one() {
    let high = Limits { probe_requests_max: 120, ..by_default() };
    let usual = by_default();
    let (alone, high) = tokio::join!(audit(rich(false), 0, &usual, false), audit(rich(true), 3, &high, true));
    let (Some(alone), Some(high)) = (alone, high) else {
        println!("skipped: nginx is not installed");
        return;
    };
    assert!(alone.requests <= 60, "{}", alone.requests);
    let both = [("store/products", 20), ("store/products/prod_1", 20)];
    assert_eq!((alone.timed(), alone.notes()), (both.to_vec(), String::new()));
    assert!(high.requests <= 120);
    assert_eq!((high.timed(), high.refused()), (both.to_vec(), Vec::new()));
    assert_eq!(high.shop().media().unwrap().len(), 3);
    assert_eq!(high.notes().matches("12 files are weighed").count(), 1, "{}", high.notes());
}

/// A limit that is too low for anything is kept all the same, and said.
#[tokio::test(flavor = "multi_thread")]
async fn a_low_limit_is_kept_and_said() {
    let low = Limits { probe_requests_max: 12, ..by_default() };
    let Some(seen) = audit(rich(true), 3, &low, true).await else {
        println!("skipped: nginx is not installed");
        return;
    };
    assert_eq!(seen.requests, 12);
    assert!(seen.notes().contains("The product list was timed 6 times at most"), "{}", seen.notes());
    assert!(seen.notes().contains("The limit of 12 requests a run was reached."), "{}", seen.notes());
    assert!(matches!(find("app-p95-slow").unwrap().run(&seen.snapshot), Outcome::Unknown(_)));
}
