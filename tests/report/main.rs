//! Reports of four stores, held against what each format promises.

mod fixture;

use std::collections::BTreeSet;

use medusa_advisor::evidence::Snapshot;
use medusa_advisor::plan::Plan;
use medusa_advisor::report::{Options, Part, Report, html, json, markdown};
use serde_json::Value;

fn report((snapshot, plan): (Snapshot, Plan)) -> Report {
    Report::build(&snapshot, &plan, &Options::whole(&snapshot.meta.store))
}

fn masked((snapshot, plan): (Snapshot, Plan)) -> Report {
    Report::build(&snapshot, &plan, &Options { mask_hosts: true, ..Options::whole(&snapshot.meta.store) })
}

#[test]
fn json_is_what_interfaces_says() {
    insta::assert_snapshot!("report_json", json::render(&report(fixture::rich())));
}

#[test]
fn json_has_every_documented_key_with_its_type() {
    for store in [fixture::rich(), fixture::crowded(), fixture::healthy(), fixture::denied()] {
        let v: Value = serde_json::from_str(&json::render(&report(store))).unwrap();
        assert_eq!(v["schema"], "medusa-advisor.report/1");
        assert_eq!(v["tool"]["name"], "medusa-advisor");
        typed(&v["tool"], &[("name", "s"), ("version", "s")]);
        typed(&v["store"], &[("name", "s"), ("medusa_major", "n?"), ("medusa_version", "s?")]);
        typed(&v, &[("taken_at", "s"), ("window_s", "n"), ("layers", "a"), ("findings", "a"), ("passed", "a")]);
        typed(&v, &[("not_applicable", "a"), ("unknown", "a"), ("dismissed", "a")]);
        each(&v["layers"], |l| {
            typed(l, &[("layer", "s"), ("status", "s"), ("score", "n?"), ("metrics", "a")]);
            one_of(&l["layer"], &["cdn", "redis", "postgres", "app"]);
            one_of(&l["status"], &["audited", "partial", "unreachable", "not_configured"]);
            each(&l["metrics"], |m| typed(m, &[("id", "s"), ("value", "n"), ("unit", "s"), ("target", "n?"), ("basis", "s")]));
        });
        each(&v["findings"], finding_is_typed);
        each(&v["passed"], |p| typed(p, &[("check", "s"), ("observed", "s")]));
        each(&v["not_applicable"], |n| typed(n, &[("check", "s"), ("reason", "s")]));
        each(&v["unknown"], |u| {
            typed(u, &[("check", "s"), ("cause", "s"), ("detail", "s"), ("remedy", "s?")]);
            let causes = ["not_configured", "unreachable", "denied", "absent", "too_old", "too_young", "timed_out", "unreadable", "check_panicked"];
            one_of(&u["cause"], &causes);
        });
        each(&v["dismissed"], |d| typed(d, &[("check", "s"), ("key", "s"), ("reason", "s"), ("by", "s"), ("until", "s")]));
    }
}

fn finding_is_typed(f: &Value) {
    typed(f, &[("rank", "n"), ("check", "s"), ("key", "s"), ("layer", "s"), ("severity", "s"), ("confidence", "s"), ("effort", "s")]);
    typed(f, &[("subject", "o"), ("title", "s"), ("observed", "s"), ("why", "s"), ("because", "a"), ("evidence", "a")]);
    typed(f, &[("gain", "o?"), ("remedies", "a"), ("verify", "s"), ("references", "a")]);
    typed(&f["subject"], &[("kind", "s"), ("name", "s")]);
    one_of(&f["severity"], &["critical", "high", "medium", "low", "info"]);
    one_of(&f["confidence"], &["high", "medium", "low"]);
    one_of(&f["effort"], &["minutes", "hours", "days"]);
    if !f["gain"].is_null() {
        one_of(&f["gain"]["basis"], &["proved", "measured", "modelled", "rule_of_thumb"]);
    }
    each(&f["remedies"], |r| typed(r, &[("kind", "s"), ("label", "s"), ("text", "s"), ("risk", "s"), ("undo", "s?")]));
    each(&f["evidence"], |e| {
        typed(e, &[("label", "s")]);
        let kinds = [e.get("value").is_some(), e.get("text").is_some(), e.get("rows").is_some(), e.get("before").is_some()];
        assert_eq!(kinds.iter().filter(|k| **k).count(), 1, "evidence of one kind: {e}");
        if e.get("rows").is_some() {
            let columns = e["columns"].as_array().unwrap().len();
            each(&e["rows"], |row| assert_eq!(row.as_array().unwrap().len(), columns));
        }
    });
}

fn typed(object: &Value, keys: &[(&str, &str)]) {
    for (key, kind) in keys {
        let value = object.get(key).unwrap_or_else(|| panic!("key {key} is missing in {object}"));
        let fits = match kind.trim_end_matches('?') {
            "s" => value.is_string(),
            "n" => value.is_number(),
            "a" => value.is_array(),
            _ => value.is_object(),
        };
        assert!(fits || (kind.ends_with('?') && value.is_null()), "{key} is {value}");
    }
}

fn each(list: &Value, test: impl Fn(&Value)) {
    list.as_array().unwrap().iter().for_each(test);
}

fn one_of(value: &Value, allowed: &[&str]) {
    assert!(allowed.contains(&value.as_str().unwrap()), "{value} is none of {allowed:?}");
}

