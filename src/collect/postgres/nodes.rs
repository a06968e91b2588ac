//! The store's other nodes. Each node counts its own scans, so an index that rests on the primary may be busy on a replica.

use futures_util::future::join_all;
use sqlx::FromRow;
use time::OffsetDateTime;

use super::reader::{ROWS_MAX, Reader, count, listed, small};
use super::{cancelled, open_gap};
use crate::collect::run::Lane;
use crate::connect::postgres::{OpenError, QueryError, Session, TAG, open};
use crate::connect::profile::{Limits, PostgresProfile, Secrets};
use crate::evidence::postgres::{Node, NodeIndex, NodeUsage};
use crate::evidence::{Gap, LayerCost, Section, Seen};
use crate::secret::Secret;

/// A node and what signing in to it gave.
pub struct Opened<'p> {
    pub profile: &'p PostgresProfile,
    session: Result<Session, OpenError>,
}

/// The session to audit, and the nodes beside it.
pub struct Chosen<'p> {
    pub session: Session,
    pub profile: &'p PostgresProfile,
    pub others: Vec<Opened<'p>>,
}

/// Opens every node that was given. The first that is a primary is audited; where none is, the first that answers. One that does not say
/// what it is counts as a replica, and the run says so.
pub async fn choose<'p>(profile: &'p PostgresProfile, secrets: &Secrets, limits: &Limits, lane: &Lane) -> Result<Chosen<'p>, OpenError> {
    let opening = places(profile, secrets).into_iter().map(|(node, password)| async move {
        let mut session = open(node, password, limits).await;
        let is_replica = match &mut session {
            // One node alone is audited, whatever it is.
            Ok(session) if !profile.nodes.is_empty() => is_replica(session).await.unwrap_or_else(|e| {
                lane.gap(format!("Postgres node {}: whether it is the primary could not be asked ({e}); it is read as a replica.", node.address()));
                true
            }),
            _ => true,
        };
        (Opened { profile: node, session }, is_replica)
    });
    let mut opened = join_all(opening).await;
    let primary = opened.iter().position(|(_, is_replica)| !is_replica);
    let answering = opened.iter().position(|(o, _)| o.session.is_ok());
    let (audited, _) = opened.remove(primary.or(answering).unwrap_or(0));
    let others = opened.into_iter().map(|(o, _)| o).collect();
    audited.session.map(|session| Chosen { session, profile: audited.profile, others })
}

/// Every address once, with its password: a node's own, else the store's.
fn places<'p, 's>(profile: &'p PostgresProfile, secrets: &'s Secrets) -> Vec<(&'p PostgresProfile, Option<&'s Secret<String>>)> {
    let shared = secrets.postgres_password.as_ref();
    let own = |i: usize| secrets.node_passwords.get(i).and_then(Option::as_ref).or(shared);
    let mut places = vec![(profile, shared)];
    for (i, node) in profile.nodes.iter().enumerate() {
        if !places.iter().any(|(p, _)| (&p.host, p.port, &p.database) == (&node.host, node.port, &node.database)) {
            places.push((node, own(i)));
        }
    }
    places
}

#[derive(FromRow)]
struct RecoveryRow {
    is_replica: bool,
}

async fn is_replica(session: &mut Session) -> Result<bool, QueryError> {
    let rows: Vec<RecoveryRow> = session.rows_at_once(&format!("{TAG} select pg_catalog.pg_is_in_recovery() as is_replica")).await?;
    Ok(rows.first().is_none_or(|r| r.is_replica))
}

/// Reads the counters of every node at once and closes the sessions; adds what that cost.
pub async fn read(opened: Vec<Opened<'_>>, lane: &Lane, cost: &mut LayerCost) -> Seen<Vec<Node>> {
    if lane.is_cancelled() && !opened.is_empty() {
        return Err(cancelled(Section::PgNodes));
    }
    let read = join_all(opened.into_iter().map(|o| node(o, lane))).await;
    let mut nodes = Vec::with_capacity(read.len());
    for (node, calls, busy_ms, bytes) in read {
        if let Err(gap) = &node.usage {
            lane.gap(format!("Postgres node {}: {}", node.host, gap.detail));
        }
        cost.calls += calls;
        cost.busy_ms = cost.busy_ms.map(|ms| ms + busy_ms);
        cost.bytes += bytes;
        nodes.push(node);
    }
    Ok(nodes)
}

async fn node(opened: Opened<'_>, lane: &Lane) -> (Node, u64, f64, u64) {
    let host = opened.profile.address();
    let session = match opened.session {
        Ok(session) => session,
        Err(e) => return (Node { host, usage: Err(Gap { section: Section::PgNodes, ..open_gap(&e) }) }, 0, 0.0, 0),
    };
    let mut reader = Reader::new(session, lane, &opened.profile.user, 0);
    let usage = usage(&mut reader).await;
    let session = reader.session;
    let (calls, busy_ms, bytes) = (session.calls(), session.busy_ms(), session.bytes());
    session.close().await;
    (Node { host, usage }, calls, busy_ms, bytes)
}

#[derive(FromRow)]
struct NodeRow {
    is_replica: bool,
    version_num: i32,
    counting_since: Option<OffsetDateTime>,
}

#[derive(FromRow)]
struct NodeIndexRow {
    schema: String,
    name: String,
    scans: i64,
    last_scan: Option<OffsetDateTime>,
}

async fn usage(reader: &mut Reader<'_>) -> Seen<NodeUsage> {
    let section = Section::PgNodes;
    reader.session.begin().await.map_err(|e| reader.gap(section, &e))?;
    let row: NodeRow = reader.row(section, include_str!("sql/node.sql")).await?;
    let indexes: Vec<NodeIndexRow> = reader.rows(section, include_str!("sql/node_indexes.sql")).await?;
    let _ = reader.session.end().await;
    let decode = |r: NodeIndexRow| NodeIndex { schema: r.schema, name: r.name, scans: count(r.scans), last_scan: r.last_scan };
    Ok(NodeUsage {
        is_replica: row.is_replica,
        version_num: small(row.version_num),
        counting_since: row.counting_since,
        indexes: listed(indexes, ROWS_MAX, decode),
    })
}

#[cfg(test)]
mod tests {
    use super::places;
    use crate::connect::profile::{Secrets, parse_postgres};
    use crate::secret::Secret;

    #[test]
    fn a_node_given_twice_is_one_and_signs_in_with_its_own_password_first() {
        let parsed = |url: &str| parse_postgres(url).unwrap().0;
        let mut profile = parsed("postgres://a@one/medusa");
        profile.nodes = vec![parsed("postgres://a@two/medusa"), parsed("postgres://a@one/medusa"), parsed("postgres://a@three/medusa")];
        let secret = |text: &str| Some(Secret::new(text.to_owned()));
        let secrets = Secrets { postgres_password: secret("main"), node_passwords: vec![None, None, secret("own")], ..Secrets::default() };
        let places = places(&profile, &secrets);
        let words: Vec<_> = places.iter().map(|(p, s)| (p.host.as_str(), s.map(|s| s.expose().as_str()))).collect();
        assert_eq!(words, [("one", Some("main")), ("two", Some("main")), ("three", Some("own"))]);
    }
}
