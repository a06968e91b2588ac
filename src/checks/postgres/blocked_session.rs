//! Sessions that wait for a lock, and who keeps them waiting.

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::sessions::{hidden, is_idle_in_transaction, look, open_s, risk, roles, subject, table, terminate, timeout, touch, who};
use crate::checks::{Check, FINDINGS_MAX, always};
use crate::evidence::postgres::{Activity, Session};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Effort, Evidence, Finding, Remedy, RemedyKind, Severity};
use crate::text;

/// A shopper has left by then.
const WAIT_S_MAX: f64 = 30.0;
const WAIT_S_LONG: f64 = 300.0;
/// Of the connections that can be had: the pools fill up behind the one.
const WAITING_SHARE_HIGH: f64 = 0.10;
const WAITING_SHARE_CRITICAL: f64 = 0.25;
/// What `pg_blocking_pids` says of a transaction that was prepared and has no session.
const PREPARED: i32 = 0;
/// Lines of the tree that are shown.
const LINES_MAX: usize = 40;

pub static CHECK: Check = Check {
    id: "pg-blocked-session",
    layer: Layer::Postgres,
    title: "Sessions wait for a lock that another holds",
    passed: "No session has waited for a lock for more than 30 seconds.",
    why: "One session that keeps its lock stops all that want the same rows or the same table, and those stop others. The shop stands still while the server \
          is idle, and the connections run out.",
    remedy: "End the session at the root of the queue; then find why it kept its lock. Schema changes set lock_timeout, so that they give up instead of \
             queueing everybody behind them.",
    method: "Sessions that wait for a lock for over 30 s, by the time the wait began (Postgres 14 and later; before, by the statement's start, which \
             says too much, with Low confidence), joined to who blocks whom, one finding for each session at a root. Over 5 min, or 10 % of the \
             connections waiting, is High, 25 % Critical. Seen at one moment, at the end of the window.",
    effort: Effort::Minutes,
    references: &[
        "https://www.postgresql.org/docs/current/explicit-locking.html",
        "https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SESSION",
    ],
    needs: &[Section::PgActivity],
    uses: &[Section::PgServer],
    symptom_of: &["pg-idle-in-transaction", "pg-long-transaction"],
    applies_to: always,
    evaluate,
};

/// Everybody who waits behind the sessions of one program.
struct Queue<'s> {
    roots: Vec<i32>,
    root_sessions: Vec<&'s Session>,
    /// In the order of the tree, each once.
    waiters: Vec<&'s Session>,
    lines: Vec<String>,
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let activity = snapshot.pg()?.activity()?;
    let mut findings: Vec<Finding> =
        queues(activity).iter().filter(|(_, q)| longest_s(q) > WAIT_S_MAX).map(|(who, queue)| finding(snapshot, activity, who, queue)).collect();
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.subject.cmp(&b.subject)));
    findings.truncate(FINDINGS_MAX);
    match hidden(snapshot, activity) {
        Some(gap) if findings.is_empty() => Err(gap),
        _ => Ok(findings),
    }
}

/// Seconds it has waited; before Postgres 14 at most so many.
fn wait_s(session: &Session) -> f64 {
    session.waiting_s.or(session.statement_s).unwrap_or(0.0)
}

fn longest_s(queue: &Queue) -> f64 {
    queue.waiters.iter().map(|s| wait_s(s)).fold(0.0, f64::max)
}

/// Queues by the program at their root.
fn queues(activity: &Activity) -> BTreeMap<String, Queue<'_>> {
    let by_pid: BTreeMap<i32, &Session> = activity.sessions.iter().map(|s| (s.pid, s)).collect();
    let mut blocked: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for session in by_pid.values() {
        for pid in session.blocked_by.iter().collect::<BTreeSet<_>>() {
            blocked.entry(*pid).or_default().push(session.pid);
        }
    }
    let is_root = |pid: &&i32| by_pid.get(*pid).is_none_or(|s| s.blocked_by.is_empty());
    let mut queues: BTreeMap<String, Queue> = BTreeMap::new();
    for root in blocked.keys().filter(is_root) {
        let session = by_pid.get(root).copied();
        let name =
            session.map_or_else(|| if *root == PREPARED { "a prepared transaction".to_owned() } else { "a background process".to_owned() }, who);
        let queue =
            queues.entry(name).or_insert_with(|| Queue { roots: Vec::new(), root_sessions: Vec::new(), waiters: Vec::new(), lines: Vec::new() });
        queue.roots.push(*root);
        queue.root_sessions.extend(session);
        queue.lines.push(root_line(*root, session));
        descend(*root, 1, &blocked, &by_pid, queue);
    }
    queues
}

