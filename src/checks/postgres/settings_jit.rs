//! Compiling statements takes more time than it saves.

use crate::checks::server_settings::{Change, Settings, for_workload, of_role, only_role, platform, shown};
use crate::checks::workload::{Load, Workload, workload};
use crate::checks::{Check, always};
use crate::evidence::postgres::RoleSettings;
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Resource, Severity, Subject};
use crate::text;

/// A twentieth of the database time.
const SHARE_MIN: f64 = 0.05;
/// And in all: the first call of a new connection may compile in a quiet store too.
const JIT_MS_MIN: f64 = 1_000.0;
/// `pg_stat_statements` counts it since 1.10.
const COUNTED_SINCE: u32 = 150_000;

pub static CHECK: Check = Check {
    id: "pg-settings-jit",
    layer: Layer::Postgres,
    title: "Compiling statements costs a good part of the database time",
    passed: "Compiling statements costs little database time, or it is off.",
    why: "Postgres compiles statements that it takes for long ones. The compiling takes 50 to 500 ms on each call and pays for reports that run for minutes; \
          the lists of a shop are read in a few milliseconds and wait for it each time.",
    remedy: "Turn the JIT off for the application's role. Reports may turn it on for themselves.",
    method: "The time the JIT took, by pg_stat_statements (Postgres 15 and later), against all statements' time in the window, else since the reset: 5 % and one \
             second or more are reported. Where the JIT is off there is nothing to judge.",
    effort: Effort::Minutes,
    references: &[
        "https://www.postgresql.org/docs/current/jit-decision.html",
        "https://www.postgresql.org/docs/current/runtime-config-query.html#GUC-JIT",
    ],
    needs: &[Section::PgSettings, Section::PgStatements, Section::PgServer],
    uses: &[Section::PgRoles],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let server = pg.server()?;
    let settings = Settings::of(snapshot)?;
    pg.statements()?;
    let roles: &[RoleSettings] = pg.roles.as_ref().map_or(&[], Vec::as_slice);
    if !settings.is_on("jit")? && roles.iter().all(|r| of_role(roles, &r.role, "jit").is_none_or(|v| v != "on")) {
        return Ok(Vec::new());
    }
    if server.version_num < COUNTED_SINCE {
        let cause = Cause::TooOld { have: server.version.clone(), need: "15".to_owned() };
        return Err(Gap::new(Section::PgStatements, cause, "Time spent compiling is counted by Postgres 15 and later."));
    }
    let workload = workload(snapshot)?;
    // A role that has turned it off since the counters began compiles no more.
    let still_on = |l: &&Load| l.statement.role.as_deref().and_then(|r| of_role(roles, r, "jit")) != Some("off");
    let mut compiled: Vec<Load> = workload.loads.iter().filter(|l| l.counters.jit_ms > 0.0).filter(still_on).copied().collect();
    compiled.sort_by(|a, b| b.counters.jit_ms.total_cmp(&a.counters.jit_ms).then_with(|| a.statement.id.cmp(&b.statement.id)));
    let jit_ms: f64 = compiled.iter().map(|l| l.counters.jit_ms).sum();
    if jit_ms < JIT_MS_MIN || workload.share_of(jit_ms) < SHARE_MIN {
        return Ok(Vec::new());
    }
    Ok(vec![finding(platform(snapshot)?, &settings, &workload, &compiled, jit_ms)])
}

fn finding(platform: &str, settings: &Settings, workload: &Workload, compiled: &[Load], jit_ms: f64) -> Finding {
    let share = workload.share_of(jit_ms);
    let mut gain = Gain::new(Basis::Measured, format!("−{} database time", text::percent(share)));
    gain.database_time_share = Some(share);
    gain.database_ms_per_s = workload.ms_per_s(jit_ms);
    let risk = "Statements that run for many seconds over millions of rows may take longer: a report can run set jit = on; first.";
    let changes = [Change::plain(settings, "jit", "off")];
    let role = only_role(compiled.iter().map(|l| l.statement));
    Finding {
        subject: Subject::new("setting", "jit"),
        observed: format!(
            "Compiling {} took {} of {} {}: {} of database time.",
            text::plural(compiled.len() as u64, "statement", "statements"),
            text::millis(jit_ms),
            text::millis(workload.total_ms),
            workload.words,
            text::percent(share)
        ),
        step: "Turn the JIT off".to_owned(),
        evidence: evidence(settings, compiled),
        severity: Severity::from_share(share),
        confidence: Confidence::High,
        confidence_because: workload.because(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::DatabaseTime, share },
        gain: Some(gain),
        averts: None,
        remedies: for_workload(platform, role, "Turn the JIT off", &changes, risk),
        verify: "Audit again once the application has reconnected: the statements above spend 0 ms compiling.".to_owned(),
        touches: compiled.iter().map(Load::touch).collect(),
    }
}

