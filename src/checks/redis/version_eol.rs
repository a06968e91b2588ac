//! `redis-version-eol`: a version that gets no more fixes.

use time::macros::date;
use time::{Date, Duration};

use crate::checks::measures::over_instances;
use crate::checks::redis_settings::{PLAIN, is_managed};
use crate::checks::{Applies, Check};
use crate::evidence::redis::{Instance, Server};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Series and last day of fixes: the table of redis.io's "Redis Open Source version management" for 6.2, 7.2 and 7.4, and
/// <https://endoflife.date/redis> for those before. No date is published for 8.0 and later, so those are taken as supported.
const REDIS: [((u32, u32), Date); 6] = [
    ((5, 0), date!(2022 - 04 - 27)),
    ((6, 0), date!(2022 - 05 - 31)),
    ((6, 2), date!(2027 - 04 - 01)),
    ((7, 0), date!(2024 - 07 - 29)),
    ((7, 2), date!(2029 - 12 - 01)),
    ((7, 4), date!(2029 - 12 - 01)),
];
/// <https://valkey.io/topics/releases/> by <https://endoflife.date/valkey>: the end of security support, which for the last minor
/// release of a major version is two years after that of maintenance.
const VALKEY: [((u32, u32), Date); 4] =
    [((7, 2), date!(2029 - 04 - 16)), ((8, 0), date!(2027 - 09 - 15)), ((8, 1), date!(2030 - 03 - 31)), ((9, 0), date!(2028 - 10 - 21))];
/// KeyDB's makers name no dates; its newest release, 6.3.4, is of this day, and its maintainer has left.
const KEYDB_LAST: Date = date!(2023 - 10 - 30);
/// Versions that Debian and Ubuntu ship and mend themselves: buster, focal, bullseye and jammy, bookworm and noble. They keep the number.
const DISTRIBUTED: [&str; 4] = ["5.0.3", "5.0.7", "6.0.16", "7.0.15"];
/// Where an upgrade leads: years of support left.
const MOVE_TO: &str = "Redis 7.4 or Valkey 8.1";
/// Half a year to plan a move.
const NOTICE: Duration = Duration::days(180);
/// Holes that nobody mends, on a server that shoppers do not reach.
const WEIGHT: f64 = 0.03;

pub static CHECK: Check = Check {
    id: "redis-version-eol",
    layer: Layer::Redis,
    title: "The Redis version gets no more fixes",
    passed: "The version of Redis is supported by its makers.",
    why: "After the end of support, holes and faults that lose data stay open. Redis has had several in its script engine that let whoever may send commands run code on the \
          server.",
    remedy: "Move to a supported version: Redis 7.4 and Valkey 8.1 read the files of all earlier ones.",
    method: "The version against the makers' dates, on the day of the audit. Never above Low: it is a matter of security. Info in the last 180 days before, and for versions that \
             Debian and Ubuntu still mend under the same number. Managed servers are left out: their providers patch them by dates of their own.",
    effort: Effort::Hours,
    references: &[
        "https://redis.io/docs/latest/operate/oss_and_stack/install/version-mgmt/",
        "https://endoflife.date/redis",
        "https://valkey.io/topics/releases/",
    ],
    needs: &[Section::RedisServer],
    uses: &[],
    symptom_of: &[],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let is_patched = |i: &Instance| i.server().is_ok_and(|s| s.platform != PLAIN);
    Ok(if snapshot.redis()?.instances.iter().all(is_patched) {
        Applies::No("the provider keeps the version by dates of its own".into())
    } else {
        Applies::Yes
    })
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let today = snapshot.meta.taken_at.date();
    over_instances(snapshot, |instance| {
        let server = instance.server()?;
        Ok(if is_managed(server) { Vec::new() } else { judge(instance, server, today)?.into_iter().collect() })
    })
}

