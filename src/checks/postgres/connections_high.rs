//! The connections are running out.

use crate::checks::poolers::{idle, idle_in_transaction, of_role, pooler};
use crate::checks::sessions::timeout;
use crate::checks::{Check, always};
use crate::evidence::postgres::{Activity, RoleSettings, SessionGroup, quote};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Of the connections that ordinary roles can have.
const SHARE_MAX: f64 = 0.80;
const SHARE_HIGH: f64 = 0.90;
/// The next deployment, which doubles the instances for a minute, will be refused.
const SHARE_CRITICAL: f64 = 0.95;
/// Idle backends from which a smaller pool would end it.
const IDLE_SHARE_MIN: f64 = 0.5;
/// Transactions left open from which ending them would end it.
const IN_TRANSACTION_SHARE_MIN: f64 = 0.2;

pub static CHECK: Check = Check {
    id: "pg-connections-high",
    layer: Layer::Postgres,
    title: "The connections are running out",
    passed: "There are connections to spare.",
    why: "Postgres refuses new connections once all are taken: the shop answers with errors at the moment it is busiest, and an administrator may not get in \
          either.",
    remedy: "Bound the pools of the instances so that their sum stays below what the server has, or put a pooler in front.",
    method: "Counts the client connections of all databases, our own left out, against max_connections without the reserved ones, and those of each role with a \
             connection limit against that limit: over 80 % is Medium, over 90 % High, over 95 % Critical. Transactions left idle are named from a fifth of the \
             connections on; where a pooler is seen, its own pool is what to bound.",
    effort: Effort::Hours,
    references: &[
        "https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-MAX-CONNECTIONS",
        "https://www.pgbouncer.org/config.html",
    ],
    needs: &[Section::PgActivity],
    uses: &[Section::PgMedusa, Section::PgRoles, Section::PgServer],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

/// What is running out: all connections, or those of one role.
struct Taken<'s> {
    role: Option<&'s RoleSettings>,
    /// The sessions that take them, by application, role and state.
    groups: Vec<SessionGroup>,
    connections: u32,
    usable: u32,
}

impl Taken<'_> {
    fn share(&self) -> f64 {
        f64::from(self.connections) / f64::from(self.usable.max(1))
    }

    fn idle_share(&self) -> f64 {
        f64::from(idle(&self.groups)) / f64::from(self.connections.max(1))
    }

    fn left_open_share(&self) -> f64 {
        f64::from(idle_in_transaction(&self.groups)) / f64::from(self.connections.max(1))
    }
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let activity = pg.activity()?;
    let usable = activity.max_connections.saturating_sub(activity.reserved);
    if usable == 0 {
        return Err(Gap::new(Section::PgActivity, Cause::Unreadable, "The server says that it takes no connections."));
    }
    let own = pg.server.as_ref().map(|s| s.role.as_str()).unwrap_or_default();
    let roles: &[RoleSettings] = pg.roles.as_ref().map_or(&[], Vec::as_slice);
    // Our own role is limited on purpose, and to what we need.
    let limited = roles.iter().filter(|r| is_tighter(r, usable) && r.role != own).map(|role| Taken {
        role: Some(role),
        groups: activity.groups.iter().filter(|g| g.role == role.role).cloned().collect(),
        connections: of_role(&activity.groups, &role.role),
        usable: u32::try_from(role.connection_limit).unwrap_or(usable).min(usable),
    });
    let all = Taken { role: None, groups: activity.groups.clone(), connections: activity.connections, usable };
    Ok(std::iter::once(all).chain(limited).filter(|t| t.share() > SHARE_MAX).map(|t| finding(snapshot, activity, &t)).collect())
}

/// A limit as high as the server's own is the server's.
fn is_tighter(role: &RoleSettings, usable: u32) -> bool {
    u32::try_from(role.connection_limit).is_ok_and(|limit| limit > 0 && limit < usable)
}

