//! Sessions as the checks speak of them: who they are, how to look at them and end them, what bounds them, and what holds vacuum back.

use std::collections::BTreeMap;

use time::macros::format_description;
use time::{Duration, OffsetDateTime, UtcOffset};

use super::server_settings::{Change, on_another, server_wide};
use crate::evidence::postgres::{Activity, Session, XminHolder, quote};
use crate::evidence::{Cause, Gap, Section, Snapshot};
use crate::finding::{Cell, Cost, Evidence, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// An open transaction this many transactions old keeps dead rows from being removed.
pub const XMIN_AGE_MIN: u64 = 100_000;

/// "medusa (api)": stable between runs, unlike a pid.
pub fn who(session: &Session) -> String {
    let role = if session.role.is_empty() { "an unknown role" } else { &session.role };
    if session.application.is_empty() { role.to_owned() } else { format!("{role} ({})", session.application) }
}

pub fn subject(who: &str) -> Subject {
    Subject::new("session", who)
}

/// Findings about one session lie together.
pub fn touch(pid: i32) -> String {
    format!("session:{pid}")
}

/// Sessions by who they are, each group longest transaction first.
pub fn by_who<'s>(sessions: impl Iterator<Item = &'s Session>) -> BTreeMap<String, Vec<&'s Session>> {
    let mut groups: BTreeMap<String, Vec<&Session>> = BTreeMap::new();
    for session in sessions {
        groups.entry(who(session)).or_default().push(session);
    }
    for group in groups.values_mut() {
        group.sort_by(|a, b| open_s(b).total_cmp(&open_s(a)).then_with(|| a.pid.cmp(&b.pid)));
    }
    groups
}

/// Seconds its transaction has been open.
pub fn open_s(session: &Session) -> f64 {
    session.transaction_s.unwrap_or(0.0)
}

pub fn is_idle_in_transaction(session: &Session) -> bool {
    session.state.starts_with("idle in transaction")
}

/// Tables that a group holds locks on, in order, each once.
pub fn locked_tables(group: &[&Session]) -> Vec<String> {
    let mut tables: Vec<String> = group.iter().flat_map(|s| s.locked_tables.iter().cloned()).collect();
    tables.sort();
    tables.dedup();
    tables
}

/// "a", "a and b", "a, b and 3 more".
pub fn named(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        [one, two, rest @ ..] => format!("{one}, {two} and {} more", text::count(rest.len() as u64)),
    }
}

/// Sessions of other roles whose state is hidden: nothing found is then no good news. With pg_monitor the shop's are seen; what a managed
/// server hides all the same are its provider's own, which no grant opens.
pub fn hidden(snapshot: &Snapshot, activity: &Activity) -> Option<Gap> {
    let server = snapshot.pg().and_then(|pg| pg.server()).ok();
    if activity.hidden == 0 || server.is_some_and(|s| s.has_pg_monitor || s.is_superuser) {
        return None;
    }
    let role = server.map_or_else(|| "ROLE".to_owned(), |s| quote(&s.role));
    let cause = Cause::Denied { grant: format!("grant pg_monitor to {role};") };
    let detail = format!("This role may not see the state of {} of other roles.", text::plural(activity.hidden.into(), "session", "sessions"));
    Some(Gap::new(Section::PgActivity, cause, detail))
}

/// A loss that has not happened yet, weighed by how near it is.
pub fn risk(severity: Severity) -> Cost {
    let share = match severity {
        Severity::Info => 0.0,
        Severity::Low => 0.02,
        Severity::Medium => 0.1,
        Severity::High => 0.3,
        Severity::Critical => 0.8,
    };
    Cost { resource: Resource::Risk, share }
}

/// The sessions as rows; no statement text is ever read.
pub fn table(label: &str, group: &[&Session]) -> Evidence {
    let columns = ["Process", "State", "Transaction open", "Idle or running for", "Holds locks on"];
    let seconds = |s: Option<f64>| s.map_or_else(|| Cell::text("not known"), |s| Cell::number(s, text::seconds(s)));
    let row = |s: &&Session| {
        vec![
            Cell::text(s.pid.to_string()),
            Cell::text(&s.state),
            seconds(s.transaction_s),
            seconds(if is_idle_in_transaction(s) { s.state_s } else { s.statement_s.or(s.state_s) }),
            Cell::text(s.locked_tables.join(", ")),
        ]
    };
    Evidence::table(label, &columns, group.iter().map(row).collect())
}

fn list(pids: &[i32]) -> String {
    pids.iter().map(i32::to_string).collect::<Vec<_>>().join(", ")
}

/// What the sessions do, for the eyes of whoever may see it.
pub fn look(pids: &[i32]) -> Remedy {
    Remedy {
        kind: RemedyKind::Sql,
        label: "See what they do".to_owned(),
        text: format!(
            "select pid, usename, application_name, client_addr, state, xact_start, state_change, left(query, 500) as query\nfrom pg_stat_activity\n\
             where pid in ({})\norder by xact_start;",
            list(pids)
        ),
        lock: Some("None.".to_owned()),
        risk: "None: it reads. The statement's text may hold customers' data, which is why this report does not.".to_owned(),
        undo: None,
    }
}

