//! `redis-cache-tags-leak`: the caching module's tag sets outgrow the entries they point to.

use crate::checks::key_sample::{
    about_bytes_within, bytes_of, confidence, denied, error_of, keys_of, memory_severity, memory_share, remedy, too_few_sampled, touches, unseen_max,
    update_medusa,
};
use crate::checks::measures::over_instances;
use crate::checks::{Applies, Check};
use crate::evidence::redis::{Instance, KeySample, Pattern, Role};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Members of all tag sets a live entry. A healthy store has a good dozen: an entry bears a tag for each product, variant and price in it.
const MEMBERS_AN_ENTRY_MAX: f64 = 20.0;
/// Members below which no store notices: a set of 10,000 takes about a megabyte.
const MEMBERS_MIN: u64 = 10_000;
/// Members of one set from which reading it whole (SMEMBERS, at every change of what it stands for) blocks Redis and fills the backend.
const SET_HUGE: u64 = 100_000;
/// Members together from which a bulk change ran the backend out of memory (issue 16474: 1.4 million).
const MEMBERS_HUGE: u64 = 1_000_000;
/// Unseen tag sets that may be there in a sample that met none: a thousand were measured beside 150 entries.
const UNSEEN_MAX: u64 = 100;

pub static CHECK: Check = Check {
    id: "redis-cache-tags-leak",
    layer: Layer::Redis,
    title: "Tag sets of the cache outgrow the entries they point to",
    passed: "The cache's tag sets hold no more than they need.",
    why: "Each cache entry is listed in a set for every product and price in it, and an expired entry stays listed. Every product change reads those sets whole: the larger they grow, the longer Redis is blocked, until the backend runs out of memory on an import.",
    remedy: "Update Medusa, let entries live shorter, and drop the caching module's keys once.",
    method: "Members of the sampled mc:tag sets (SCARD), scaled to all of them, divided by live mc: entries: more than 20, and at least 10,000 members. The number of sets is not judged: 2,376 beside 154 entries is healthy. Severity by their share of memory; at least Medium from a million members or a set of 100,000.",
    effort: Effort::Hours,
    references: &["https://github.com/medusajs/medusa/issues/16474", "https://docs.medusajs.com/resources/infrastructure-modules/caching"],
    needs: &[Section::RedisKeys],
    uses: &[Section::RedisServer],
    symptom_of: &[],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    for instance in &snapshot.redis()?.instances {
        match instance.keys() {
            Ok(keys) if unseen_max(keys) <= UNSEEN_MAX && !keys.patterns.iter().any(|p| is_tag_set(p) || is_entry(p)) => {}
            _ => return Ok(Applies::Yes),
        }
    }
    Ok(Applies::No("the caching module is off".into()))
}

/// `mc:tag:<hash>`: from a tag to the entries that bear it. `mc:tags:…` is the way back and as short as the entry's tags.
fn is_tag_set(pattern: &Pattern) -> bool {
    pattern.role == Role::CacheTags && pattern.pattern.starts_with("mc:tag:") && pattern.kind == "set"
}

fn is_entry(pattern: &Pattern) -> bool {
    pattern.role == Role::Cache && pattern.pattern.starts_with("mc:")
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    over_instances(snapshot, |instance| {
        let keys = instance.keys()?;
        let sets: Vec<&Pattern> = keys.patterns.iter().filter(|p| is_tag_set(p)).collect();
        if sets.is_empty() {
            let has_entries = keys.patterns.iter().any(is_entry);
            let is_unsure = has_entries || unseen_max(keys) > UNSEEN_MAX;
            return if is_unsure && !keys.is_complete { Err(too_few_sampled(instance, keys, UNSEEN_MAX, "a tag set")) } else { Ok(Vec::new()) };
        }
        if sets.iter().all(|p| p.elements_total.is_none()) {
            return Err(denied(instance, "SCARD", "~* +scard", "the size of the tag sets"));
        }
        Ok(judge(instance, keys, &sets).into_iter().collect())
    })
}

/// Members of a family's sets, scaled from those counted to all.
fn members(pattern: &Pattern) -> u64 {
    let scale = pattern.keys_estimate as f64 / pattern.keys.max(1) as f64;
    pattern.elements_total.map_or(0, |n| (n as f64 * scale).round() as u64)
}

