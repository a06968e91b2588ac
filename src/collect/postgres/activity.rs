//! Sessions: who is connected, who waits for whom, what holds vacuum back.

use sqlx::FromRow;

use super::reader::{Reader, count, small};
use crate::evidence::postgres::{Activity, Session, SessionGroup, XminHolder};
use crate::evidence::{Section, Seen};
use crate::secret::without_addresses;

#[derive(FromRow)]
struct LimitsRow {
    max_connections: i32,
    reserved: i32,
    connections: i32,
    hidden: i32,
}

#[derive(FromRow)]
struct GroupRow {
    application: String,
    role: String,
    state: String,
    count: i32,
}

#[derive(FromRow)]
struct SessionRow {
    pid: i32,
    application: String,
    role: String,
    state: String,
    wait: Option<String>,
    transaction_s: Option<f64>,
    statement_s: Option<f64>,
    state_s: Option<f64>,
    waiting_s: Option<f64>,
    blocked_by: Vec<i32>,
    statement_id: Option<String>,
    locked_tables: Vec<String>,
}

#[derive(FromRow)]
struct XminRow {
    kind: String,
    name: String,
    age_xids: i64,
}

/// The sessions as they are now, without wait events: those are sampled over the window.
pub async fn read(reader: &mut Reader<'_>) -> Seen<Activity> {
    let section = Section::PgActivity;
    let limits: LimitsRow = reader.row(section, include_str!("sql/activity_limits.sql")).await?;
    let groups: Vec<GroupRow> = reader.rows(section, include_str!("sql/activity_groups.sql")).await?;
    let sessions: Vec<SessionRow> = reader.rows(section, include_str!("sql/sessions.sql")).await?;
    let xmin: Vec<XminRow> = reader.rows(section, include_str!("sql/oldest_xmin.sql")).await?;
    // A script may name its connections after a person.
    let mut addresses = Vec::new();
    let mut program = |name: &str| without_addresses(name, &mut addresses);
    Ok(Activity {
        max_connections: small(limits.max_connections),
        reserved: small(limits.reserved),
        connections: small(limits.connections),
        groups: groups
            .into_iter()
            .map(|g| SessionGroup { application: program(&g.application), role: g.role, state: g.state, count: small(g.count) })
            .collect(),
        sessions: sessions.into_iter().map(|s| Session { application: program(&s.application), ..session(s) }).collect(),
        hidden: small(limits.hidden),
        waits: Vec::new(),
        oldest_xmin: xmin.into_iter().next().map(|x| XminHolder { kind: x.kind, name: x.name, age_xids: count(x.age_xids) }),
    })
}

fn session(r: SessionRow) -> Session {
    Session {
        pid: r.pid,
        application: r.application,
        role: r.role,
        state: r.state,
        wait: r.wait,
        transaction_s: r.transaction_s,
        statement_s: r.statement_s,
        state_s: r.state_s,
        waiting_s: r.waiting_s,
        blocked_by: r.blocked_by,
        statement_id: r.statement_id,
        locked_tables: r.locked_tables,
    }
}