/// How near the refusals are: nothing at the threshold, a quarter half-way, certain when all are taken.
fn risk(share: f64) -> f64 {
    ((share - SHARE_MAX) / (1.0 - SHARE_MAX)).clamp(0.0, 1.0).powi(2)
}

fn finding(snapshot: &Snapshot, activity: &Activity, taken: &Taken) -> Finding {
    let share = taken.share();
    let of_whom = taken.role.map_or_else(String::new, |r| format!(" of role {}", r.role));
    let limit = match taken.role {
        Some(role) => format!("alter role {} connection limit", quote(&role.role)),
        None => "max_connections, less the reserved ones".to_owned(),
    };
    Finding {
        subject: match taken.role {
            Some(role) => Subject::new("role", &role.role),
            None => Subject::new("server", "connections"),
        },
        observed: format!(
            "{} of {} usable connections{of_whom} are taken ({}).{}",
            text::count(taken.connections.into()),
            text::count(taken.usable.into()),
            text::percent(share),
            by_whom(snapshot, taken)
        ),
        step: "Bound the connection pools".to_owned(),
        evidence: vec![
            groups(taken),
            Evidence::figure("Usable connections", taken.usable.into(), "connections", text::count(taken.usable.into())),
            Evidence::text("Limited by", limit),
        ],
        severity: match share {
            s if s > SHARE_CRITICAL => Severity::Critical,
            s if s > SHARE_HIGH => Severity::High,
            _ => Severity::Medium,
        },
        confidence: if activity.hidden == 0 { Confidence::High } else { Confidence::Medium },
        confidence_because: if activity.hidden == 0 {
            "every connection was counted".to_owned()
        } else {
            "the states of other roles' connections are hidden".to_owned()
        },
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Risk, share: risk(share) },
        gain: None,
        averts: Some("refused connections".to_owned()),
        remedies: remedies(snapshot, taken),
        verify: format!("Audit again at the busiest hour: at most {} connections.", text::count((f64::from(taken.usable) * SHARE_MAX) as u64)),
        touches: Vec::new(),
    }
}

/// What the connections do, as far as it says how to have fewer.
fn by_whom(snapshot: &Snapshot, taken: &Taken) -> String {
    let mut said = String::new();
    if taken.idle_share() >= IDLE_SHARE_MIN {
        said.push_str(&format!(" {} of them are idle: the pools are larger than the work.", text::percent(taken.idle_share())));
    }
    if taken.left_open_share() >= IN_TRANSACTION_SHARE_MIN {
        let left_open = idle_in_transaction(&taken.groups);
        let wait = text::plural(left_open.into(), "of them waits", "of them wait");
        said.push_str(&format!(" {wait} inside an open transaction for the program."));
    }
    if let Some(name) = pooler(snapshot) {
        said.push_str(&format!(" They come through {name}: its pool is too large."));
    }
    said
}

fn groups(taken: &Taken) -> Evidence {
    let mut groups: Vec<_> = taken.groups.iter().collect();
    groups.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| (&a.application, &a.role, &a.state).cmp(&(&b.application, &b.role, &b.state))));
    let named = |s: &str| if s.is_empty() { "(no name)".to_owned() } else { s.to_owned() };
    let row = |g: &&SessionGroup| {
        vec![
            Cell::text(named(&g.application)),
            Cell::text(&g.role),
            Cell::text(named(&g.state)),
            Cell::number(g.count.into(), text::count(g.count.into())),
        ]
    };
    Evidence::table("Connections", &["Application", "Role", "State", "Count"], groups.iter().map(row).collect())
}

fn remedies(snapshot: &Snapshot, taken: &Taken) -> Vec<Remedy> {
    let pool = match pooler(snapshot) {
        Some(_) => of_pooler(taken.usable),
        None => of_instances(snapshot, taken.usable),
    };
    let mut remedies: Vec<Remedy> = std::iter::once(pool).chain(end_left_open(taken)).collect();
    if taken.left_open_share() >= IN_TRANSACTION_SHARE_MIN {
        remedies.reverse();
    }
    if let Some(role) = taken.role {
        remedies.push(raise_limit(role));
    }
    remedies
}