/// Ends the sessions that were seen and no others: a process id is given to another session later.
pub fn terminate(snapshot: &Snapshot, pids: &[i32]) -> Remedy {
    Remedy {
        kind: RemedyKind::Sql,
        label: "End them".to_owned(),
        text: format!(
            "select pid, pg_terminate_backend(pid)\nfrom pg_stat_activity\nwhere pid in ({}) and xact_start < '{}';",
            list(pids),
            moment(snapshot)
        ),
        lock: Some("None; their locks are released.".to_owned()),
        risk: "What they did since their transaction began is rolled back, and their application gets an error: look at them first. Needs the same role, \
               pg_signal_backend or a superuser. Only transactions that were open at the time of this audit are ended."
            .to_owned(),
        undo: None,
    }
}

/// Just after the last reading, by the server's clock.
fn moment(snapshot: &Snapshot) -> String {
    let now: OffsetDateTime = snapshot.pg().and_then(|pg| pg.server()).map_or(snapshot.meta.taken_at, |s| s.now);
    let after = now.to_offset(UtcOffset::UTC) + Duration::seconds(1);
    after.format(format_description!("[year]-[month]-[day] [hour]:[minute]:[second]+00")).unwrap_or_else(|_| after.to_string())
}

/// A limit that the server holds the role to from its next session on.
pub fn timeout(roles: &[String], setting: &str, value: &str, risk: &str) -> Remedy {
    let lines =
        |verb: &str, tail: &str| roles.iter().map(|r| format!("alter role {} {verb} {setting}{tail};", quote(r))).collect::<Vec<_>>().join("\n");
    Remedy {
        kind: RemedyKind::Sql,
        label: "Bound it for the role".to_owned(),
        text: lines("set", &format!(" = '{value}'")),
        lock: Some("None; it holds for new sessions, so restart the application or let its pool renew its connections.".to_owned()),
        risk: risk.to_owned(),
        undo: Some(lines("reset", "")),
    }
}

/// The roles of a group, each once.
pub fn roles(group: &[&Session]) -> Vec<String> {
    let mut roles: Vec<String> = group.iter().map(|s| s.role.clone()).filter(|r| !r.is_empty()).collect();
    roles.sort();
    roles.dedup();
    roles
}

/// What holds vacuum back, when it is old enough to matter.
pub fn holder(activity: Option<&Activity>) -> Option<&XminHolder> {
    activity.and_then(|a| a.oldest_xmin.as_ref()).filter(|h| h.age_xids >= XMIN_AGE_MIN)
}

/// Whether the holder is this session.
pub fn is_holder(holder: &XminHolder, session: &Session) -> bool {
    holder.kind == "session" && holder.name == format!("pid {}", session.pid)
}

/// "session pid 4711 of medusa (api), idle in transaction for 2 h".
pub fn holder_words(activity: &Activity, holder: &XminHolder) -> String {
    match activity.sessions.iter().find(|s| is_holder(holder, s)) {
        Some(s) => format!("{} {} of {}, {} for {},", holder.kind, holder.name, who(s), s.state, text::seconds(open_s(s))),
        None => format!("{} {}", holder.kind, holder.name),
    }
}

/// How the holder is made to let go.
pub fn release(snapshot: &Snapshot, holder: &XminHolder) -> Remedy {
    let literal = holder.name.replace('\'', "''");
    let pid = holder.name.strip_prefix("pid ").and_then(|p| p.parse::<i32>().ok());
    let (label, text, risk) = match (holder.kind.as_str(), pid) {
        ("session", Some(pid)) => return terminate(snapshot, &[pid]),
        ("prepared transaction", _) => (
            "Roll the prepared transaction back",
            format!("rollback prepared '{literal}';"),
            "What it prepared is lost: its transaction manager may still mean to commit it. Run it in the transaction's database, as its owner.",
        ),
        ("replication slot", _) => (
            "Drop the replication slot",
            format!("select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = '{literal}' and not active;"),
            "Its replica or consumer cannot go on from where it was and must be set up anew. A slot in use is not dropped.",
        ),
        _ => match let_standby_go(snapshot) {
            Some(remedy) => return remedy,
            None => (
                "See which replica holds rows",
                "select application_name, client_addr, state, age(backend_xmin) as held\nfrom pg_stat_replication\nwhere backend_xmin is not null;"
                    .to_owned(),
                "None: it reads. End the long query on that replica.",
            ),
        },
    };
    Remedy { kind: RemedyKind::Sql, label: label.to_owned(), text, lock: Some("None.".to_owned()), risk: risk.to_owned(), undo: None }
}

