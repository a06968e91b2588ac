//! Statements of the application may run, and its transactions may wait, for ever.

use crate::checks::server_settings::{Settings, millis_of, of_role};
use crate::checks::{Check, always};
use crate::evidence::postgres::{Postgres, RoleSettings, quote};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// A store below this size is being tried out.
const DATABASE_BYTES_LOW: u64 = 1_000_000_000;
/// Seen without a timeout, it is no longer a matter of principle.
const LONG_MS: f64 = 60_000.0;
/// Long enough for a payment provider inside a transaction (Stripe's client waits 80 s), short enough to free locks while a shopper waits.
const TIMEOUT: &str = "2min";
/// Roles of the platforms and of pools, which bring sessions but not the store's statements.
const NOT_APPLICATIONS: [&str; 12] = [
    "authenticator",
    "azuresu",
    "cloud_admin",
    "cloudsqladmin",
    "cloudsqlagent",
    "pgbouncer",
    "rdsadmin",
    "rdsrepladmin",
    "supabase_admin",
    "supabase_auth_admin",
    "supabase_replication_admin",
    "supabase_storage_admin",
];
/// Programs that people and tools connect with.
const TOOLS: [&str; 8] = ["medusa-advisor", "psql", "pgAdmin", "DBeaver", "TablePlus", "DataGrip", "pg_dump", "Postico"];

pub static CHECK: Check = Check {
    id: "pg-no-statement-timeout",
    layer: Layer::Postgres,
    title: "Nothing ends the application's statements and idle transactions",
    passed: "The application's statements and idle transactions end after a time.",
    why: "A statement that goes wrong, or a transaction that its program forgot, holds its locks and its connection until somebody ends it. One of them can stop \
          the checkout, and keeps vacuum from cleaning up meanwhile.",
    remedy: "Give the application's role a statement_timeout and an idle_in_transaction_session_timeout. Give migrations, and the process that first fills the \
             Index Module, a session without them.",
    method: "Roles that have sessions of an application in this database: what the role, the role in this database, the database and the server set, in that order; \
             transaction_timeout (Postgres 17) counts for both. Low from 1 GB of data or where statements or idle transactions of a minute were seen, else a note.",
    effort: Effort::Minutes,
    references: &[
        "https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-STATEMENT-TIMEOUT",
        "https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-IDLE-IN-TRANSACTION-SESSION-TIMEOUT",
    ],
    needs: &[Section::PgRoles, Section::PgSettings, Section::PgServer],
    uses: &[Section::PgActivity, Section::PgStatements],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

/// Whether something bounds the sessions of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Set,
    Missing,
    /// Our own role brings its own value, which hides the server's.
    Hidden,
}

struct Unbounded<'s> {
    role: &'s RoleSettings,
    statement: Bound,
    idle: Bound,
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let (roles, settings, server) = (pg.roles()?, Settings::of(snapshot)?, pg.server()?);
    let applications: Vec<&RoleSettings> = roles.iter().filter(|r| is_application(pg, r)).collect();
    if applications.is_empty() {
        let cause = Cause::TooFew { have: 0, need: 1, what: "sessions of the application".to_owned() };
        return Err(Gap::new(
            Section::PgRoles,
            cause,
            "No session of the application was open, so its role is not known. Audit while the store runs.",
        ));
    }
    let judged: Vec<Unbounded> = applications
        .into_iter()
        .map(|role| {
            let total = bound(roles, &settings, &role.role, "transaction_timeout");
            let of = |name| if total == Bound::Set { Bound::Set } else { bound(roles, &settings, &role.role, name) };
            Unbounded { role, statement: of("statement_timeout"), idle: of("idle_in_transaction_session_timeout") }
        })
        .collect();
    let missing: Vec<&Unbounded> = judged.iter().filter(|u| u.statement == Bound::Missing || u.idle == Bound::Missing).collect();
    if missing.is_empty() && judged.iter().any(|u| u.statement == Bound::Hidden || u.idle == Bound::Hidden) {
        let remedy =
            format!("alter role {0} reset statement_timeout;\nalter role {0} reset idle_in_transaction_session_timeout;", quote(&server.role));
        let cause = Cause::Absent { feature: "the server's own timeouts".to_owned(), remedy };
        let detail = format!("The role {} brings timeouts of its own, which hide the server's; the audit sets its own limits anyway.", server.role);
        return Err(Gap::new(Section::PgSettings, cause, detail));
    }
    Ok(missing.into_iter().map(|u| finding(pg, u, server.database_bytes)).collect())
}

/// It has a session that is neither a tool's nor the platform's.
fn is_application(pg: &Postgres, role: &RoleSettings) -> bool {
    if role.sessions == 0 || NOT_APPLICATIONS.contains(&role.role.as_str()) || role.role.starts_with("pg_") {
        return false;
    }
    let Ok(activity) = &pg.activity else { return true };
    let mut groups = activity.groups.iter().filter(|g| g.role == role.role).peekable();
    groups.peek().is_none() || groups.any(|g| !TOOLS.iter().any(|tool| g.application.starts_with(tool)))
}

