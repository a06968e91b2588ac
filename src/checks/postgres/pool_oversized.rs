//! Many connections are open and hardly any works.

use crate::checks::poolers::{active, idle, pooler};
use crate::checks::server_settings::memory;
use crate::checks::{Check, always};
use crate::evidence::postgres::Activity;
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Ten instances at knex's and node-pg's default of ten; fewer are no burden.
const BACKENDS_MIN: u32 = 100;
/// Mostly idle.
const IDLE_SHARE_MIN: f64 = 0.80;
/// Memory of one idle backend that has served a schema of 150 tables: caches of the catalogue, not counting shared buffers.
const BACKEND_BYTES: u64 = 10 * 1_024 * 1_024;
/// Of the machine's memory.
const MEMORY_SHARE_MEDIUM: f64 = 0.10;
/// What one pool needs at least, so that a burst does not wait.
const POOL_MIN: u32 = 20;

pub static CHECK: Check = Check {
    id: "pg-pool-oversized",
    layer: Layer::Postgres,
    title: "Over a hundred connections are open and mostly idle",
    passed: "The open connections are few, in use, or behind a pooler.",
    why: "Each connection is a process of its own with some megabytes of memory, and every snapshot of the data looks at all of them. Pools that are larger than \
          the work waste memory that the cache could use, and leave no room for one more instance.",
    remedy: "Bound the pool of each instance, and put a pooler in front where there are many instances.",
    method: "Client connections of all databases, ours left out: more than 100 of which 80 % or more are idle, where no pooler was seen. What the instances may open \
             cannot be seen from the server (ten each by default); what they hold open can.",
    effort: Effort::Hours,
    references: &["https://www.pgbouncer.org/features.html", "https://knexjs.org/guide/#pool"],
    needs: &[Section::PgActivity],
    uses: &[Section::PgServer, Section::PgMedusa],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let activity = snapshot.pg()?.activity()?;
    if activity.connections <= BACKENDS_MIN || pooler(snapshot).is_some() {
        return Ok(Vec::new());
    }
    let idle = idle(&activity.groups);
    let share = f64::from(idle) / f64::from(activity.connections);
    if share >= IDLE_SHARE_MIN {
        return Ok(vec![finding(snapshot, activity, idle, share)]);
    }
    // Had all the hidden ones been idle, it would be a finding.
    if f64::from(idle + activity.hidden) / f64::from(activity.connections) >= IDLE_SHARE_MIN {
        let grant = snapshot.pg().and_then(|pg| pg.server()).map_or_else(
            |_| "grant pg_monitor to medusa_advisor;".to_owned(),
            |s| format!("grant pg_monitor to {};", crate::evidence::postgres::quote(&s.role)),
        );
        let detail = format!("The states of {} are hidden from this role.", text::plural(activity.hidden.into(), "connection", "connections"));
        return Err(Gap::new(Section::PgActivity, Cause::Denied { grant }, detail));
    }
    Ok(Vec::new())
}

fn finding(snapshot: &Snapshot, activity: &Activity, idle: u32, share: f64) -> Finding {
    let bytes = u64::from(idle) * BACKEND_BYTES;
    let of_memory = memory(snapshot).map(|m| bytes as f64 / m as f64);
    Finding {
        subject: Subject::new("server", "idle connections"),
        observed: format!(
            "{} are open, {} of them idle; {} worked when the window closed.",
            text::plural(activity.connections.into(), "connection", "connections"),
            text::percent(share),
            text::count(active(&activity.groups).into())
        ),
        step: "Bound the pools to the work".to_owned(),
        evidence: vec![
            groups(activity),
            Evidence::figure("Memory of the idle ones, at 10 MiB each", bytes as f64, "bytes", text::bytes_memory(bytes)),
        ],
        severity: if of_memory.is_some_and(|s| s >= MEMORY_SHARE_MEDIUM) { Severity::Medium } else { Severity::Low },
        confidence: if activity.hidden == 0 { Confidence::Medium } else { Confidence::Low },
        confidence_because: "counted once, as the window closed; a pooler that passes its clients' names on is not seen".to_owned(),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Risk, share: of_memory.unwrap_or(0.05).clamp(0.02, 0.5) },
        gain: None,
        averts: Some("refused connections and memory running out".to_owned()),
        remedies: remedies(snapshot, activity),
        verify: format!("Audit again at a busy hour: at most {} connections, or a smaller idle share.", text::count(BACKENDS_MIN.into())),
        touches: Vec::new(),
    }
}

