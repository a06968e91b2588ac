//! Transactions whose statement runs for minutes.

use crate::checks::sessions::{
    by_who, hidden, holder, is_holder, locked_tables, look, named, open_s, risk, roles, subject, table, terminate, timeout, touch,
};
use crate::checks::sql::{self, Kind};
use crate::checks::{Check, FINDINGS_MAX, always};
use crate::evidence::postgres::{Activity, Session, Statements};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Effort, Evidence, Finding, Severity};
use crate::text;

/// No request of a shop runs for five minutes; a report or a job that does, holds back vacuum and its locks all the while.
const OPEN_S_MAX: f64 = 300.0;
const OPEN_S_LONG: f64 = 1_800.0;
/// Backups read everything in one transaction, on purpose.
const BACKUPS: [&str; 3] = ["pg_dump", "pg_dumpall", "pg_basebackup"];

pub static CHECK: Check = Check {
    id: "pg-long-transaction",
    layer: Layer::Postgres,
    title: "A transaction runs for minutes",
    passed: "No statement keeps a transaction running for more than five minutes.",
    why: "A long transaction keeps its locks until it ends, and vacuum may remove no row that died since it began: tables and indexes grow, and every scan \
          reads what is dead.",
    remedy: "Find what runs so long and split it into batches; bound statements by a timeout for the role of the shop.",
    method: "Sessions that are active with a transaction open for over 5 min, over 30 min Medium; one that holds back vacuum by 100,000 transactions weighs \
             more. Those that wait for a lock belong to the blocked sessions. Backups and maintenance (vacuum, create index) are Info. Walsenders, autovacuum \
             and the audit itself are left out. Seen at one moment, at the end of the window.",
    effort: Effort::Hours,
    references: &[
        "https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW",
        "https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-STATEMENT-TIMEOUT",
    ],
    needs: &[Section::PgActivity],
    uses: &[Section::PgServer, Section::PgStatements],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let activity = pg.activity()?;
    let statements = pg.statements.as_ref().ok();
    let groups = by_who(activity.sessions.iter().filter(|s| is_long(s)));
    let mut findings: Vec<Finding> = groups.iter().map(|(who, group)| finding(snapshot, activity, statements, who, group)).collect();
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.subject.cmp(&b.subject)));
    findings.truncate(FINDINGS_MAX);
    match hidden(snapshot, activity) {
        Some(gap) if findings.is_empty() => Err(gap),
        _ => Ok(findings),
    }
}

fn is_long(session: &Session) -> bool {
    let is_running = session.state == "active" || session.state == "fastpath function call";
    is_running && session.blocked_by.is_empty() && session.waiting_s.is_none() && open_s(session) > OPEN_S_MAX
}

/// The normalised text of what it runs, where that was seen before.
fn text_of<'s>(statements: Option<&'s Statements>, session: &Session) -> Option<&'s str> {
    let id = session.statement_id.as_ref()?;
    statements?.rows.rows.iter().find(|s| s.id == *id).map(|s| s.text.as_str())
}

fn is_upkeep(statements: Option<&Statements>, session: &Session) -> bool {
    BACKUPS.contains(&session.application.as_str()) || text_of(statements, session).is_some_and(|t| sql::kind(t) == Kind::Utility)
}

fn severity(activity: &Activity, statements: Option<&Statements>, group: &[&Session]) -> Severity {
    if group.iter().all(|s| is_upkeep(statements, s)) {
        return Severity::Info;
    }
    let longest = group.first().map_or(0.0, |s| open_s(s));
    let holds = holder(Some(activity)).is_some_and(|h| group.iter().any(|s| is_holder(h, s)));
    match (longest > OPEN_S_LONG, holds) {
        (true, true) => Severity::High,
        (true, false) | (false, true) => Severity::Medium,
        (false, false) => Severity::Low,
    }
}

