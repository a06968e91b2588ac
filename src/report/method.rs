//! "Method and limits": how the figures were found and where they end.

use std::collections::BTreeMap;

use super::Fact;
use crate::checks::FINDINGS_MAX;
use crate::checks::proving::unread_words;
use crate::checks::workload::{unread, workload};
use crate::evidence::postgres::Postgres;
use crate::evidence::{Listed, Snapshot};
use crate::finding::{Resource, Severity};
use crate::plan::score::penalty;
use crate::plan::{Plan, resource_weight};
use crate::{charts, text};

pub(super) fn facts(snapshot: &Snapshot, plan: &Plan) -> Vec<Fact> {
    let rows = [
        ("Access", Some(access())),
        ("Window", Some(window(snapshot))),
        ("Versions", Some(versions(snapshot)).filter(|v| !v.is_empty())),
        ("Addresses", Some(addresses(snapshot)).filter(|v| !v.is_empty())),
        ("Samples", Some(samples(snapshot)).filter(|v| !v.is_empty())),
        ("Limits reached", Some(limits(snapshot, plan))),
        ("Ranking", Some(ranking())),
        ("Scores", Some(scores())),
        ("Words for certainty", Some(certainty())),
        ("Charts left out", Some(charts_left_out(snapshot)).filter(|v| !v.is_empty())),
    ];
    rows.into_iter().filter_map(|(label, text)| text.map(|text| Fact { label: label.into(), text })).collect()
}

fn access() -> String {
    "Every session was read-only and nothing was written to an audited service. No row values, no cached values and nothing personal was read: \
     statements are the normalised ones, key names are reduced to patterns."
        .into()
}

fn window(snapshot: &Snapshot) -> String {
    let meta = &snapshot.meta;
    let mut out = if meta.window_s > 0.0 {
        format!(
            "{} between two samples ({} asked for), ended {}. Figures are the difference between the samples; where a figure counts since the last reset, it says so.",
            text::seconds(meta.window_s),
            text::seconds(meta.window_asked_s),
            text::date_time(meta.taken_at)
        )
    } else {
        "No second sample was taken: figures count since the counters were last reset.".to_owned()
    };
    if meta.cancelled {
        out.push_str(" The audit was cancelled: what had been read until then is judged here.");
    }
    out
}

fn versions(snapshot: &Snapshot) -> String {
    let mut parts = vec![format!("Medusa Advisor {}", snapshot.meta.tool_version)];
    if let Ok(medusa) = snapshot.medusa() {
        parts.push(format!("Medusa {} (told by {})", medusa.version, medusa.evidence));
    }
    if let Ok(server) = snapshot.pg().and_then(|pg| pg.server()) {
        let side = if server.is_replica { "replica" } else { "primary" };
        parts.push(format!("Postgres {} on {} ({side}, role {})", server.version, server.host, server.role));
    }
    if let Ok(redis) = snapshot.redis() {
        let known = redis.instances.iter().filter_map(|i| i.server().ok().map(|s| format!("{} {} on {}", s.product_name(), s.version, i.name)));
        parts.extend(known);
    }
    if let Ok(zone) = snapshot.cloudflare().and_then(|c| c.zone()) {
        parts.push(format!("Cloudflare zone {} ({} plan)", zone.name, zone.plan));
    }
    if let Ok(listed) = snapshot.cloudfront().and_then(|c| c.distributions()) {
        let ids: Vec<&str> = listed.rows.iter().map(|d| d.id.as_str()).collect();
        parts.push(format!("CloudFront {}", ids.join(", ")));
    }
    format!("{}.", parts.join("; "))
}

/// Hosts that were asked elsewhere than DNS has them.
fn addresses(snapshot: &Snapshot) -> String {
    snapshot.shop().map_or_else(|_| String::new(), |shop| shop.addresses().join(" "))
}

fn samples(snapshot: &Snapshot) -> String {
    let mut parts = Vec::new();
    if let Ok(redis) = snapshot.redis() {
        for instance in &redis.instances {
            let Ok(keys) = instance.keys() else { continue };
            let ended = keys.ended_by.as_ref().map_or_else(String::new, |by| format!(", ended by the limit of {by}"));
            let (sampled, total) = (text::count(keys.keys_sampled), text::count(keys.keys_total));
            parts.push(if keys.is_complete {
                format!("{}: all {total} keys", instance.name)
            } else {
                let share = if keys.keys_total == 0 { 0.0 } else { keys.keys_sampled as f64 / keys.keys_total as f64 };
                format!("{}: {sampled} of {total} keys ({}){ended}", instance.name, text::percent(share))
            });
        }
    }
    if let Ok(s) = snapshot.pg().and_then(|pg| pg.statements()) {
        let hidden = if s.hidden > 0 { format!(", {} hidden from this role", text::count(s.hidden)) } else { String::new() };
        let (rows, folded) = (text::count(s.rows_read), text::count(s.rows.rows.len() as u64));
        parts.push(format!(
            "statements: {rows} rows read, {folded} after folding in-lists{hidden}, {} of our own left out",
            text::count(s.own_excluded)
        ));
    }
    if let Ok(work) = workload(snapshot)
        && let Some(words) = unread_words(&unread(&work))
    {
        parts.push(words.trim_end_matches('.').to_owned());
    }
    if let Ok(analytics) = snapshot.cloudflare().and_then(|c| c.analytics()) {
        let interval = analytics.sample_interval.filter(|i| *i > 1.0);
        let sampled = interval.map_or_else(|| "not sampled".to_owned(), |i| format!("one request in {} sampled", text::number(i)));
        parts.push(format!("Cloudflare: {} from {}, {sampled}", analytics.source, text::date_time(analytics.from)));
    }
    if let Some(first) = snapshot.cloudfront().and_then(|c| c.metrics()).ok().and_then(|m| m.first()) {
        parts.push(format!("CloudFront: CloudWatch's hourly figures from {}", text::date_time(first.from)));
    }
    if let Ok(buckets) = snapshot.cloudfront().and_then(|c| c.buckets()) {
        let sampled = buckets.rows.iter().filter_map(|b| b.objects.as_ref().ok().map(|o| (b, o)));
        parts.extend(sampled.map(|(b, o)| {
            let whole = if o.is_whole { "" } else { ", the first page of its listing" };
            format!("bucket {}: headers of {} of {}{whole}", b.name, text::count(o.heads.len() as u64), text::plural(o.listed, "object", "objects"))
        }));
    }
    if parts.is_empty() { String::new() } else { format!("{}.", parts.join("; ")) }
}

