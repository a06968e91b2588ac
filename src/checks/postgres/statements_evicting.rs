//! pg_stat_statements throws statements away for lack of entries, so the picture has holes.

use crate::checks::{Check, always};
use crate::evidence::postgres::Statements;
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Each eviction throws away the least used twentieth of the entries (USAGE_DEALLOC_PERCENT of pg_stat_statements): one an hour turns the
/// whole table over within a day, and what runs once a day is never seen.
const EVICTIONS_AN_HOUR_MAX: f64 = 1.0;
/// Ten an hour lose what runs every other hour.
const EVICTIONS_AN_HOUR_LOW: f64 = 10.0;
/// The first few after a restart fill the table with what is never sent again.
const EVICTIONS_MIN: u64 = 5;
/// Counters of less than an hour tell no rate.
const AGE_S_MIN: f64 = 3_600.0;
/// From this share on, most entries are one statement with lists of different lengths.
const FOLDED_SHARE_MIN: f64 = 0.3;
const ENTRIES_DEFAULT: u32 = 5_000;
const ENTRIES_MAX: u32 = 20_000;

pub static CHECK: Check = Check {
    id: "pg-statements-evicting",
    layer: Layer::Postgres,
    title: "Statements are forgotten before they can be judged",
    passed: "The table of statements is large enough for this store.",
    why: "The server keeps a fixed number of statements and throws the rarest away when a new one comes. What was thrown away is in no sum and no finding, so \
          totals are too low and nightly jobs stay invisible.",
    remedy: "Give pg_stat_statements more entries.",
    method: "Reads how often entries were thrown away (pg_stat_statements_info, 14 and later): one time an hour or more since the counters were reset, at least 5 \
             times, over at least an hour. Info from there, Low from ten times an hour.",
    effort: Effort::Minutes,
    references: &["https://www.postgresql.org/docs/current/pgstatstatements.html#PGSTATSTATEMENTS-PG-STAT-STATEMENTS-INFO"],
    needs: &[Section::PgStatements],
    uses: &[Section::PgServer],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let seen = snapshot.pg()?.statements()?;
    let Some(evictions) = seen.evictions else {
        let cause = Cause::TooOld { have: format!("pg_stat_statements {}", seen.extension_version), need: "1.9, of Postgres 14".to_owned() };
        return Err(Gap::new(Section::PgStatements, cause, "This version does not count how often it threw statements away."));
    };
    if evictions.total < EVICTIONS_MIN {
        return Ok(Vec::new());
    }
    let age_s = seen.reset_at.map_or(0.0, |at| (snapshot.meta.taken_at - at).as_seconds_f64().max(0.0));
    if age_s < AGE_S_MIN {
        let cause = Cause::TooYoung { have_s: age_s, need_s: AGE_S_MIN };
        let detail =
            format!("Statements were thrown away {} times, and the counters are {} old.", text::count(evictions.total), text::seconds(age_s));
        return Err(Gap::new(Section::PgStatements, cause, detail));
    }
    let an_hour = evictions.total as f64 / (age_s / 3_600.0);
    Ok(if an_hour >= EVICTIONS_AN_HOUR_MAX { vec![finding(snapshot, seen, evictions.total, an_hour)] } else { Vec::new() })
}

fn finding(snapshot: &Snapshot, seen: &Statements, evictions: u64, an_hour: f64) -> Finding {
    let entries = seen.max_entries.unwrap_or(ENTRIES_DEFAULT);
    let wanted = entries.saturating_mul(2).clamp(10_000, ENTRIES_MAX);
    let folded = folded_share(seen);
    let lists = if folded >= FOLDED_SHARE_MIN {
        format!(" {} of the entries read differ only in the length of a list, which Postgres 18 counts as one.", text::percent(folded))
    } else {
        String::new()
    };
    let platform = snapshot.pg().ok().and_then(|pg| pg.server().ok()).map_or("plain", |s| s.platform.as_str());
    Finding {
        subject: Subject::new("setting", "pg_stat_statements.max"),
        observed: format!(
            "Of {} entries the rarest were thrown away {} times, {}.{lists}",
            text::count(entries.into()),
            text::count(evictions),
            text::per_second(an_hour / 3_600.0)
        ),
        step: format!("Raise pg_stat_statements.max to {}", text::count(wanted.into())),
        evidence: vec![
            Evidence::figure("Entries at most", f64::from(entries), "entries", text::count(entries.into())),
            Evidence::figure("Evictions", evictions as f64, "evictions", text::count(evictions)),
            Evidence::figure("Entries of this database", seen.rows_read as f64, "entries", text::count(seen.rows_read)),
            Evidence::figure("Statements they fold to", seen.rows.rows.len() as f64, "statements", text::count(seen.rows.rows.len() as u64)),
        ],
        severity: if an_hour >= EVICTIONS_AN_HOUR_LOW { Severity::Low } else { Severity::Info },
        confidence: Confidence::High,
        confidence_because: "counted by the server itself".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Insight, share: 0.0 },
        gain: None,
        averts: None,
        remedies: vec![remedy(platform, wanted)],
        verify: "Run select dealloc from pg_stat_statements_info; a day after the restart: it is 0 or hardly rises.".to_owned(),
        touches: Vec::new(),
    }
}

/// Share of the rows read that folding put together with another.
fn folded_share(seen: &Statements) -> f64 {
    let folded: u64 = seen.rows.rows.iter().map(|s| u64::from(s.folded.saturating_sub(1))).sum();
    if seen.rows_read == 0 { 0.0 } else { folded as f64 / seen.rows_read as f64 }
}