fn of_instances(snapshot: &Snapshot, usable: u32) -> Remedy {
    // Two instances (server and worker), doubled while a deployment replaces them, within 80 %.
    let pool = (f64::from(usable) * SHARE_MAX / 4.0).floor().clamp(2.0, 20.0);
    let text = match snapshot.medusa().map(|m| m.major) {
        Ok(1) => format!(
            "// medusa-config.js: per instance; {pool} for two instances that a deployment doubles\nprojectConfig: {{\n  database_extra: {{ max: {pool}, idleTimeoutMillis: 30000 }},\n}}\n"
        ),
        _ => format!(
            "// medusa-config.ts: per instance; {pool} for two instances that a deployment doubles\nprojectConfig: {{\n  databaseDriverOptions: {{\n    pool: {{ min: 2, max: {pool}, idleTimeoutMillis: 30000 }},\n  }},\n}}\n"
        ),
    };
    Remedy {
        kind: RemedyKind::MedusaConfig,
        label: "Bound the pool of each instance".to_owned(),
        text,
        lock: None,
        risk: "Too small a pool makes requests wait for a connection: count the instances before you choose.".to_owned(),
        undo: Some("Take the pool out of the configuration.".to_owned()),
    }
}

fn of_pooler(usable: u32) -> Remedy {
    let pool = (f64::from(usable) * SHARE_MAX).floor().max(1.0);
    Remedy {
        kind: RemedyKind::Shell,
        label: "Bound the pooler".to_owned(),
        text: format!(
            "; pgbouncer.ini: all pools together stay within 80 % of the server; then run RELOAD in its console\n[pgbouncer]\npool_mode = \
             transaction\nmax_db_connections = {pool}"
        ),
        lock: None,
        risk: "Clients wait for a free connection when all are in use: query_wait_timeout says how long.".to_owned(),
        undo: Some("Take max_db_connections out and reload.".to_owned()),
    }
}

/// For the roles that leave them open, so that it takes no superuser; `None`: nobody does.
fn end_left_open(taken: &Taken) -> Option<Remedy> {
    let mut roles: Vec<String> = taken.groups.iter().filter(|g| idle_in_transaction(std::slice::from_ref(g)) > 0).map(|g| g.role.clone()).collect();
    roles.retain(|r| !r.is_empty());
    roles.sort();
    roles.dedup();
    let risk = "A transaction that waits longer than a minute for its application is rolled back.";
    let bound = || timeout(&roles, "idle_in_transaction_session_timeout", "60s", risk);
    (!roles.is_empty()).then(|| Remedy { label: "End transactions that were left open".to_owned(), ..bound() })
}