fn finding(snapshot: &Snapshot, activity: &Activity, statements: Option<&Statements>, who: &str, group: &[&Session]) -> Finding {
    let severity = severity(activity, statements, group);
    let pids: Vec<i32> = group.iter().map(|s| s.pid).collect();
    let longest = group.first().map_or(0.0, |s| open_s(s));
    let held = holder(Some(activity)).filter(|h| group.iter().any(|s| is_holder(h, s)));
    let locked = locked_tables(group);
    let also = [
        (!locked.is_empty()).then(|| format!(" It holds locks on {}.", named(&locked))),
        held.map(|h| format!(" Vacuum may remove nothing that died in the last {}.", text::plural(h.age_xids, "transaction", "transactions"))),
    ];
    let mut evidence = vec![table("Transactions", group)];
    evidence.extend(group.iter().find_map(|s| text_of(statements, s)).map(|text| Evidence::Code {
        label: "What it runs".to_owned(),
        language: "sql".to_owned(),
        text: text.to_owned(),
    }));
    Finding {
        subject: subject(who),
        observed: format!(
            "{} of {who} {} run for up to {}.{}",
            text::plural(group.len() as u64, "transaction", "transactions"),
            if group.len() == 1 { "has" } else { "have" },
            text::seconds(longest),
            also.into_iter().flatten().collect::<String>()
        ),
        step: format!("Shorten the transactions of {who}"),
        evidence,
        severity,
        confidence: Confidence::High,
        confidence_because: "read from the server's list of sessions, at one moment".to_owned(),
        effort: Effort::Hours,
        cost: risk(severity),
        gain: None,
        averts: Some("locks and dead rows that outlive their use".to_owned()),
        remedies: vec![
            look(&pids),
            terminate(snapshot, &pids),
            timeout(
                &roles(group),
                "statement_timeout",
                "60s",
                "A statement that runs longer is cancelled with an error: jobs that need longer set their own limit, set local statement_timeout = '15min'.",
            ),
        ],
        verify: format!("Audit again: no transaction of {who} is older than {}.", text::seconds(OPEN_S_MAX)),
        touches: pids.iter().map(|p| touch(*p)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::checks::sessions::fixtures::*;
    use crate::evidence::postgres::XminHolder;

    fn judged(sessions: Vec<Session>, edit: impl FnOnce(&mut Activity)) -> Vec<Finding> {
        findings(&CHECK, &with_sessions(sessions, edit))
    }

    #[test]
    fn five_minutes_are_enough() {
        assert_passes(&CHECK, &with_sessions(vec![session(7, 300.0)], |_| {}));
        let found = judged(vec![session(7, 300.1)], |_| {});
        assert_eq!((found[0].severity, found[0].subject.name.as_str()), (Severity::Low, "medusa (api)"));
        assert_eq!(judged(vec![session(7, 1_800.0)], |_| {})[0].severity, Severity::Low);
        assert_eq!(judged(vec![session(7, 1_800.1)], |_| {})[0].severity, Severity::Medium);
    }

    #[test]
    fn what_holds_vacuum_back_weighs_more() {
        let holds = |age| move |a: &mut Activity| a.oldest_xmin = Some(XminHolder { kind: "session".into(), name: "pid 7".into(), age_xids: age });
        assert_eq!(judged(vec![session(7, 400.0)], holds(99_999))[0].severity, Severity::Low);
        assert_eq!(judged(vec![session(7, 400.0)], holds(100_000))[0].severity, Severity::Medium);
        assert_eq!(judged(vec![session(7, 2_000.0)], holds(100_000))[0].severity, Severity::High);
        assert_eq!(judged(vec![session(8, 2_000.0)], holds(100_000))[0].severity, Severity::Medium);
    }

    #[test]
    fn the_idle_and_the_waiting_belong_to_others() {
        assert_passes(&CHECK, &with_sessions(vec![idle(7, 400.0), waiting(8, 400.0, &[7])], |_| {}));
    }

    #[test]
    fn backups_and_upkeep_are_notes() {
        let dump = Session { application: "pg_dump".into(), ..session(7, 4_000.0) };
        assert_eq!(judged(vec![dump], |_| {})[0].severity, Severity::Info);
        let mut snapshot = with_sessions(vec![Session { statement_id: Some("1".into()), ..session(7, 4_000.0) }], |_| {});
        let mut text = |sql: &str| {
            statements(snapshot.postgres.as_mut().unwrap(), vec![statement("1", sql, 1, 1.0)]);
            findings(&CHECK, &snapshot)[0].severity
        };
        assert_eq!(text("vacuum (analyze) image"), Severity::Info);
        assert_eq!(text("select * from image"), Severity::Medium);
    }

    #[test]
    fn hidden_sessions_are_no_good_news() {
        let gap = assert_unknown(&CHECK, &with_sessions(vec![session(7, 10.0)], |a| a.hidden = 2));
        assert_eq!(gap.cause.remedy(), Some("grant pg_monitor to advisor;"));
        assert_eq!(judged(vec![session(7, 400.0)], |a| a.hidden = 2).len(), 1);
    }

    #[test]
    fn one_finding_a_program_and_needs_are_exact() {
        let found = judged(vec![session(7, 400.0), session(8, 500.0)], |_| {});
        assert_eq!(found.len(), 1);
        assert!(found[0].observed.starts_with("2\u{a0}transactions of medusa (api) have run for up to 8.33\u{a0}min"), "{}", found[0].observed);
        assert_needs_are_exact(&CHECK, &with_sessions(vec![session(7, 400.0)], |_| {}));
    }
}