fn bound(roles: &[RoleSettings], settings: &Settings, role: &str, name: &str) -> Bound {
    let is_set = |value: &str| if millis_of(value, "ms").is_some_and(|ms| ms > 0.0) { Bound::Set } else { Bound::Missing };
    if let Some(own) = of_role(roles, role, name) {
        return is_set(own);
    }
    match settings.find(name) {
        // In Postgres' words: set for our role, for it in this database, or within our session.
        Some(s) if matches!(s.source.as_str(), "user" | "database user" | "session" | "client") => Bound::Hidden,
        Some(s) => is_set(&s.value),
        None => Bound::Missing,
    }
}

fn finding(pg: &Postgres, unbounded: &Unbounded, database_bytes: u64) -> Finding {
    let role = &unbounded.role.role;
    let long = seen_long(pg, role);
    let mut unset = Vec::new();
    if unbounded.statement == Bound::Missing {
        unset.push("statement_timeout");
    }
    if unbounded.idle == Bound::Missing {
        unset.push("idle_in_transaction_session_timeout");
    }
    let seen = long.as_ref().map_or_else(String::new, |l| format!(" {l}"));
    Finding {
        subject: Subject::new("role", role),
        observed: format!(
            "The role {role} ({}) has no {}.{seen}",
            text::plural(unbounded.role.sessions.into(), "session", "sessions"),
            unset.join(" and no ")
        ),
        step: format!("Give {role} timeouts"),
        evidence: evidence(unbounded),
        severity: if long.is_some() || database_bytes >= DATABASE_BYTES_LOW { Severity::Low } else { Severity::Info },
        confidence: Confidence::Medium,
        confidence_because: "a program may set timeouts for its own connections, which cannot be seen".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Risk, share: if long.is_some() { 0.08 } else { 0.03 } },
        gain: None,
        averts: Some("locks that are held until somebody notices".to_owned()),
        remedies: vec![remedy(role, &unset)],
        verify: format!("In a new connection of {role}: show {}; says {TIMEOUT}, and the audit passes.", unset.join("; and show ")),
        touches: Vec::new(),
    }
}

/// A statement or an idle transaction of the role that took a minute.
fn seen_long(pg: &Postgres, role: &str) -> Option<String> {
    let waits = pg.activity.as_ref().ok().and_then(|a| {
        let idle = a.sessions.iter().filter(|s| s.role == role && s.state.starts_with("idle in transaction"));
        idle.filter_map(|s| s.transaction_s).map(|s| s * 1e3).max_by(f64::total_cmp)
    });
    if let Some(ms) = waits.filter(|ms| *ms >= LONG_MS) {
        return Some(format!("A transaction of it stood idle for {}.", text::millis(ms)));
    }
    let statements = pg.statements.as_ref().ok()?;
    let of_role = statements.rows.rows.iter().filter(|s| s.role.as_deref() == Some(role));
    let slowest = of_role.filter(|s| crate::checks::sql::kind(&s.text) != crate::checks::sql::Kind::Utility).map(|s| s.counters.total.max_ms);
    let ms = slowest.max_by(f64::total_cmp).filter(|ms| *ms >= LONG_MS)?;
    Some(format!("Its longest statement took {}.", text::millis(ms)))
}

fn evidence(unbounded: &Unbounded) -> Vec<Evidence> {
    let word = |bound: Bound| match bound {
        Bound::Set => "set",
        Bound::Missing => "not set",
        Bound::Hidden => "not visible",
    };
    let row = |name: &str, bound| vec![Cell::text(name), Cell::text(word(bound))];
    let mut evidence = vec![Evidence::table(
        "Timeouts of its sessions",
        &["Setting", "State"],
        vec![row("statement_timeout", unbounded.statement), row("idle_in_transaction_session_timeout", unbounded.idle)],
    )];
    let own = &unbounded.role.settings;
    if !own.is_empty() {
        let row = |s: &crate::evidence::postgres::RoleSetting| vec![Cell::text(&s.name), Cell::text(&s.value), Cell::text(&s.source)];
        evidence.push(Evidence::table("Settings it brings", &["Setting", "Value", "Set for"], own.iter().map(row).collect()));
    }
    evidence
}

