//! Whether a pooler stands between the application and the server. Shared by the checks of connections.

use crate::evidence::Snapshot;
use crate::evidence::postgres::SessionGroup;

/// Poolers by the names that they, or their own roles, sign in with.
const NAMES: [(&str, &str); 7] = [
    ("pgbouncer", "PgBouncer"),
    ("supavisor", "Supavisor"),
    ("rdsproxy", "RDS Proxy"),
    ("rds_proxy", "RDS Proxy"),
    ("pgcat", "PgCat"),
    ("pgpool", "Pgpool-II"),
    ("odyssey", "Odyssey"),
];

/// The pooler that was seen, by our own connection or by a session's name. A pooler that passes its clients' names on is not seen.
pub fn pooler(snapshot: &Snapshot) -> Option<&'static str> {
    let pg = snapshot.pg().ok()?;
    if let Ok(activity) = &pg.activity {
        for group in &activity.groups {
            let (application, role) = (group.application.to_lowercase(), group.role.to_lowercase());
            if let Some((_, name)) = NAMES.iter().find(|(word, _)| application.contains(word) || role.contains(word)) {
                return Some(name);
            }
        }
    }
    let is_pooled = pg.server.as_ref().is_ok_and(|s| s.is_pooled == Some(true));
    is_pooled.then_some("a pooler")
}

pub fn idle(groups: &[SessionGroup]) -> u32 {
    in_state(groups, |s| s == "idle")
}

pub fn idle_in_transaction(groups: &[SessionGroup]) -> u32 {
    in_state(groups, |s| s.starts_with("idle in transaction"))
}

pub fn active(groups: &[SessionGroup]) -> u32 {
    in_state(groups, |s| s == "active")
}

fn in_state(groups: &[SessionGroup], is: impl Fn(&str) -> bool) -> u32 {
    groups.iter().filter(|g| is(&g.state)).map(|g| g.count).sum()
}

/// Connections of one role to any database.
pub fn of_role(groups: &[SessionGroup], role: &str) -> u32 {
    groups.iter().filter(|g| g.role == role).map(|g| g.count).sum()
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::checks::fixtures::store;

    pub fn group(application: &str, role: &str, state: &str, count: u32) -> SessionGroup {
        SessionGroup { application: application.into(), role: role.into(), state: state.into(), count }
    }

    #[test]
    fn a_pooler_is_known_by_its_name_or_by_our_own_connection() {
        let seen = |groups: Vec<SessionGroup>, is_pooled| {
            pooler(&store(|pg| {
                pg.activity.as_mut().unwrap().groups = groups;
                pg.server.as_mut().unwrap().is_pooled = is_pooled;
            }))
        };
        assert_eq!(seen(vec![group("Supavisor", "postgres", "idle", 3)], Some(false)), Some("Supavisor"));
        assert_eq!(seen(vec![group("", "pgbouncer", "idle", 3)], None), Some("PgBouncer"));
        assert_eq!(seen(vec![group("", "medusa", "idle", 3)], Some(true)), Some("a pooler"));
        assert_eq!(seen(vec![group("", "medusa", "idle", 3)], None), None);
    }

    #[test]
    fn states_are_counted_apart() {
        let groups = vec![
            group("", "medusa", "idle", 3),
            group("", "medusa", "idle in transaction", 2),
            group("", "medusa", "idle in transaction (aborted)", 1),
            group("", "other", "active", 4),
        ];
        let snapshot = store(|pg| pg.activity.as_mut().unwrap().groups = groups);
        let groups = &snapshot.pg().unwrap().activity.as_ref().unwrap().groups;
        assert_eq!((idle(groups), idle_in_transaction(groups), active(groups)), (3, 3, 4));
        assert_eq!(of_role(groups, "medusa"), 6);
    }
}