fn limits(snapshot: &Snapshot, plan: &Plan) -> String {
    let mut cut: Vec<String> = Vec::new();
    if let Ok(pg) = snapshot.pg() {
        cut.extend(postgres_limits(pg));
    }
    if let Ok(analytics) = snapshot.cloudflare().and_then(|c| c.analytics()) {
        cut.extend(limit("CDN paths", &analytics.by_path));
    }
    if let Ok(listed) = snapshot.cloudfront().and_then(|c| c.distributions()) {
        cut.extend(limit("CloudFront distributions", listed));
    }
    if let Ok(buckets) = snapshot.cloudfront().and_then(|c| c.buckets()) {
        cut.extend(limit("media buckets", buckets));
    }
    if let Ok(shop) = snapshot.shop() {
        cut.extend(shop.limits_met.iter().map(|sentence| sentence.trim_end_matches('.').to_owned()));
    }
    cut.extend(findings_limits(plan));
    if cut.is_empty() { "None of the limits on rows and requests was reached.".into() } else { format!("{}.", cut.join("; ")) }
}

/// Checks that found as much as they may list.
fn findings_limits(plan: &Plan) -> Vec<String> {
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for ranked in plan.findings.iter().chain(plan.dismissed.iter().map(|(r, _)| r)) {
        *found.entry(ranked.check.id).or_default() += 1;
    }
    let full = found.into_iter().filter(|(_, n)| *n >= FINDINGS_MAX);
    full.map(|(id, n)| format!("{id}: only the first {} findings are listed, more may exist", text::count(n as u64))).collect()
}

fn postgres_limits(pg: &Postgres) -> Vec<String> {
    [
        pg.tables().ok().and_then(|l| limit("tables", l)),
        pg.indexes().ok().and_then(|l| limit("indexes", l)),
        pg.constraints().ok().and_then(|l| limit("constraints", l)),
        pg.columns().ok().and_then(|l| limit("columns", l)),
        pg.column_stats().ok().and_then(|l| limit("column statistics", l)),
        pg.statements().ok().and_then(|s| limit("statements", &s.rows)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn limit<T>(what: &str, listed: &Listed<T>) -> Option<String> {
    let kept = text::count(listed.rows.len() as u64);
    match listed.cut {
        Some(0) => None,
        Some(n) => Some(format!("{what}: {kept} read, {} left out", text::count(n))),
        None => Some(format!("{what}: {kept} read, more exist")),
    }
}

fn ranking() -> String {
    let name = |r: Resource| match r {
        Resource::DatabaseTime => "database time",
        Resource::Latency => "P95 above the target",
        Resource::Risk => "risk of a loss",
        Resource::OriginRequests => "requests that reach the origin",
        Resource::RedisTime => "Redis work",
        Resource::Bytes => "bytes served",
        Resource::Memory => "Redis memory",
        Resource::Storage => "disk",
        Resource::Insight => "something that cannot be seen",
    };
    let all = [
        Resource::DatabaseTime,
        Resource::Latency,
        Resource::Risk,
        Resource::OriginRequests,
        Resource::RedisTime,
        Resource::Bytes,
        Resource::Memory,
        Resource::Storage,
        Resource::Insight,
    ];
    let weights: Vec<String> = all.iter().map(|r| format!("{} {}", name(*r), text::number(resource_weight(*r)))).collect();
    format!(
        "By measured share of a resource times its weight ({}), then by confidence, then by effort. Severity marks a finding and does not order it. \
         A symptom stands under its cause.",
        weights.join(", ")
    )
}

fn scores() -> String {
    let parts: Vec<String> =
        Severity::ALL_DOWN.iter().filter(|s| penalty(**s) > 0.0).map(|s| format!("{} {}", s.name(), text::percent(penalty(*s)))).collect();
    format!(
        "A layer starts at 100 and every open finding takes a share of what is left: {}. Notes and symptoms take nothing. A layer that was not read has no score.",
        parts.join(", ")
    )
}

fn certainty() -> String {
    "Proved: the planner was asked with a hypothetical index. Measured: seen in the window. Modelled: computed from measured figures. Rule of thumb: experience, not measured here.".into()
}

fn charts_left_out(snapshot: &Snapshot) -> String {
    let mut by_reason: Vec<(String, Vec<&str>)> = Vec::new();
    for (id, why) in charts::drawn(snapshot).into_iter().filter_map(|(id, chart)| chart.err().map(|why| (id, why))) {
        match by_reason.iter_mut().find(|(reason, _)| *reason == why) {
            Some((_, ids)) => ids.push(id),
            None => by_reason.push((why, vec![id])),
        }
    }
    let out: Vec<String> = by_reason.iter().map(|(why, ids)| format!("{}: {}", ids.join(", "), text::cut(why.trim_end_matches('.'), 160))).collect();
    if out.is_empty() { String::new() } else { format!("{}.", out.join("; ")) }
}