/// Adds those behind `pid`, each at its first place: one that waits for two is not counted twice.
fn descend<'s>(pid: i32, depth: usize, blocked: &BTreeMap<i32, Vec<i32>>, by_pid: &BTreeMap<i32, &'s Session>, queue: &mut Queue<'s>) {
    for waiter in blocked.get(&pid).into_iter().flatten() {
        let Some(session) = by_pid.get(waiter).copied() else { continue };
        if queue.waiters.iter().any(|w| w.pid == session.pid) {
            continue;
        }
        queue.waiters.push(session);
        let indent = "   ".repeat(depth - 1);
        queue.lines.push(format!("{indent}└─ pid {waiter}  {}  waits {}{}", who(session), text::seconds(wait_s(session)), holds(session)));
        descend(*waiter, depth + 1, blocked, by_pid, queue);
    }
}

fn root_line(pid: i32, session: Option<&Session>) -> String {
    match session {
        Some(s) => format!("pid {pid}  {}  {}, transaction open for {}{}", who(s), s.state, text::seconds(open_s(s)), holds(s)),
        None if pid == PREPARED => "a prepared transaction, which has no session".to_owned(),
        None => format!("pid {pid}  no client session: autovacuum, a replica or another background process"),
    }
}

fn holds(session: &Session) -> String {
    if session.locked_tables.is_empty() { String::new() } else { format!("  holds {}", session.locked_tables.join(", ")) }
}

fn severity(activity: &Activity, queue: &Queue) -> Severity {
    let usable = activity.max_connections.saturating_sub(activity.reserved).max(1);
    let share = queue.waiters.len() as f64 / f64::from(usable);
    if share >= WAITING_SHARE_CRITICAL {
        Severity::Critical
    } else if share >= WAITING_SHARE_HIGH || longest_s(queue) > WAIT_S_LONG {
        Severity::High
    } else {
        Severity::Medium
    }
}

fn finding(snapshot: &Snapshot, activity: &Activity, who: &str, queue: &Queue) -> Finding {
    let severity = severity(activity, queue);
    let is_measured = queue.waiters.iter().any(|s| s.waiting_s.is_some());
    let waiters = queue.waiters.len() as u64;
    let root = match queue.root_sessions.as_slice() {
        [one] if is_idle_in_transaction(one) => format!(", which is idle in a transaction of {}", text::seconds(open_s(one))),
        [one] => format!(", whose transaction has been open for {}", text::seconds(open_s(one))),
        _ => String::new(),
    };
    let mut evidence = vec![tree(queue)];
    if !queue.root_sessions.is_empty() {
        evidence.push(table("At the root", &queue.root_sessions));
    }
    let touched = queue.roots.iter().copied().chain(queue.waiters.iter().map(|s| s.pid)).filter(|p| *p != PREPARED).map(touch);
    Finding {
        subject: subject(who),
        observed: format!(
            "{} {} for up to {} behind {who}{root}.",
            text::plural(waiters, "session", "sessions"),
            if waiters == 1 { "has waited" } else { "have waited" },
            text::seconds(longest_s(queue))
        ),
        step: format!("Free the sessions that wait behind {who}"),
        evidence,
        severity,
        confidence: if is_measured { Confidence::High } else { Confidence::Low },
        confidence_because: if is_measured {
            "the server says since when each waits and for whom".to_owned()
        } else {
            "this version does not say since when they wait, only since when their statement runs".to_owned()
        },
        effort: Effort::Minutes,
        cost: risk(severity),
        gain: None,
        averts: Some("a shop that stands still".to_owned()),
        remedies: remedies(snapshot, queue),
        verify: format!("Audit again: no session has waited for over {}.", text::seconds(WAIT_S_MAX)),
        touches: touched.collect(),
    }
}

fn tree(queue: &Queue) -> Evidence {
    let mut lines: Vec<String> = queue.lines.iter().take(LINES_MAX).cloned().collect();
    if queue.lines.len() > LINES_MAX {
        lines.push(format!("and {} more", text::count((queue.lines.len() - LINES_MAX) as u64)));
    }
    Evidence::Code { label: "Who waits for whom".to_owned(), language: "text".to_owned(), text: lines.join("\n") }
}

fn remedies(snapshot: &Snapshot, queue: &Queue) -> Vec<Remedy> {
    let pids: Vec<i32> = queue.root_sessions.iter().map(|s| s.pid).collect();
    let mut remedies = Vec::new();
    if pids.is_empty() {
        remedies.push(prepared());
    } else {
        remedies.extend([look(&pids), terminate(snapshot, &pids)]);
    }
    let waiting = roles(&queue.waiters);
    if !waiting.is_empty() {
        let risk = "A statement that would wait longer fails with an error instead of queueing others behind it: the application must retry it. \
                    For migrations alone, set it at their start: set lock_timeout = '5s'.";
        remedies.push(timeout(&waiting, "lock_timeout", "10s", risk));
    }
    remedies
}