#[test]
fn ratios_are_between_zero_and_one() {
    let v: Value = serde_json::from_str(&json::render(&report(fixture::rich()))).unwrap();
    let mut seen = 0;
    for metric in v["layers"].as_array().unwrap().iter().flat_map(|l| l["metrics"].as_array().unwrap()) {
        if metric["unit"] == "ratio" {
            seen += 1;
            assert!((0.0..=1.0).contains(&metric["value"].as_f64().unwrap()), "{metric}");
        }
    }
    assert!(seen >= 3, "{seen} ratios seen");
    assert_eq!(v["findings"][0]["gain"]["database_time_share"], 0.96);
}

#[test]
fn markdown_reads_as_written() {
    insta::assert_snapshot!("report_markdown", markdown::render(&report(fixture::rich())));
}

#[test]
fn markdown_keeps_its_tables_and_fences_whole() {
    for store in [fixture::rich(), fixture::crowded(), fixture::healthy(), fixture::denied()] {
        let text = markdown::render(&report(store));
        assert!(!outside_code(&text).contains("<script"), "a tag from a statement's text became markup");
        let mut columns = None;
        for line in outside_code(&text).lines() {
            let is_row = line.starts_with('|');
            let cells = line.replace("\\|", "").matches('|').count();
            match (is_row, columns) {
                (true, Some(n)) => assert_eq!(cells, n, "{line}"),
                (true, None) => columns = Some(cells),
                (false, _) => columns = None,
            }
        }
    }
}

/// The text without fenced blocks and without inline code.
fn outside_code(text: &str) -> String {
    let mut out = String::new();
    let mut is_open = false;
    for line in text.lines() {
        if line.starts_with("```") {
            is_open = !is_open;
            continue;
        }
        if !is_open {
            out.push_str(line);
            out.push('\n');
        }
    }
    assert!(!is_open, "a fence is never closed");
    out
}

#[test]
fn nothing_wrong_reads_as_a_result() {
    let r = report(fixture::healthy());
    assert_eq!(r.summary[0].text(), "Nothing to do: the 8\u{a0}checks that could be made passed.");
    assert!(r.steps.is_empty() && r.not_checked_line.is_none());
}

#[test]
fn nothing_read_is_never_good_news() {
    let r = report(fixture::denied());
    assert!(r.summary[0].text().starts_with("Nothing could be judged"), "{}", r.summary[0].text());
    assert!(r.layers.iter().all(|l| l.score.is_none()));
    assert!(r.path.segments.iter().all(|s| s.of_100.is_none()));
    let text = markdown::render(&r);
    assert!(text.contains("No answer from db.northwind.internal:5432 within 5"));
    assert!(!text.contains("Nothing to do"));
}

#[test]
fn what_was_not_checked_cannot_be_left_out() {
    let (snapshot, plan) = fixture::rich();
    let none = Options { title: "T".into(), parts: BTreeSet::new(), mask_hosts: false };
    let text = markdown::render(&Report::build(&snapshot, &plan, &none));
    assert!(text.contains("grant pg_read_all_stats to medusa_advisor;"));
    assert!(text.contains("pg-unused-index"));
    assert!(!text.contains("## Findings") && !text.contains("## Passed") && !text.contains("## Method"));
    let low = Options { parts: BTreeSet::from([Part::FindingsLow]), ..none };
    assert_eq!(Report::build(&snapshot, &plan, &low).in_full().len(), 0);
}

#[test]
fn many_findings_of_one_check_are_cut_and_counted() {
    let r = report(fixture::crowded());
    assert_eq!(r.cut_findings(), [("pg-missing-index".to_owned(), 14)]);
    assert!(markdown::render(&r).contains("And 14 more of `pg-missing-index`"));
}

#[test]
fn masked_hosts_are_in_no_output() {
    for store in [fixture::rich(), fixture::crowded(), fixture::denied()] {
        let r = masked(store);
        for text in [json::render(&r), markdown::render(&r), html::render(&r)] {
            let left = text.to_lowercase();
            for host in ["northwind.internal", "northwind-outfitters.com"] {
                assert!(!left.contains(host), "{host} is left: {}", around(&left, host));
            }
        }
        assert_eq!(r.store.name, "Northwind Outfitters");
    }
    let open = json::render(&report(fixture::rich()));
    assert!(open.contains("northwind.internal"), "the fixture names hosts");
    assert!(json::render(&masked(fixture::rich())).contains("https://www.postgresql.org/docs/current/sql-createindex.html"));
}

#[test]
fn html_stands_alone_and_keeps_texts_texts() {
    for store in [fixture::rich(), fixture::crowded(), fixture::healthy(), fixture::denied()] {
        let text = html::render(&report(store));
        assert!(!text.contains("<script"), "a statement's text became a script");
        for outside in ["src=", "@import", "url(", "<link", "http-equiv=\"refresh\""] {
            assert!(!text.contains(outside), "{outside} reaches outside the file");
        }
        let ids: Vec<&str> = text.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        for target in text.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(ids.contains(&target), "nothing has the anchor {target}");
        }
        assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "an anchor is there twice");
        for tag in ["table", "div", "span", "article", "dl", "figure", "svg", "details", "pre"] {
            let open = text.matches(&format!("<{tag}>")).count() + text.matches(&format!("<{tag} ")).count();
            assert_eq!(open, text.matches(&format!("</{tag}>")).count(), "<{tag}> is not closed");
        }
    }
    if let Some(folder) = std::env::var_os("REPORT_PAGES") {
        std::fs::write(std::path::Path::new(&folder).join("rich.html"), html::render(&report(fixture::rich()))).unwrap();
    }
}

fn around(text: &str, word: &str) -> String {
    let at = text.find(word).unwrap_or(0);
    text.chars().skip(text[..at].chars().count().saturating_sub(60)).take(160).collect()
}

mod pages;