fn judge(instance: &Instance, server: &Server, today: Date) -> Result<Option<Finding>, Gap> {
    let table: &[((u32, u32), Date)] = match server.product.as_str() {
        "redis" => &REDIS,
        "valkey" => &VALKEY,
        "keydb" => return Ok((today > KEYDB_LAST).then(|| stalled(instance, server))),
        // Dragonfly's newest release is the one that is supported; there are no dates to hold a version against.
        _ => return Ok(None),
    };
    let series = series(&server.version).ok_or_else(|| {
        let detail = format!("{} calls its version {:?}, which is no number.", instance.name, server.version);
        Gap::new(Section::RedisServer, Cause::Unreadable, detail)
    })?;
    let (oldest, its_end) = table[0];
    let until = if series < oldest { Some(its_end) } else { table.iter().find(|(s, _)| *s == series).map(|(_, until)| *until) };
    Ok(until.and_then(|until| by_date(instance, server, until, today)))
}

/// "7.0.15" is of the series 7.0.
fn series(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.').map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
        _ => None,
    }
}

fn by_date(instance: &Instance, server: &Server, until: Date, today: Date) -> Option<Finding> {
    let name = format!("{} {}", server.product_name(), server.version);
    let is_over = today > until;
    if !is_over && until - today > NOTICE {
        return None;
    }
    let is_distributed = DISTRIBUTED.contains(&server.version.as_str());
    let observed = match (is_over, is_distributed) {
        (false, _) => format!("{name} on {} gets its last fixes on {}.", instance.name, day(until)),
        (true, false) => format!("{name} on {} has had no fixes from its makers since {}.", instance.name, day(until)),
        (true, true) => format!(
            "{name} on {} has had no fixes from its makers since {}. Debian and Ubuntu ship this version and mend it under the same number: their packages are \
             supported while the release is.",
            instance.name,
            day(until)
        ),
    };
    let evidence = vec![Evidence::text("Version", name), Evidence::text("Supported until", day(until))];
    let severity = if is_over && !is_distributed { Severity::Low } else { Severity::Info };
    Some(Finding { observed, evidence, severity, ..finding(instance, server) })
}

fn stalled(instance: &Instance, server: &Server) -> Finding {
    Finding {
        observed: format!(
            "KeyDB {} on {}: the newest release, 6.3.4, is of {}, and nobody maintains it now.",
            server.version,
            instance.name,
            day(KEYDB_LAST)
        ),
        evidence: vec![Evidence::text("Version", format!("KeyDB {}", server.version)), Evidence::text("Newest release", day(KEYDB_LAST))],
        severity: Severity::Info,
        confidence: Confidence::Medium,
        confidence_because: "its makers publish no dates; the releases of others are told by theirs".into(),
        ..finding(instance, server)
    }
}

fn finding(instance: &Instance, server: &Server) -> Finding {
    Finding {
        subject: Subject::new("server", format!("{} {} on {}", server.product, server.version, instance.name)),
        observed: String::new(),
        step: format!("Move {} to {MOVE_TO}", instance.name),
        evidence: Vec::new(),
        severity: Severity::Low,
        confidence: Confidence::High,
        confidence_because: "by the makers' dates".into(),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Risk, share: WEIGHT },
        gain: None,
        averts: Some("holes that nobody mends any more".into()),
        remedies: vec![upgrade(server)],
        verify: "redis-cli INFO server: redis_version or valkey_version names a supported series, and the audit passes.".into(),
        touches: Vec::new(),
    }
}

fn upgrade(server: &Server) -> Remedy {
    let valkey = "# docker compose: image: valkey/valkey:8.1, the same command and volume\n# Debian 13 and Ubuntu 25.04, as a replacement of redis-server:\napt-get install valkey-server valkey-redis-compat";
    let redis = "# docker compose: image: redis:7.4\n# Debian and Ubuntu, with the packages of packages.redis.io:\napt-get install --only-upgrade redis-server";
    let text = if server.product == "redis" { format!("{redis}\n\n# Or Valkey:\n{valkey}") } else { valkey.to_owned() };
    Remedy {
        kind: RemedyKind::Shell,
        label: "Upgrade".into(),
        text,
        lock: Some("A restart: every connection is cut, and nothing is served while the data loads.".into()),
        risk: "Take a snapshot first (BGSAVE): an older version does not read files that a newer one has written. Valkey reads those of Redis up to 7.2 only.".into(),
        undo: Some("Install the former version and restore the snapshot taken before.".into()),
    }
}

fn day(date: Date) -> String {
    text::date(date.midnight().assume_utc())
}