fn prepared() -> Remedy {
    Remedy {
        kind: RemedyKind::Sql,
        label: "See what holds the lock".to_owned(),
        text: "select gid, prepared, owner, database from pg_prepared_xacts order by prepared;\nselect pid, backend_type, state, xact_start from \
               pg_stat_activity where backend_type <> 'client backend' order by xact_start;"
            .to_owned(),
        lock: Some("None.".to_owned()),
        risk: "None: it reads. A prepared transaction that nobody will commit is ended by rollback prepared 'GID'; autovacuum gives way by itself unless it \
               works against wraparound: let that one finish."
            .to_owned(),
        undo: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::checks::sessions::fixtures::*;

    fn shown(finding: &Finding) -> &str {
        match &finding.evidence[0] {
            Evidence::Code { text, .. } => text,
            other => panic!("{other:?}"),
        }
    }

    fn queue_of(waiters: i32) -> Snapshot {
        let behind = (0..waiters).map(|i| waiting(100 + i, 40.0, &[7]));
        with_sessions([idle(7, 90.0)].into_iter().chain(behind).collect(), |a| (a.max_connections, a.reserved) = (103, 3))
    }

    #[test]
    fn thirty_seconds_are_enough() {
        assert_passes(&CHECK, &with_sessions(vec![idle(7, 90.0), waiting(8, 30.0, &[7])], |_| {}));
        assert_eq!(findings(&CHECK, &with_sessions(vec![idle(7, 90.0), waiting(8, 30.1, &[7])], |_| {}))[0].severity, Severity::Medium);
        assert_eq!(findings(&CHECK, &with_sessions(vec![idle(7, 900.0), waiting(8, 300.0, &[7])], |_| {}))[0].severity, Severity::Medium);
        assert_eq!(findings(&CHECK, &with_sessions(vec![idle(7, 900.0), waiting(8, 300.1, &[7])], |_| {}))[0].severity, Severity::High);
    }

    #[test]
    fn the_share_of_the_connections_decides() {
        for (waiters, severity) in [(9, Severity::Medium), (10, Severity::High), (24, Severity::High), (25, Severity::Critical)] {
            assert_eq!(findings(&CHECK, &queue_of(waiters))[0].severity, severity, "{waiters}");
        }
    }

    #[test]
    fn the_tree_starts_at_the_root() {
        let holding = Session { locked_tables: vec!["public.cart".into()], ..idle(7, 90.0) };
        let found = findings(&CHECK, &with_sessions(vec![waiting(9, 35.0, &[8]), waiting(8, 45.0, &[7]), holding], |_| {}));
        assert_eq!(found.len(), 1);
        let tree = shown(&found[0]).replace('\u{a0}', " ");
        assert_eq!(
            tree,
            "pid 7  medusa (api)  idle in transaction, transaction open for 90 s  holds public.cart\n\
             └─ pid 8  medusa (api)  waits 45 s\n   └─ pid 9  medusa (api)  waits 35 s"
        );
        assert!(found[0].observed.starts_with("2\u{a0}sessions have waited for up to 45\u{a0}s behind medusa (api)"), "{}", found[0].observed);
        assert!(found[0].remedies[1].text.contains("pid in (7)"), "the root is ended, nobody else");
    }

    #[test]
    fn rings_and_two_blockers_do_not_confuse() {
        assert_passes(&CHECK, &with_sessions(vec![waiting(7, 45.0, &[8]), waiting(8, 45.0, &[7])], |_| {}));
        let both = Session { application: "worker".into(), ..idle(6, 90.0) };
        let found = findings(&CHECK, &with_sessions(vec![both, idle(7, 90.0), waiting(8, 45.0, &[6, 7, 7])], |_| {}));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn those_without_a_session_are_named() {
        let found = findings(&CHECK, &with_sessions(vec![waiting(8, 45.0, &[0])], |_| {}));
        assert!(found[0].observed.contains("behind a prepared transaction") && found[0].remedies[0].text.contains("pg_prepared_xacts"));
        let found = findings(&CHECK, &with_sessions(vec![waiting(8, 45.0, &[99])], |_| {}));
        assert!(shown(&found[0]).starts_with("pid 99  no client session"));
    }

    #[test]
    fn old_servers_are_judged_by_the_statement() {
        let old = Session { waiting_s: None, ..waiting(8, 45.0, &[7]) };
        assert_eq!(findings(&CHECK, &with_sessions(vec![idle(7, 90.0), old], |_| {}))[0].confidence, Confidence::Low);
    }

    #[test]
    fn hidden_sessions_are_no_good_news_and_needs_are_exact() {
        assert_unknown(&CHECK, &with_sessions(Vec::new(), |a| a.hidden = 1));
        assert_needs_are_exact(&CHECK, &queue_of(3));
    }
}