fn remedy(platform: &str, wanted: u32) -> Remedy {
    let (kind, label, text, undo) = match platform {
        "rds" => (
            RemedyKind::Shell,
            "Set it in the parameter group",
            format!(
                "aws rds modify-db-parameter-group --db-parameter-group-name GROUP --parameters \"ParameterName=pg_stat_statements.max,ParameterValue={wanted},ApplyMethod=pending-reboot\"\naws rds reboot-db-instance --db-instance-identifier INSTANCE"
            ),
            "Set the parameter back and reboot.".to_owned(),
        ),
        "cloud-sql" => (
            RemedyKind::Shell,
            "Set the flag",
            format!("gcloud sql instances patch INSTANCE --database-flags=pg_stat_statements.max={wanted}"),
            "Patch the instance with the flags it had.".to_owned(),
        ),
        "azure" => (
            RemedyKind::Shell,
            "Set the server parameter",
            format!(
                "az postgres flexible-server parameter set --name pg_stat_statements.max --value {wanted} --server-name SERVER --resource-group GROUP\naz postgres flexible-server restart --name SERVER --resource-group GROUP"
            ),
            "Set the parameter back and restart.".to_owned(),
        ),
        "supabase" | "neon" => (
            RemedyKind::Sql,
            "Empty it before a measurement: the platform fixes its size",
            "select pg_stat_statements_reset();".to_owned(),
            "None: the counters start anew.".to_owned(),
        ),
        _ => (
            RemedyKind::Sql,
            "Set it for the server",
            format!("alter system set pg_stat_statements.max = {wanted};"),
            "alter system reset pg_stat_statements.max; and a restart".to_owned(),
        ),
    };
    Remedy {
        kind,
        label: label.to_owned(),
        text,
        lock: Some("None, but it counts from the next restart on.".to_owned()),
        risk: format!("{} of shared memory for {} entries.", text::bytes_memory(u64::from(wanted) * ENTRY_BYTES), text::count(wanted.into())),
        undo: Some(undo),
    }
}

/// Shared memory of one entry, its counters and place in the hash table; the texts lie in a file.
const ENTRY_BYTES: u64 = 600;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::Sampled;
    use time::Duration;

    fn evicting(total: u64, hours: f64, edit: impl FnOnce(&mut Statements)) -> Snapshot {
        let mut snapshot = store(|_| {});
        let taken_at = snapshot.meta.taken_at;
        let Ok(pg) = &mut snapshot.postgres else { unreachable!("the fixture has Postgres") };
        let Ok(seen) = &mut pg.statements else { unreachable!("the fixture has statements") };
        seen.evictions = Some(Sampled::only(total));
        seen.reset_at = Some(taken_at - Duration::seconds_f64(hours * 3_600.0));
        edit(seen);
        snapshot
    }

    #[test]
    fn one_an_hour_bounds_it_and_ten_raise_it() {
        assert_eq!(findings(&CHECK, &evicting(24, 24.0, |_| {}))[0].severity, Severity::Info);
        assert_passes(&CHECK, &evicting(23, 24.0, |_| {}));
        assert_eq!(findings(&CHECK, &evicting(239, 24.0, |_| {}))[0].severity, Severity::Info);
        assert_eq!(findings(&CHECK, &evicting(240, 24.0, |_| {}))[0].severity, Severity::Low);
    }

    #[test]
    fn a_few_are_no_rate_and_young_counters_tell_none() {
        assert_passes(&CHECK, &evicting(4, 1.0, |_| {}));
        assert_eq!(findings(&CHECK, &evicting(5, 1.0, |_| {})).len(), 1);
        let gap = assert_unknown(&CHECK, &evicting(5, 0.99, |_| {}));
        assert!(matches!(gap.cause, Cause::TooYoung { .. }));
        assert_passes(&CHECK, &evicting(0, 0.0, |_| {}));
    }

    #[test]
    fn old_versions_do_not_count() {
        let gap = assert_unknown(&CHECK, &evicting(0, 1.0, |seen| seen.evictions = None));
        assert!(matches!(gap.cause, Cause::TooOld { .. }));
    }

    #[test]
    fn lists_of_many_lengths_are_named() {
        let many = |seen: &mut Statements, folded: u32| {
            seen.rows.rows = vec![crate::evidence::postgres::Statement { folded, ..statement("1", "select * from a where id in ($1, …)", 1, 1.0) }];
            seen.rows_read = 100;
        };
        assert!(findings(&CHECK, &evicting(50, 10.0, |s| many(s, 31)))[0].observed.contains("30\u{a0}% of the entries"));
        assert!(!findings(&CHECK, &evicting(50, 10.0, |s| many(s, 30)))[0].observed.contains("of the entries read"));
    }

    #[test]
    fn the_step_follows_size_and_platform() {
        assert_eq!(findings(&CHECK, &evicting(50, 10.0, |_| {}))[0].remedies[0].text, "alter system set pg_stat_statements.max = 10000;");
        let large = evicting(50, 10.0, |seen| seen.max_entries = Some(15_000));
        assert!(findings(&CHECK, &large)[0].remedies[0].text.contains("20000"));
        for (platform, word) in [("rds", "pending-reboot"), ("cloud-sql", "gcloud"), ("azure", "az postgres"), ("neon", "pg_stat_statements_reset")] {
            let mut snapshot = evicting(50, 10.0, |_| {});
            let Ok(pg) = &mut snapshot.postgres else { unreachable!("the fixture has Postgres") };
            let Ok(server) = &mut pg.server else { unreachable!("the fixture has a server") };
            server.platform = platform.into();
            assert!(findings(&CHECK, &snapshot)[0].remedies[0].text.contains(word), "{platform}");
        }
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &evicting(50, 10.0, |_| {}));
    }
}
