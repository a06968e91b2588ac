//! Sessions that hold a transaction open and do nothing in it.

use crate::checks::sessions::{
    by_who, hidden, holder, is_holder, is_idle_in_transaction, locked_tables, look, named, open_s, risk, roles, subject, table, terminate, timeout,
    touch,
};
use crate::checks::{Check, FINDINGS_MAX, always};
use crate::evidence::postgres::{Activity, Session};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Effort, Evidence, Finding, Remedy, RemedyKind, Severity};
use crate::text;

/// A minute: no request of a shop waits so long between two statements of one transaction.
const OPEN_S_MAX: f64 = 60.0;
/// Then it is not a slow call to a payment provider but a forgotten transaction.
const OPEN_S_LONG: f64 = 600.0;

pub static CHECK: Check = Check {
    id: "pg-idle-in-transaction",
    layer: Layer::Postgres,
    title: "Sessions sit idle in an open transaction",
    passed: "No session sits idle in an open transaction.",
    why: "A transaction that was begun and not ended keeps its locks and its connection while its application does something else, or has forgotten it. \
          Others wait for its rows, and vacuum may remove nothing that died since.",
    remedy: "Commit before calling other services, and end transactions on every path of the code. A timeout for the role ends those that are forgotten.",
    method: "Sessions idle in a transaction that has been open for over 60 s, by the transaction's start. Low; Medium when it holds locks on tables, holds \
             back vacuum by 100,000 transactions or has been open for over 10 min; High when another session waits for it. A transaction that has failed \
             holds no locks and stays Low. Walsenders, autovacuum and the audit itself are left out. Seen at one moment, at the end of the window.",
    effort: Effort::Hours,
    references: &["https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-IDLE-IN-TRANSACTION-SESSION-TIMEOUT"],
    needs: &[Section::PgActivity],
    uses: &[Section::PgServer],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let activity = snapshot.pg()?.activity()?;
    let groups = by_who(activity.sessions.iter().filter(|s| is_idle_in_transaction(s) && open_s(s) > OPEN_S_MAX));
    let mut findings: Vec<Finding> = groups.iter().map(|(who, group)| finding(snapshot, activity, who, group)).collect();
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.subject.cmp(&b.subject)));
    findings.truncate(FINDINGS_MAX);
    match hidden(snapshot, activity) {
        Some(gap) if findings.is_empty() => Err(gap),
        _ => Ok(findings),
    }
}

fn has_failed(session: &Session) -> bool {
    session.state.contains("aborted")
}

/// Sessions that wait for one of the group.
fn waiters(activity: &Activity, group: &[&Session]) -> u64 {
    activity.sessions.iter().filter(|w| group.iter().any(|s| w.blocked_by.contains(&s.pid))).count() as u64
}

fn severity(activity: &Activity, group: &[&Session]) -> Severity {
    if waiters(activity, group) > 0 {
        return Severity::High;
    }
    let holds_vacuum = holder(Some(activity)).is_some_and(|h| group.iter().any(|s| is_holder(h, s)));
    let is_heavy = |s: &&Session| !has_failed(s) && (open_s(s) > OPEN_S_LONG || !s.locked_tables.is_empty());
    if holds_vacuum || group.iter().any(is_heavy) { Severity::Medium } else { Severity::Low }
}

fn finding(snapshot: &Snapshot, activity: &Activity, who: &str, group: &[&Session]) -> Finding {
    let severity = severity(activity, group);
    let pids: Vec<i32> = group.iter().map(|s| s.pid).collect();
    let one = group.len() == 1;
    let locked = locked_tables(group);
    let blocked = waiters(activity, group);
    let held = holder(Some(activity)).filter(|h| group.iter().any(|s| is_holder(h, s)));
    let also = [
        (!locked.is_empty()).then(|| format!(" {} locks on {}.", if one { "It holds" } else { "They hold" }, named(&locked))),
        (blocked > 0).then(|| format!(" {} for {}.", waits(blocked), if one { "it" } else { "them" })),
        held.map(|h| format!(" Vacuum may remove nothing that died in the last {}.", text::plural(h.age_xids, "transaction", "transactions"))),
        group
            .iter()
            .any(|s| has_failed(s))
            .then(|| " A failed statement ended its transaction, and the application does not roll it back.".to_owned()),
    ];
    let locks = Evidence::text("Locks held on", if locked.is_empty() { "no table of this database".to_owned() } else { locked.join(", ") });
    Finding {
        subject: subject(who),
        observed: format!(
            "{} of {who} {} idle in a transaction, open for up to {}.{}",
            text::plural(group.len() as u64, "session", "sessions"),
            if one { "is" } else { "are" },
            text::seconds(group.first().map_or(0.0, |s| open_s(s))),
            also.into_iter().flatten().collect::<String>()
        ),
        step: format!("End the idle transactions of {who}"),
        evidence: vec![table("Sessions", group), locks],
        severity,
        confidence: Confidence::High,
        confidence_because: "read from the server's list of sessions, at one moment".to_owned(),
        effort: Effort::Hours,
        cost: risk(severity),
        gain: None,
        averts: Some("requests that wait for locks nobody uses".to_owned()),
        remedies: remedies(snapshot, group, &pids),
        verify: format!("Audit again: no session of {who} has been idle in a transaction for over {}.", text::seconds(OPEN_S_MAX)),
        touches: pids.iter().map(|p| touch(*p)).chain(locked.iter().map(|t| format!("table:{t}"))).collect(),
    }
}

