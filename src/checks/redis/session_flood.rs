//! `redis-session-flood`: a session for every request instead of for every shopper.

use crate::checks::key_sample::{
    UPDATE_RISK, about_bytes_within, by_major, bytes_of, confidence, error_of, keys_of, memory_severity, memory_share, remedy, touches, unseen_max,
    update_medusa,
};
use crate::checks::measures::over_instances;
use crate::checks::medusa::{Minor, told};
use crate::checks::workload::statistics_age;
use crate::checks::{Applies, Check};
use crate::evidence::redis::{Instance, KeySample, Pattern, Role};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Subject};
use crate::text;

/// Sessions that take no more than a few megabytes, whoever opened them.
const SESSIONS_MIN: u64 = 10_000;
/// Sessions a cart of the same time. One visitor in ten to fifty makes a cart; a session a request gives hundreds.
const SESSIONS_A_CART_MAX: f64 = 50.0;
/// Seconds a session lives unless it is told otherwise: Medusa's default of ten hours.
const LIFETIME_S: f64 = 36_000.0;
/// From this minor on, requests without a session no longer open one (`saveUninitialized` is false).
const FIXED_IN: Minor = Minor(2, 7);

pub static CHECK: Check = Check {
    id: "redis-session-flood",
    layer: Layer::Redis,
    title: "Every request opens a session of its own",
    passed: "Sessions are in proportion to the shoppers.",
    why: "Health checks, crawlers and a storefront that renders on the server send no cookie, so each of their requests opens a session that lives for ten hours and is never used again. They crowd Redis's memory and make every answer uncacheable by a Set-Cookie.",
    remedy: "Set saveUninitialized to false: only who signs in gets a session. Medusa does so by itself from 2.7 on.",
    method: "Sessions in the sample, scaled to all, from 10,000 on, against the carts that were created within a session's lifetime (inserts into cart since the statistics were reset, or in the window where that is more): more than 50 a cart. Severity by their share of memory, Low below 32 MiB.",
    effort: Effort::Minutes,
    references: &[
        "https://github.com/medusajs/medusa/issues/9897",
        "https://github.com/expressjs/session#saveuninitialized",
        "https://docs.medusajs.com/learn/configurations/medusa-config",
    ],
    needs: &[Section::RedisKeys, Section::PgTables, Section::PgServer],
    uses: &[Section::RedisServer, Section::PgMedusa],
    symptom_of: &["cdn-session-cookie-everywhere"],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    for instance in &snapshot.redis()?.instances {
        match instance.keys() {
            Ok(keys) if keys_of(sessions(keys)).max(unseen(keys)) < SESSIONS_MIN => {}
            _ => return Ok(Applies::Yes),
        }
    }
    Ok(Applies::No(format!("Redis holds fewer than {} sessions", text::count(SESSIONS_MIN))))
}

fn sessions(keys: &KeySample) -> impl Iterator<Item = &Pattern> {
    keys.patterns.iter().filter(|p| p.role == Role::Sessions)
}

/// Sessions that may be there where the sample met none.
fn unseen(keys: &KeySample) -> u64 {
    if sessions(keys).next().is_some() { 0 } else { unseen_max(keys) }
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    over_instances(snapshot, |instance| {
        let keys = instance.keys()?;
        let all: Vec<&Pattern> = sessions(keys).collect();
        let count = keys_of(all.iter().copied());
        if count < SESSIONS_MIN {
            let gap = crate::checks::key_sample::too_few_sampled(instance, keys, SESSIONS_MIN, "a session");
            return if unseen(keys) < SESSIONS_MIN { Ok(Vec::new()) } else { Err(gap) };
        }
        let lifetime_s = lifetime_s(&all);
        let carts = carts(snapshot, lifetime_s)?;
        let flood = Flood { count, lifetime_s, carts };
        Ok((flood.a_cart() > SESSIONS_A_CART_MAX).then(|| finding(snapshot, instance, keys, &all, &flood)).into_iter().collect())
    })
}

/// The longest lifetime left is a new session's whole lifetime.
fn lifetime_s(all: &[&Pattern]) -> f64 {
    all.iter().filter_map(|p| p.ttl_ms_max).max().map_or(LIFETIME_S, |ms| ms as f64 / 1e3)
}

/// Carts created in the time that a session lives, as the table's counters tell.
fn carts(snapshot: &Snapshot, lifetime_s: f64) -> Result<f64, Gap> {
    let tables = snapshot.pg()?.tables()?;
    let age = statistics_age(snapshot)?;
    let schema = snapshot.medusa().ok().map(|m| m.schema.as_str());
    let table = tables.rows.iter().find(|t| t.name == "cart" && schema.is_none_or(|s| s == t.schema)).ok_or_else(|| {
        let cause = Cause::Absent { feature: "the table cart".into(), remedy: String::new() };
        Gap::new(Section::PgTables, cause, "No table of carts was seen, so sessions cannot be compared with shoppers.")
    })?;
    if age.seconds < lifetime_s {
        let cause = Cause::TooYoung { have_s: age.seconds, need_s: lifetime_s };
        let detail =
            format!("The table counters are younger than a session ({}): carts cannot be compared with sessions.", text::seconds(lifetime_s));
        return Err(Gap::new(Section::PgServer, cause, detail));
    }
    let average = table.counters.total.inserts as f64 * lifetime_s / age.seconds;
    let window_s = snapshot.meta.window_s;
    let now = table.counters.window.filter(|_| window_s > 0.0).map_or(0.0, |w| w.inserts as f64 * lifetime_s / window_s);
    Ok(average.max(now))
}