/// `None`: the platform offers no such setting.
fn let_standby_go(snapshot: &Snapshot) -> Option<Remedy> {
    let changes = [Change::elsewhere("hot_standby_feedback", "off", "off")];
    let risk = "Long queries on the standby may then be cancelled when their rows are vacuumed on the primary.";
    server_wide(snapshot, "Let the standby stop holding rows", &changes, risk).map(|r| on_another("standby", r))
}

/// Ids that a finding about the holder shares with the finding about what it is.
pub fn holder_touch(holder: &XminHolder) -> String {
    match (holder.kind.as_str(), holder.name.strip_prefix("pid ")) {
        ("session", Some(pid)) => format!("session:{pid}"),
        ("replication slot", _) => format!("slot:{}", holder.name),
        _ => format!("holder:{}", holder.name),
    }
}

#[cfg(test)]
pub mod fixtures {
    use crate::evidence::Snapshot;
    use crate::evidence::postgres::{Activity, Session};

    /// A session of the shop's backend, active, its transaction open for so long.
    pub fn session(pid: i32, transaction_s: f64) -> Session {
        Session {
            pid,
            application: "api".into(),
            role: "medusa".into(),
            state: "active".into(),
            wait: None,
            transaction_s: Some(transaction_s),
            statement_s: Some(transaction_s),
            state_s: Some(transaction_s),
            waiting_s: None,
            blocked_by: Vec::new(),
            statement_id: None,
            locked_tables: Vec::new(),
        }
    }

    pub fn idle(pid: i32, transaction_s: f64) -> Session {
        Session { state: "idle in transaction".into(), statement_s: None, ..session(pid, transaction_s) }
    }

    pub fn waiting(pid: i32, waiting_s: f64, behind: &[i32]) -> Session {
        Session { waiting_s: Some(waiting_s), blocked_by: behind.to_vec(), wait: Some("Lock:relation".into()), ..session(pid, waiting_s) }
    }

    /// Where some are hidden, the role lacks pg_monitor.
    pub fn with_sessions(sessions: Vec<Session>, edit: impl FnOnce(&mut Activity)) -> Snapshot {
        crate::checks::fixtures::store(|pg| {
            if let (Ok(activity), Ok(server)) = (&mut pg.activity, &mut pg.server) {
                activity.sessions = sessions;
                edit(activity);
                server.has_pg_monitor = activity.hidden == 0;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::fixtures::*;
    use super::*;
    use crate::checks::server_settings::tests::run_by;

    #[test]
    fn names_are_stable_and_lists_short() {
        assert_eq!(who(&session(1, 1.0)), "medusa (api)");
        assert_eq!(who(&Session { application: String::new(), ..session(1, 1.0) }), "medusa");
        let own = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(named(&own(&["a"])), "a");
        assert_eq!(named(&own(&["a", "b"])), "a and b");
        assert_eq!(named(&own(&["a", "b", "c", "d"])), "a, b and 2 more");
    }

    #[test]
    fn what_a_provider_hides_is_no_gap() {
        let mut snapshot = with_sessions(Vec::new(), |a| a.hidden = 1);
        let gap = |s: &Snapshot| hidden(s, s.pg().unwrap().activity().unwrap());
        assert!(gap(&snapshot).is_some());
        snapshot.postgres.as_mut().unwrap().server.as_mut().unwrap().has_pg_monitor = true;
        assert!(gap(&snapshot).is_none());
    }

    #[test]
    fn only_transactions_that_were_seen_are_ended() {
        let text = terminate(&with_sessions(Vec::new(), |_| {}), &[7, 9]).text;
        assert!(text.ends_with("where pid in (7, 9) and xact_start < '2026-11-23 09:30:01+00';"), "{text}");
    }

    #[test]
    fn every_holder_has_a_way_to_let_go() {
        let mut snapshot = with_sessions(Vec::new(), |_| {});
        let of = |snapshot: &Snapshot, kind: &str, name: &str| {
            let holder = XminHolder { kind: kind.into(), name: name.into(), age_xids: XMIN_AGE_MIN };
            (release(snapshot, &holder).text, holder_touch(&holder))
        };
        let text = |kind: &str, name: &str| of(&snapshot, kind, name);
        assert!(text("session", "pid 7").0.contains("pid in (7)"));
        assert_eq!(text("session", "pid 7").1, touch(7));
        assert_eq!(text("prepared transaction", "o'k").0, "rollback prepared 'o''k';");
        assert!(text("replication slot", "old").0.contains("slot_name = 'old' and not active"));
        assert!(text("standby", "s1").0.contains("alter system set hot_standby_feedback = off;"));
        for (platform, said) in [("rds", "ParameterName=hot_standby_feedback,ParameterValue=0"), ("neon", "from pg_stat_replication")] {
            run_by(snapshot.postgres.as_mut().unwrap(), platform);
            let text = of(&snapshot, "standby", "s1").0;
            assert!(text.contains(said) && !text.contains("alter system"), "{text}");
        }
    }
}