fn waits(sessions: u64) -> String {
    format!("{} {}", text::plural(sessions, "session", "sessions"), if sessions == 1 { "waits" } else { "wait" })
}

fn remedies(snapshot: &Snapshot, group: &[&Session], pids: &[i32]) -> Vec<Remedy> {
    vec![
        look(pids),
        terminate(snapshot, pids),
        timeout(
            &roles(group),
            "idle_in_transaction_session_timeout",
            "60s",
            "A transaction that waits longer than a minute for its application is rolled back and its connection closed.",
        ),
        Remedy {
            kind: RemedyKind::Code,
            label: "Call other services outside the transaction".to_owned(),
            text: "// Before: the transaction waits for the network.\nawait manager.transactional(async (em) => {\n  const order = await load(em, id)\n  \
                   await provider.capture(order)\n  await save(em, order)\n})\n\n// After: read, call, then write in a transaction of its own.\n\
                   const order = await load(manager, id)\nconst captured = await provider.capture(order)\n\
                   await manager.transactional((em) => save(em, order, captured))\n"
                .to_owned(),
            lock: None,
            risk: "Between reading and writing another request may change the order: check its version when writing.".to_owned(),
            undo: Some("Put the call back into the transaction.".to_owned()),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::checks::sessions::fixtures::*;
    use crate::evidence::postgres::XminHolder;

    fn judged(sessions: Vec<Session>, edit: impl FnOnce(&mut Activity)) -> Finding {
        findings(&CHECK, &with_sessions(sessions, edit)).remove(0)
    }

    fn locking(pid: i32, transaction_s: f64) -> Session {
        Session { locked_tables: vec!["public.cart".into(), "public.cart_line_item".into()], ..idle(pid, transaction_s) }
    }

    #[test]
    fn a_minute_by_the_transactions_start_is_enough() {
        assert_passes(&CHECK, &with_sessions(vec![idle(7, 60.0)], |_| {}));
        assert_eq!(judged(vec![idle(7, 60.1)], |_| {}).severity, Severity::Low);
        // Idle for a second, in a transaction of two minutes.
        assert_eq!(judged(vec![Session { state_s: Some(1.0), ..idle(7, 120.0) }], |_| {}).severity, Severity::Low);
        assert_eq!(judged(vec![idle(7, 600.0)], |_| {}).severity, Severity::Low);
        assert_eq!(judged(vec![idle(7, 600.1)], |_| {}).severity, Severity::Medium);
        assert_passes(&CHECK, &with_sessions(vec![session(7, 900.0)], |_| {}));
    }

    #[test]
    fn the_locked_tables_are_named() {
        let found = judged(vec![locking(7, 90.0)], |_| {});
        assert_eq!(found.severity, Severity::Medium);
        assert!(found.observed.contains("It holds locks on public.cart and public.cart_line_item."), "{}", found.observed);
        assert!(found.touches.contains(&"table:public.cart".to_owned()));
    }

    #[test]
    fn one_that_others_wait_for_is_high() {
        let found = judged(vec![locking(7, 90.0), waiting(8, 3.0, &[7])], |_| {});
        assert_eq!(found.severity, Severity::High);
        assert!(found.observed.contains("1\u{a0}session waits for it"), "{}", found.observed);
    }

    #[test]
    fn one_that_holds_back_vacuum_is_medium() {
        let holds = |age| move |a: &mut Activity| a.oldest_xmin = Some(XminHolder { kind: "session".into(), name: "pid 7".into(), age_xids: age });
        assert_eq!(judged(vec![idle(7, 90.0)], holds(99_999)).severity, Severity::Low);
        assert_eq!(judged(vec![idle(7, 90.0)], holds(100_000)).severity, Severity::Medium);
    }

    #[test]
    fn a_failed_transaction_holds_nothing() {
        let failed = Session { state: "idle in transaction (aborted)".into(), ..idle(7, 4_000.0) };
        let found = judged(vec![failed], |_| {});
        assert_eq!(found.severity, Severity::Low);
        assert!(found.observed.contains("does not roll it back"));
    }

    #[test]
    fn hidden_sessions_are_no_good_news_and_needs_are_exact() {
        assert_unknown(&CHECK, &with_sessions(Vec::new(), |a| a.hidden = 1));
        assert_needs_are_exact(&CHECK, &with_sessions(vec![locking(7, 90.0)], |_| {}));
    }
}