struct Flood {
    count: u64,
    lifetime_s: f64,
    /// Created within one lifetime.
    carts: f64,
}

impl Flood {
    fn a_cart(&self) -> f64 {
        self.count as f64 / self.carts.max(1.0)
    }
}

fn finding(snapshot: &Snapshot, instance: &Instance, keys: &KeySample, all: &[&Pattern], flood: &Flood) -> Finding {
    let medusa = snapshot.medusa().ok();
    let version = medusa.and_then(|m| told(&m.version));
    let is_fixed = version.is_some_and(|t| t.from >= FIXED_IN);
    let bytes = bytes_of(all.iter().copied());
    let share = memory_share(bytes, instance.server().ok());
    let spare = bytes.map(|b| (b as f64 * (1.0 - SESSIONS_A_CART_MAX / flood.a_cart())) as u64);
    // How many look without buying differs between stores; what a session a request leaves is far above all of them.
    let (sampled, because) = confidence(keys);
    let confidence = if flood.a_cart() >= 4.0 * SESSIONS_A_CART_MAX { sampled } else { Confidence::Low };
    let lifetime = text::seconds(flood.lifetime_s);
    let carts = text::plural(flood.carts.round() as u64, "cart", "carts");
    let cause = if is_fixed { " This version opens none by itself: saveUninitialized is set, or a client signs in for every request." } else { "" };
    Finding {
        subject: Subject::new("key_pattern", format!("{} in {}", all.first().map_or("sess:<id>", |p| p.pattern.as_str()), instance.name)),
        observed: format!(
            "{} in {}{}, for {carts} created in the same {lifetime}.{cause}",
            text::plural(flood.count, "session", "sessions"),
            instance.name,
            about_bytes_within(bytes, error_of(all.iter().copied()))
        ),
        step: "Open sessions for those who sign in alone".into(),
        evidence: vec![
            Evidence::figure("Sessions", flood.count as f64, "keys", text::count(flood.count)),
            Evidence::figure("Carts in a session's lifetime", flood.carts, "carts", text::number(flood.carts)),
            Evidence::figure("Sessions a cart", flood.a_cart(), "sessions", text::number(flood.a_cart())),
            Evidence::figure("Lifetime of a session", flood.lifetime_s, "s", lifetime),
        ],
        severity: memory_severity(share, bytes),
        confidence,
        confidence_because: format!("{because}; carts by the table's counters"),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Memory, share },
        gain: spare.map(|b| Gain { memory_bytes: Some(b), ..Gain::new(Basis::Modelled, format!("{} of Redis memory", text::bytes_memory(b))) }),
        averts: None,
        remedies: remedies(medusa.map(|m| m.major), is_fixed),
        verify: format!(
            "{} after the change the next audit counts fewer than {} sessions, or fewer than {SESSIONS_A_CART_MAX} a cart.",
            text::seconds(flood.lifetime_s),
            text::count(SESSIONS_MIN)
        ),
        touches: touches(all.iter().copied()).into_iter().chain(["keys:sess:*".to_owned()]).collect(),
    }
}

fn remedies(major: Option<u8>, is_fixed: bool) -> Vec<Remedy> {
    let mut remedies = vec![Remedy {
        undo: Some("Remove the option.".into()),
        ..remedy(
            RemedyKind::MedusaConfig,
            "Keep empty sessions out of Redis",
            by_major(major, OPTION_V2, OPTION_V1),
            "Signing in still opens a session. The present ones expire by themselves.",
        )
    }];
    if major != Some(1) && !is_fixed {
        remedies.push(remedy(RemedyKind::Shell, "Or update Medusa: false is the default from 2.7 on", update_medusa(None), UPDATE_RISK));
    }
    remedies.push(remedy(
        RemedyKind::MedusaConfig,
        "Where empty sessions are needed, let them live an hour",
        by_major(major, TTL_V2, TTL_V1),
        "Whoever is signed in is signed out after an hour without a request.",
    ));
    remedies
}

const OPTION_V2: &str = r#"// medusa-config.ts (v2)
module.exports = defineConfig({
  projectConfig: {
    sessionOptions: { saveUninitialized: false },
  },
})"#;

const OPTION_V1: &str = r#"// medusa-config.js (v1)
const projectConfig = {
  session_options: { saveUninitialized: false },
}"#;

const TTL_V2: &str = r#"// medusa-config.ts (v2)
module.exports = defineConfig({
  projectConfig: {
    sessionOptions: { ttl: 60 * 60 * 1000, rolling: true },
  },
})"#;

const TTL_V1: &str = r#"// medusa-config.js (v1)
const projectConfig = {
  session_options: { ttl: 60 * 60 * 1000, rolling: true },
}"#;