fn remedy(role: &str, unset: &[&str]) -> Remedy {
    let quoted = quote(role);
    let set: Vec<String> = unset.iter().map(|name| format!("alter role {quoted} set {name} = '{TIMEOUT}';")).collect();
    let reset: Vec<String> = unset.iter().map(|name| format!("alter role {quoted} reset {name};")).collect();
    Remedy {
        kind: RemedyKind::Sql,
        label: format!("Set timeouts for {role}"),
        text: format!(
            "-- Migrations and the first ingestion of the Index Module run longer. Run them on a direct connection with\n\
             -- PGOPTIONS='-c statement_timeout=0 -c idle_in_transaction_session_timeout=0' npx medusa db:migrate\n{}",
            set.join("\n")
        ),
        lock: Some("None. New connections have it; restart the Medusa instances so that their pools reconnect.".to_owned()),
        risk: format!(
            "A statement that runs, or a transaction that waits, longer than {TIMEOUT} is ended with an error: look at your longest imports and exports first. \
             PgBouncer refuses PGOPTIONS unless ignore_startup_parameters lists options."
        ),
        undo: Some(reset.join("\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::checks::poolers::tests::group;
    use crate::checks::server_settings::tests::{role, setting};
    use crate::evidence::postgres::Session;

    const STATEMENT: &str = "statement_timeout";
    const IDLE: &str = "idle_in_transaction_session_timeout";

    /// A store of 5 GB whose role `medusa` has sessions and these settings; the server has none.
    fn with(own: &[(&str, &str, &str)], edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        store(|pg| {
            pg.settings = Ok(vec![setting(STATEMENT, "0", "ms"), setting(IDLE, "0", "ms"), setting("transaction_timeout", "0", "ms")]);
            pg.roles = Ok(vec![role("medusa", 4, own)]);
            edit(pg);
        })
    }

    #[test]
    fn both_are_wanted() {
        let found = findings(&CHECK, &with(&[], |_| {}));
        assert_eq!((found[0].severity, found[0].subject.name.as_str()), (Severity::Low, "medusa"));
        let text = &found[0].remedies[0].text;
        assert!(
            text.ends_with("alter role medusa set statement_timeout = '2min';\nalter role medusa set idle_in_transaction_session_timeout = '2min';")
        );
        assert!(text.contains("PGOPTIONS") && text.contains("Index Module"));
        assert!(!findings(&CHECK, &with(&[(IDLE, "1min", "role")], |_| {}))[0].remedies[0].text.contains("role medusa set idle"));
        assert_passes(&CHECK, &with(&[(IDLE, "1min", "role"), (STATEMENT, "30000", "database")], |_| {}));
        assert_eq!(findings(&CHECK, &with(&[(IDLE, "1min", "role"), (STATEMENT, "0", "role")], |_| {})).len(), 1);
        assert_passes(&CHECK, &with(&[("transaction_timeout", "5min", "role in database")], |_| {}));
    }

    #[test]
    fn the_servers_own_count_where_they_are_visible() {
        let server = |source: &'static str| {
            with(&[(IDLE, "1min", "role")], move |pg| {
                let row = &mut pg.settings.as_mut().unwrap()[0];
                (row.value, row.source) = ("30000".into(), source.into());
            })
        };
        assert_passes(&CHECK, &server("configuration file"));
        let gap = assert_unknown(&CHECK, &server("user"));
        assert!(gap.cause.remedy().is_some_and(|r| r.contains("alter role advisor reset statement_timeout;")));
    }

    #[test]
    fn a_small_store_gets_a_note_unless_something_took_a_minute() {
        let small = |edit: fn(&mut Postgres)| {
            with(&[], move |pg| {
                pg.server.as_mut().unwrap().database_bytes = DATABASE_BYTES_LOW - 1;
                edit(pg);
            })
        };
        assert_eq!(findings(&CHECK, &small(|_| {}))[0].severity, Severity::Info);
        assert_eq!(findings(&CHECK, &small(|pg| pg.server.as_mut().unwrap().database_bytes += 1))[0].severity, Severity::Low);
        fn slow(pg: &mut Postgres, ms: f64) {
            let mut statement = statement("1", "select * from product", 10, 1_000.0);
            statement.counters.total.max_ms = ms;
            statements(pg, vec![statement]);
        }
        assert_eq!(findings(&CHECK, &small(|pg| slow(pg, 59_999.0)))[0].severity, Severity::Info);
        assert_eq!(findings(&CHECK, &small(|pg| slow(pg, 60_000.0)))[0].severity, Severity::Low);
        let waiting = |pg: &mut Postgres| {
            pg.activity.as_mut().unwrap().sessions = vec![Session {
                pid: 7,
                application: String::new(),
                role: "medusa".into(),
                state: "idle in transaction".into(),
                wait: None,
                transaction_s: Some(60.0),
                statement_s: None,
                state_s: None,
                waiting_s: None,
                blocked_by: Vec::new(),
                statement_id: None,
                locked_tables: Vec::new(),
            }];
        };
        assert_eq!(findings(&CHECK, &small(waiting))[0].severity, Severity::Low);
    }

    #[test]
    fn tools_and_platforms_are_no_applications() {
        let only = |name: &'static str, application: &'static str| {
            with(&[], move |pg| {
                pg.roles = Ok(vec![role(name, 1, &[])]);
                pg.activity.as_mut().unwrap().groups = vec![group(application, name, "idle", 1)];
            })
        };
        assert_eq!(findings(&CHECK, &only("medusa", "")).len(), 1);
        assert_unknown(&CHECK, &only("rdsadmin", ""));
        assert_unknown(&CHECK, &only("anna", "psql"));
        assert_unknown(&CHECK, &only("advisor", "medusa-advisor"));
        assert_unknown(&CHECK, &with(&[], |pg| pg.roles = Ok(Vec::new())));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &with(&[], |_| {}));
    }
}