fn judge(instance: &Instance, keys: &KeySample, sets: &[&Pattern]) -> Option<Finding> {
    let members: u64 = sets.iter().map(|p| members(p)).sum();
    let entries = keys_of(keys.patterns.iter().filter(|p| is_entry(p)));
    let ratio = members as f64 / entries.max(1) as f64;
    if ratio <= MEMBERS_AN_ENTRY_MAX || members < MEMBERS_MIN {
        return None;
    }
    let largest = sets.iter().filter_map(|p| p.elements_max).max().unwrap_or(0);
    let bytes = bytes_of(sets.iter().copied());
    let share = memory_share(bytes, instance.server().ok());
    let by_size = if largest >= SET_HUGE || members >= MEMBERS_HUGE { Severity::Medium } else { Severity::Low };
    let (confidence, because) = confidence(keys);
    let spare = bytes.map(|b| (b as f64 * (1.0 - MEMBERS_AN_ENTRY_MAX / ratio)) as u64);
    Some(Finding {
        subject: Subject::new("key_pattern", format!("mc:tag:<hash16> in {}", instance.name)),
        observed: format!(
            "{} in {} for {}: {} each{}; the largest set has {}.",
            text::plural(members, "member", "members"),
            text::plural(keys_of(sets.iter().copied()), "tag set", "tag sets"),
            text::plural(entries, "live cache entry", "live cache entries"),
            text::number(ratio),
            about_bytes_within(bytes, error_of(sets.iter().copied())),
            text::count(largest)
        ),
        step: "Drop the cache's dead tags and update the caching module".into(),
        evidence: evidence(sets, members, entries, ratio),
        severity: memory_severity(share, bytes).max(by_size),
        confidence,
        confidence_because: because,
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Memory, share },
        gain: spare.map(|b| Gain { memory_bytes: Some(b), ..Gain::new(Basis::Modelled, format!("{} of Redis memory", text::bytes_memory(b))) }),
        averts: Some("a backend out of memory at the next import".into()),
        remedies: remedies(sets),
        verify: format!("The next audit counts no more than {} members of tag sets a live entry.", text::number(MEMBERS_AN_ENTRY_MAX)),
        touches: touches(sets.iter().copied()),
    })
}

fn evidence(sets: &[&Pattern], total: u64, entries: u64, ratio: f64) -> Vec<Evidence> {
    let row = |p: &&Pattern| {
        vec![
            Cell::text(&p.pattern),
            Cell::number(p.keys_estimate as f64, text::count(p.keys_estimate)),
            Cell::number(members(p) as f64, text::count(members(p))),
            p.elements_max.map_or_else(|| Cell::text("not counted"), |n| Cell::number(n as f64, text::count(n))),
        ]
    };
    vec![
        Evidence::figure("Members of tag sets", total as f64, "members", text::count(total)),
        Evidence::figure("Live cache entries", entries as f64, "keys", text::count(entries)),
        Evidence::figure("Members an entry", ratio, "members", text::number(ratio)),
        Evidence::table("Tag sets", &["pattern", "sets", "members", "largest"], sets.iter().map(row).collect()),
    ]
}

fn remedies(sets: &[&Pattern]) -> Vec<Remedy> {
    let mut databases: Vec<u32> = sets.iter().map(|p| p.database).collect();
    databases.sort_unstable();
    databases.dedup();
    let lines: Vec<String> = databases
        .iter()
        .map(|d| {
            format!(
                "redis-cli -u \"$REDIS_URL\" -n {d} --scan --pattern 'mc:*' | xargs -r -n 200 redis-cli -u \"$REDIS_URL\" -n {d} UNLINK > /dev/null"
            )
        })
        .collect();
    vec![
        remedy(
            RemedyKind::Shell,
            "Update the caching module",
            update_medusa(Some("@medusajs/caching-redis")),
            "All @medusajs packages go to one version, as they must; run npx medusa db:migrate. Newer versions take dead members out when they clear a tag, not when an entry expires.",
        ),
        remedy(
            RemedyKind::MedusaConfig,
            "Let entries live shorter: a tag set lives as long as its last entry",
            SHORTER,
            "The cache answers fewer lookups of what is asked for rarely.",
        ),
        remedy(
            RemedyKind::Shell,
            "Drop the caching module's keys once",
            lines.join("\n"),
            "The cache starts empty: catalogue requests are slower until it is warm. Runs in small steps; choose a quiet hour. Queues, sessions and locks have other names and stay.",
        ),
    ]
}

const SHORTER: &str = r#"// medusa-config.ts (v2.11 and later)
{
  resolve: "@medusajs/medusa/caching",
  options: {
    ttl: 600,
    providers: [
      {
        resolve: "@medusajs/caching-redis",
        id: "caching-redis",
        is_default: true,
        options: { redisUrl: process.env.CACHE_REDIS_URL },
      },
    ],
  },
}"#;
