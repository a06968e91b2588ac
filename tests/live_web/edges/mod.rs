//! Faults and traps of headers and cache rules in front of a shop: real nginx, Varnish and Squid, one server for each case. Every fault is
//! named by the check that is for it, nothing else is; no trap is.

mod cases;
mod limit;
mod site;

use std::collections::BTreeSet;

use crate::shop::{Extra, Server, as_public, nginx, probe, squid, varnish};
use cases::{Case, FAULTS, Front, TRAPS};
use futures_util::stream::{self, StreamExt};
use medusa_advisor::checks::Judged;
use medusa_advisor::connect::profile::Limits;
use medusa_advisor::evidence::Snapshot;
use medusa_advisor::evidence::edge::verdict;
use medusa_advisor::evidence::storefront::Probe;
use medusa_advisor::finding::{Outcome, RemedyKind, Severity};
use site::{Page, SCRIPT, Site, serve};

/// Cases at a time: each has a server of its own.
const AT_ONCE: usize = 6;

fn start(case: &Case, origin: u16) -> Option<Server> {
    match case.front {
        Front::Nginx { http, server, location } => {
            let own = |text: &str| text.replace("ORIGIN", &format!("127.0.0.1:{origin}"));
            nginx(origin, &Extra { http: own(http), server: own(server), location: own(location) })
        }
        Front::Varnish(rules) => varnish(origin, rules),
        Front::Squid(rules) => squid(origin, rules),
    }
}

async fn audit(case: &Case) -> Option<Snapshot> {
    let mut site = Site::healthy();
    (case.change)(&mut site);
    let server = start(case, serve(site))?;
    let limits = Limits { window_s: 2, probe_timeout_s: 5, probe_timings: 2, ..Limits::default() };
    let snapshot = as_public(probe(server.port, &limits, Vec::new()).await);
    assert!(snapshot.costs[0].calls <= u64::from(limits.probe_requests_max), "{}: {} requests", case.what, snapshot.costs[0].calls);
    Some(snapshot)
}

/// Ids of checks that found more than a note, and what they saw.
fn named(snapshot: &Snapshot) -> Vec<(&'static str, String)> {
    let judged: Vec<Judged> = medusa_advisor::checks::run_all(snapshot, |c| c.id.starts_with("cdn-"));
    let found = judged.iter().filter_map(|j| match &j.outcome {
        Outcome::Failed(findings) => Some((j.check.id, findings)),
        _ => None,
    });
    let above = found.flat_map(|(id, findings)| findings.iter().filter(|f| f.severity > Severity::Info).map(move |f| (id, f.observed.clone())));
    above.collect()
}

async fn problems(cases: &'static [Case]) -> Option<Vec<String>> {
    let all = stream::iter(cases).map(|case| async move {
        let Some(snapshot) = audit(case).await else { return Err(()) };
        let seen = named(&snapshot);
        let ids: BTreeSet<&str> = seen.iter().map(|(id, _)| *id).collect();
        let mut wrong: Vec<String> = case.names.iter().filter(|id| !ids.contains(**id)).map(|id| format!("{}: {id} was missed", case.what)).collect();
        let expected = |id: &str| case.names.contains(&id) || case.also.contains(&id);
        wrong.extend(seen.iter().filter(|(id, _)| !expected(id)).map(|(id, saw)| format!("{}: {id} was wrongly raised: {saw}", case.what)));
        if !wrong.is_empty() {
            wrong.push(told(&snapshot));
        }
        Ok(wrong)
    });
    let outcomes: Vec<Result<Vec<String>, ()>> = all.buffered(AT_ONCE).collect().await;
    let absent = outcomes.iter().filter(|o| o.is_err()).count();
    if absent > 0 {
        println!("skipped: nginx, Varnish or Squid is not installed, {absent} of {} cases", cases.len());
    }
    (absent < cases.len()).then(|| outcomes.into_iter().flatten().flatten().collect())
}

/// What was asked and answered, for the log of a failure.
fn told(snapshot: &Snapshot) -> String {
    let shop = snapshot.shop().unwrap();
    let sections = [shop.pages(), shop.assets(), shop.api()];
    let targets = sections.iter().filter_map(|s| s.as_ref().ok()).flat_map(|t| t.iter());
    let line = |url: &str, p: &Probe| {
        let answer = p.answer.as_ref().map(|a| (a.status, verdict(a).name(), a.header("cache-control"), a.header("content-type"), a.body_bytes));
        format!("    {} {}: {answer:?}", url.trim_start_matches("https://shop.example.com"), p.variant.name())
    };
    let lines = targets.flat_map(|t| t.probes.iter().map(move |p| line(&t.url, p)));
    let gaps = sections.iter().filter_map(|s| s.as_ref().err()).map(|g| format!("    {g:?}"));
    lines.chain(gaps).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_lists_are_long_enough() {
    assert!(FAULTS.len() >= 25, "{} faults", FAULTS.len());
    assert!(TRAPS.len() >= 25, "{} traps", TRAPS.len());
    let distinct: BTreeSet<&str> = FAULTS.iter().chain(TRAPS).map(|c| c.what).collect();
    assert_eq!(distinct.len(), FAULTS.len() + TRAPS.len());
    assert!(FAULTS.iter().all(|f| !f.names.is_empty()) && TRAPS.iter().all(|t| t.names.is_empty() && t.also.is_empty()));
}

/// A file of a build that lies at the root, beside every page: the printed lines name files, and carts keep their header.
#[tokio::test(flavor = "multi_thread")]
async fn hashed_files_at_the_root_are_named_until_the_printed_lines() {
    const ROOT: &str = "/app-5adebf9f62dc3001.js";
    let mut site = Site::healthy();
    site.pages.insert(ROOT, Page::new("application/javascript", 4_000, vec![("Cache-Control", "public, max-age=0".to_owned())]));
    let html = site.page("/us").html.replace(SCRIPT, ROOT);
    site.page("/us").html = html;
    let origin = serve(site);
    let limits = Limits { window_s: 2, probe_timeout_s: 5, probe_timings: 2, ..Limits::default() };
    let check = medusa_advisor::checks::find("cdn-static-not-immutable").unwrap();
    let Some(server) = nginx(origin, &Extra::default()) else {
        println!("skipped: nginx is not installed");
        return;
    };
    let Outcome::Failed(found) = check.run(&probe(server.port, &limits, Vec::new()).await) else { panic!("the file was not named") };
    drop(server);
    let printed = found[0].remedies.iter().find(|r| r.kind == RemedyKind::Shell).expect("a remedy for nginx").text.clone();
    let server = nginx(origin, &Extra { server: printed, ..Extra::default() }).unwrap();
    let seen = probe(server.port, &limits, Vec::new()).await;
    assert_eq!(check.run(&seen), Outcome::Passed);
    let pages = seen.shop().unwrap().pages().unwrap();
    let controls: BTreeSet<String> = pages.iter().flat_map(|t| &t.probes).filter_map(|p| p.answer.as_ref().ok()?.header("cache-control")).collect();
    assert!(pages.len() >= 5 && controls.iter().all(|c| !c.contains("immutable")), "{controls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_named_and_nothing_else() {
    if let Some(problems) = problems(FAULTS).await {
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_trap_is_walked_into() {
    if let Some(problems) = problems(TRAPS).await {
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}