fn raise_limit(role: &RoleSettings) -> Remedy {
    let (name, limit) = (quote(&role.role), role.connection_limit);
    Remedy {
        kind: RemedyKind::Sql,
        label: format!("Raise the limit of {}", role.role),
        text: format!("alter role {name} connection limit {};", limit.saturating_mul(2)),
        lock: Some("None. New connections have it.".to_owned()),
        risk: "The server must have the connections: compare the new limit with max_connections.".to_owned(),
        undo: Some(format!("alter role {name} connection limit {limit};")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::checks::poolers::tests::group;
    use crate::checks::server_settings::tests::role;

    fn taken(connections: u32, edit: impl FnOnce(&mut Activity)) -> Snapshot {
        store(|pg| {
            if let Ok(activity) = &mut pg.activity {
                (activity.max_connections, activity.reserved, activity.connections) = (103, 3, connections);
                edit(activity);
            }
        })
    }

    #[test]
    fn the_shares_decide() {
        assert_passes(&CHECK, &taken(80, |_| {}));
        for (connections, severity) in [
            (81, Severity::Medium),
            (90, Severity::Medium),
            (91, Severity::High),
            (95, Severity::High),
            (96, Severity::Critical),
            (110, Severity::Critical),
        ] {
            assert_eq!(findings(&CHECK, &taken(connections, |_| {}))[0].severity, severity, "{connections}");
        }
    }

    #[test]
    fn idle_pools_are_named() {
        let idle =
            |count| taken(90, |a| a.groups = vec![SessionGroup { application: String::new(), role: "medusa".into(), state: "idle".into(), count }]);
        assert!(findings(&CHECK, &idle(45))[0].observed.contains("are idle"));
        assert!(!findings(&CHECK, &idle(44))[0].observed.contains("are idle"));
        assert!(findings(&CHECK, &idle(45))[0].remedies[0].text.contains("max: 20"));
    }

    #[test]
    fn a_roles_own_limit_runs_out_first() {
        let limited = |limit, count, name: &'static str| {
            let mut snapshot = taken(20, |a| a.groups = vec![group("", name, "active", count)]);
            let pg = snapshot.postgres.as_mut().unwrap();
            pg.roles = Ok(vec![RoleSettings { connection_limit: limit, ..role(name, 1, &[]) }]);
            snapshot
        };
        assert_passes(&CHECK, &limited(10, 8, "medusa"));
        let found = findings(&CHECK, &limited(10, 9, "medusa"));
        assert_eq!((found[0].subject.name.as_str(), found[0].severity), ("medusa", Severity::Medium));
        assert_eq!(found[0].remedies[1].text, "alter role medusa connection limit 20;");
        assert_passes(&CHECK, &limited(-1, 9, "medusa"));
        // The role we audit with is held to three on purpose.
        assert_passes(&CHECK, &limited(3, 3, "advisor"));
    }

    #[test]
    fn what_others_do_says_nothing_of_a_role() {
        let mut snapshot = taken(30, |a| {
            let one = |state, count| group("", "medusa", state, count);
            a.groups = vec![one("active", 4), one("idle in transaction", 1), group("PostgreSQL JDBC", "bi", "idle", 25)];
        });
        snapshot.postgres.as_mut().unwrap().roles = Ok(vec![RoleSettings { connection_limit: 5, ..role("medusa", 1, &[]) }]);
        let found = findings(&CHECK, &snapshot);
        assert!(found[0].observed.contains("open transaction"), "{}", found[0].observed);
        assert!(!found[0].observed.contains("are idle"));
        assert_eq!(found[0].remedies[0].kind, RemedyKind::Sql);
    }

    #[test]
    fn transactions_left_open_come_first() {
        let open = |count| taken(90, |a| a.groups = vec![group("", "medusa", "idle in transaction", count)]);
        // Whoever runs the server: a role's own setting takes no superuser.
        assert_eq!(findings(&CHECK, &open(18))[0].remedies[0].text, "alter role medusa set idle_in_transaction_session_timeout = '60s';");
        let of = |count| findings(&CHECK, &open(count))[0].remedies.len();
        assert_eq!((of(1), of(0)), (2, 1), "nobody left one open");
        assert_eq!(findings(&CHECK, &open(17))[0].remedies[0].kind, RemedyKind::MedusaConfig);
    }

    #[test]
    fn a_pooler_is_bound_itself() {
        let found = findings(&CHECK, &taken(90, |a| a.groups = vec![group("pgbouncer", "medusa", "idle", 90)]));
        assert!(found[0].observed.contains("PgBouncer"));
        assert!(found[0].remedies[0].text.contains("max_db_connections = 80"));
    }

    #[test]
    fn hidden_states_lower_the_confidence() {
        assert_eq!(findings(&CHECK, &taken(90, |a| a.hidden = 1))[0].confidence, Confidence::Medium);
        assert_eq!(findings(&CHECK, &taken(90, |_| {}))[0].confidence, Confidence::High);
    }

    #[test]
    fn no_capacity_is_unknown_and_needs_are_exact() {
        assert_unknown(&CHECK, &taken(1, |a| a.reserved = 103));
        assert_needs_are_exact(&CHECK, &taken(90, |_| {}));
    }
}