fn groups(activity: &Activity) -> Evidence {
    let mut groups: Vec<_> = activity.groups.iter().collect();
    groups.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| (&a.application, &a.role, &a.state).cmp(&(&b.application, &b.role, &b.state))));
    let named = |s: &str| if s.is_empty() { "(no name)".to_owned() } else { s.to_owned() };
    let row = |g: &&crate::evidence::postgres::SessionGroup| {
        vec![
            Cell::text(named(&g.application)),
            Cell::text(&g.role),
            Cell::text(named(&g.state)),
            Cell::number(g.count.into(), text::count(g.count.into())),
        ]
    };
    Evidence::table("Connections", &["Application", "Role", "State", "Count"], groups.iter().map(row).collect())
}

fn remedies(snapshot: &Snapshot, activity: &Activity) -> Vec<Remedy> {
    // Twice what worked, so that a burst finds a connection.
    let pool = (active(&activity.groups) * 2).clamp(POOL_MIN, BACKENDS_MIN);
    let config = match snapshot.medusa().map(|m| m.major) {
        Ok(1) => "// medusa-config.js, for each instance\nprojectConfig: {\n  database_extra: { max: 5, idleTimeoutMillis: 30000 },\n}\n",
        _ => {
            "// medusa-config.ts, for each instance\nprojectConfig: {\n  databaseDriverOptions: {\n    pool: { min: 0, max: 5, idleTimeoutMillis: 30000 },\n  },\n}\n"
        }
    };
    vec![
        Remedy {
            kind: RemedyKind::MedusaConfig,
            label: "Let idle connections go".to_owned(),
            text: config.to_owned(),
            lock: None,
            risk: "A pool of five serves five statements at a time in that instance: raise it where requests wait for a connection.".to_owned(),
            undo: Some("Take the pool out of the configuration.".to_owned()),
        },
        Remedy {
            kind: RemedyKind::Shell,
            label: "Put PgBouncer in front".to_owned(),
            text: format!(
                "; pgbouncer.ini: the instances connect to port 6432, PgBouncer keeps at most {pool} connections open\n[databases]\nmedusa = host=DATABASE_HOST \
                 port=5432 dbname=medusa\n[pgbouncer]\nlisten_addr = *\nlisten_port = 6432\nauth_type = scram-sha-256\nauth_file = \
                 /etc/pgbouncer/userlist.txt\npool_mode = transaction\nmax_client_conn = 1000\ndefault_pool_size = {pool}"
            ),
            lock: None,
            risk: "Statements that live on one connection (advisory locks, set, listen) do not go through transaction pooling: run migrations against port 5432."
                .to_owned(),
            undo: Some("Point DATABASE_URL of the instances back to port 5432.".to_owned()),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::checks::poolers::tests::group;

    fn open(idle: u32, active: u32, edit: impl FnOnce(&mut Activity)) -> Snapshot {
        store(|pg| {
            let activity = pg.activity.as_mut().unwrap();
            (activity.max_connections, activity.connections) = (500, idle + active);
            activity.groups = vec![group("", "medusa", "idle", idle), group("", "medusa", "active", active)];
            edit(activity);
        })
    }

    #[test]
    fn more_than_a_hundred_mostly_idle() {
        assert_passes(&CHECK, &open(100, 0, |_| {}));
        assert_eq!(findings(&CHECK, &open(101, 0, |_| {}))[0].severity, Severity::Low);
        assert_eq!(findings(&CHECK, &open(160, 40, |_| {})).len(), 1);
        assert_passes(&CHECK, &open(159, 41, |_| {}));
    }

    #[test]
    fn a_pooler_is_seen() {
        assert_passes(&CHECK, &open(101, 0, |a| a.groups[0].application = "pgbouncer".into()));
        let mut snapshot = open(101, 0, |_| {});
        snapshot.postgres.as_mut().unwrap().server.as_mut().unwrap().is_pooled = Some(true);
        assert_passes(&CHECK, &snapshot);
    }

    #[test]
    fn the_machines_memory_decides_the_severity() {
        let told = |bytes: u64| {
            let mut snapshot = open(200, 0, |_| {});
            snapshot.postgres.as_mut().unwrap().server.as_mut().unwrap().memory_bytes = Some(bytes);
            findings(&CHECK, &snapshot)[0].severity
        };
        // 2,000 MiB of the idle ones.
        assert_eq!(told(200 * BACKEND_BYTES * 10), Severity::Medium);
        assert_eq!(told(200 * BACKEND_BYTES * 10 + 1_000_000), Severity::Low);
    }

    #[test]
    fn hidden_states_are_unknown() {
        let hidden = |count| {
            open(60, 140 - count, move |a| {
                (a.connections, a.hidden) = (200, count);
                a.groups.push(group("", "medusa", "", count));
            })
        };
        assert!(assert_unknown(&CHECK, &hidden(100)).cause.remedy().is_some_and(|g| g.contains("pg_monitor")));
        assert_passes(&CHECK, &hidden(99));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &open(101, 0, |_| {}));
    }
}