fn evidence(settings: &Settings, compiled: &[Load]) -> Vec<Evidence> {
    let row = |l: &Load| {
        let each_ms = l.counters.jit_ms / l.counters.calls.max(1) as f64;
        vec![
            Cell::text(l.statement.text.chars().take(120).collect::<String>()),
            Cell::number(l.counters.calls as f64, text::count(l.counters.calls)),
            Cell::number(l.counters.mean_ms(), text::millis(l.counters.mean_ms())),
            Cell::number(each_ms, text::millis(each_ms)),
        ]
    };
    let mut evidence = vec![Evidence::table(
        "Statements that are compiled",
        &["Statement", "Calls", "A call", "Of it compiling"],
        compiled.iter().map(row).collect(),
    )];
    evidence.extend(["jit", "jit_above_cost"].iter().filter_map(|n| Some(Evidence::text(n, shown(settings.find(n)?)))));
    evidence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::checks::server_settings::tests::{role, setting};
    use crate::evidence::postgres::Postgres;

    fn compiling(total_ms: f64, jit_ms: f64, edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        store(|pg| {
            let mut list = statement("7", "select * from product where title = $1", 1_000, total_ms);
            list.counters.total.jit_ms = jit_ms;
            statements(pg, vec![list]);
            pg.settings = Ok(vec![setting("jit", "on", "")]);
            edit(pg);
        })
    }

    #[test]
    fn a_twentieth_is_the_limit() {
        assert_passes(&CHECK, &compiling(100_000.0, 4_999.0, |_| {}));
        for (jit_ms, severity) in [(5_000.0, Severity::Medium), (24_999.0, Severity::Medium), (25_000.0, Severity::High)] {
            assert_eq!(findings(&CHECK, &compiling(100_000.0, jit_ms, |_| {}))[0].severity, severity, "{jit_ms}");
        }
    }

    #[test]
    fn a_quiet_store_compiles_now_and_then() {
        assert_passes(&CHECK, &compiling(2_000.0, 999.0, |_| {}));
        assert_eq!(findings(&CHECK, &compiling(2_000.0, 1_000.0, |_| {})).len(), 1);
    }

    #[test]
    fn where_it_is_off_nothing_is_judged() {
        let off = |pg: &mut Postgres| pg.settings = Ok(vec![setting("jit", "off", "")]);
        assert_passes(&CHECK, &compiling(2_000.0, 2_000.0, off));
        assert_passes(&CHECK, &compiling(2_000.0, 2_000.0, |pg| pg.roles = Ok(vec![role("medusa", 1, &[("jit", "off", "role")])])));
        let by_role = |pg: &mut Postgres| {
            off(pg);
            pg.roles = Ok(vec![role("medusa", 1, &[("jit", "on", "role")])]);
        };
        assert_eq!(findings(&CHECK, &compiling(2_000.0, 2_000.0, by_role)).len(), 1);
    }

    #[test]
    fn older_versions_do_not_count_it() {
        let old = |pg: &mut Postgres| pg.server.as_mut().unwrap().version_num = 149_999;
        assert!(matches!(assert_unknown(&CHECK, &compiling(2_000.0, 0.0, old)).cause, Cause::TooOld { .. }));
        let old_and_off = |pg: &mut Postgres| {
            old(pg);
            pg.settings = Ok(vec![setting("jit", "off", "")]);
        };
        assert_passes(&CHECK, &compiling(2_000.0, 0.0, old_and_off));
    }

    #[test]
    fn the_remedy_is_for_the_role_and_needs_are_exact() {
        let snapshot = compiling(100_000.0, 30_000.0, |_| {});
        let remedies = &findings(&CHECK, &snapshot)[0].remedies;
        assert_eq!(remedies[0].text, "alter role medusa set jit = off;");
        assert_eq!(remedies[0].undo.as_deref(), Some("alter role medusa reset jit;"));
        assert_needs_are_exact(&CHECK, &snapshot);
    }
}
