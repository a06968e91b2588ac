//! Reads one Postgres server and its Medusa database, twice around the window, by one held connection and read-only transactions.

mod activity;
mod checkpoints;
mod columns;
pub mod compact;
mod counts;
mod explain;
mod fold;
mod literals;
mod live;
mod medusa;
mod nodes;
mod plans;
mod proofs;
mod reader;
mod roles;
mod schema;
mod server;
mod sizes;
mod statements;
mod versioned;
mod whole;

use std::collections::BTreeMap;
use std::time::Instant;

use super::run::Lane;
use super::{Collected, Prove};
use crate::connect::postgres::{OpenError, OpenErrorKind, Session};
use crate::connect::profile::{Limits, PostgresProfile, Secrets};
use crate::evidence::medusa::{MediaHost, Medusa, RowCount};
use crate::evidence::postgres::{
    Activity, Checkpoints, Column, ColumnStats, Constraint, Database, Extension, Index, Node, Postgres, Proof, Replication, RoleSettings, Sequence,
    Setting, StatementPlan, Table,
};
use crate::evidence::{Cause, Gap, Layer, LayerCost, Listed, Section, Seen, Timeline};
use explain::Planner;
use live::Live;
use nodes::Chosen;
use reader::Reader;
use server::FirstServer;

/// Sections of the first reading, of the second, and the proofs: what progress counts to.
const STEPS: u32 = 19;
/// When other layers held the window shut longer than this, counters are read again as it opens.
const STALE_AFTER_S: f64 = 0.25;

/// Collects the Postgres layer. Fails as a whole only when no session can be opened.
pub async fn collect(profile: &PostgresProfile, secrets: &Secrets, limits: &Limits, lane: &Lane, prove: &Prove) -> Collected<Postgres> {
    let start = Instant::now();
    lane.reading("connecting", 0, STEPS);
    let chosen = tokio::select! {
        chosen = nodes::choose(profile, secrets, limits, lane) => chosen,
        () = lane.cancelled() => {
            lane.done(Some("cancelled".to_owned()));
            return Collected::nothing(Layer::Postgres, cancelled(Section::Postgres));
        }
    };
    let Chosen { session, profile, others } = match chosen {
        Ok(chosen) => chosen,
        Err(e) => {
            lane.gap(format!("Postgres: {e}"));
            lane.done(Some(e.sentence.clone()));
            return Collected::nothing(Layer::Postgres, open_gap(&e));
        }
    };
    lane.activity(format!("Postgres {}: signed in at {}", session.major(), profile.address()));
    let mut cost = LayerCost { layer: Layer::Postgres, calls: 0, busy_ms: Some(0.0), wall_ms: 0.0, bytes: 0 };
    let mut reader = Reader::new(session, lane, &profile.user, STEPS);
    let (mut first, nodes) = tokio::join!(First::read(&mut reader, profile, start), nodes::read(others, lane, &mut cost));
    first.nodes = nodes;
    first.publish_media(lane);
    let first_s = start.elapsed().as_secs_f64();
    let (timelines, closed) = watch(&mut reader, &mut first, profile).await;
    let second_start = Instant::now();
    if let Some(window_s) = closed {
        first.read_again(&mut reader, profile, true).await;
        first.prove(&mut reader, prove, window_s).await;
    }
    cost.wall_ms = (first_s + second_start.elapsed().as_secs_f64()) * 1e3;
    finish(reader.session, first, cost, timelines, lane).await
}

async fn finish(session: Session, first: First, mut cost: LayerCost, timelines: Vec<Timeline>, lane: &Lane) -> Collected<Postgres> {
    cost.calls += session.calls();
    cost.busy_ms = cost.busy_ms.map(|ms| ms + session.busy_ms());
    cost.bytes += session.bytes();
    lane.cost(cost.calls, cost.busy_ms);
    session.close().await;
    lane.reading("done", STEPS, STEPS);
    lane.done(None);
    Collected { seen: Ok(first.evidence()), cost, timelines }
}

/// Samples the window. Returns its length when it closed by itself; `None` when the run was cancelled.
async fn watch(reader: &mut Reader<'_>, first: &mut First, profile: &PostgresProfile) -> (Vec<Timeline>, Option<f64>) {
    let lane = reader.lane;
    let read_at = Instant::now();
    lane.reading("waiting for the window", reader.done(), STEPS);
    let Some(mut window) = lane.window_opens().await else {
        return (Vec::new(), None);
    };
    if read_at.elapsed().as_secs_f64() > STALE_AFTER_S {
        first.read_again(reader, profile, false).await;
        first.forget_window();
    }
    lane.reading("the window", reader.done(), STEPS);
    let mut live = Live::new(first.statements.as_ref().ok().map(statements::View::place));
    live.sample(reader, window.seconds()).await;
    while window.tick().await {
        live.sample(reader, window.seconds()).await;
    }
    first.waits = live.waits();
    let closed = (!lane.is_cancelled()).then(|| window.seconds());
    (live.timelines(), closed)
}

/// What the first reading brought, and what the second needs of it.
struct First {
    server: Seen<FirstServer>,
    settings: Seen<Vec<Setting>>,
    extensions: Seen<Vec<(Extension, Option<String>)>>,
    databases: Seen<Vec<Database>>,
    tables: Seen<(Listed<Table>, Vec<i64>)>,
    indexes: Seen<(Listed<Index>, Vec<i64>)>,
    constraints: Seen<Listed<Constraint>>,
    columns: Seen<Listed<Column>>,
    column_stats: Seen<Listed<ColumnStats>>,
    statements: Seen<statements::View>,
    activity: Seen<Activity>,
    sequences: Seen<Vec<Sequence>>,
    replication: Seen<Replication>,
    roles: Seen<Vec<RoleSettings>>,
    checkpoints: Seen<Checkpoints>,
    nodes: Seen<Vec<Node>>,
    medusa: Seen<Medusa>,
    media: Seen<Vec<MediaHost>>,
    row_counts: Seen<Vec<RowCount>>,
    plans: Seen<Vec<StatementPlan>>,
    proofs: Seen<Vec<Proof>>,
    waits: Vec<(String, u64)>,
}

/// Pages are 8 kB unless Postgres was built otherwise; used only when the server did not tell.
const BLOCK_SIZE_USUAL: u64 = 8_192;

/// Reads one section unless the run was cancelled; tells the watcher of a gap.
macro_rules! section {
    ($reader:ident, $section:ident, $what:expr, $read:expr) => {{
        if $reader.lane.is_cancelled() {
            Err(cancelled(Section::$section))
        } else {
            $reader.start($what);
            let seen = $read.await;
            $reader.told(seen)
        }
    }};
}

impl First {
    async fn read(reader: &mut Reader<'_>, profile: &PostgresProfile, start: Instant) -> Self {
        // Where even this fails, every section below says so by its own gap.
        let _ = reader.session.begin().await;
        let elapsed_s = start.elapsed().as_secs_f64();
        let server = section!(reader, PgServer, "server", server::first(reader, profile, elapsed_s));
        let block_size = server.as_ref().map_or(BLOCK_SIZE_USUAL, |s| s.block_size);
        let settings = section!(reader, PgSettings, "settings", server::settings(reader));
        let extensions = section!(reader, PgExtensions, "extensions", server::extensions(reader));
        let databases = section!(reader, PgDatabases, "databases", server::databases(reader));
        let sizes = section!(reader, PgTables, "sizes", sizes::read(reader, block_size));
        let tables = section!(reader, PgTables, "tables", schema::tables(reader, &sizes));
        let indexes = section!(reader, PgIndexes, "indexes", schema::indexes(reader, &sizes));
        let constraints = section!(reader, PgConstraints, "constraints", schema::constraints(reader));
        let columns = section!(reader, PgColumns, "columns", columns::columns(reader, &tables));
        let column_stats = section!(reader, PgColumnStats, "column statistics", columns::column_stats(reader, &tables, &indexes));
        let sequences = section!(reader, PgSequences, "sequences", schema::sequences(reader));
        let replication = section!(reader, PgReplication, "replication", server::replication(reader));
        let roles = section!(reader, PgRoles, "role settings", roles::read(reader));
        let checkpoints = section!(reader, PgCheckpoints, "checkpoints", checkpoints::first(reader));
        let medusa = section!(reader, PgMedusa, "Medusa version", medusa::installation(reader));
        let media = section!(reader, PgMedia, "media hosts", medusa::media(reader, &medusa));
        let row_counts = section!(reader, PgRowCounts, "row counts", counts::read(reader, &medusa, &tables, &indexes, &column_stats));
        let activity = section!(reader, PgActivity, "sessions", activity::read(reader));
        let statements = section!(reader, PgStatements, "statements", statements::first(reader, &extensions));
        let _ = reader.session.end().await;
        let unended = Gap::new(
            Section::PgProofs,
            Cause::TooFew { have: 0, need: 1, what: "observation window".to_owned() },
            "The planner is asked after the window, and it did not end.",
        );
        Self {
            server,
            settings,
            extensions,
            databases,
            tables,
            indexes,
            constraints,
            columns,
            column_stats,
            statements,
            activity,
            sequences,
            replication,
            roles,
            checkpoints,
            nodes: Ok(Vec::new()),
            medusa,
            media,
            row_counts,
            plans: Err(Gap { section: Section::PgPlans, ..unended.clone() }),
            proofs: Err(unended),
            waits: Vec::new(),
        }
    }

    fn publish_media(&self, lane: &Lane) {
        lane.publish_media(self.media.clone().unwrap_or_else(|_| Vec::new()));
    }

    /// Reads the counters again. A section that cannot be read a second time keeps its first reading, without a window.
    async fn read_again(&mut self, reader: &mut Reader<'_>, profile: &PostgresProfile, is_last: bool) {
        if is_last {
            reader.start("second reading");
        }
        if reader.session.begin().await.is_err() {
            reader.lane.gap("Postgres: the second reading failed; differences over the window are not known");
            self.forget_window();
            return;
        }
        let mut gaps = Vec::new();
        if let Ok(view) = &mut self.statements {
            gaps.extend(statements::again(reader, view).await.err());
        }
        if let Ok((tables, oids)) = &mut self.tables {
            gaps.extend(schema::tables_again(reader, tables, oids).await.err());
        }
        if let Ok((indexes, oids)) = &mut self.indexes {
            gaps.extend(schema::indexes_again(reader, indexes, oids).await.err());
        }
        if let Ok(server) = &mut self.server {
            gaps.extend(server::second(reader, server, profile.port).await.err());
        }
        if let Ok(checkpoints) = &mut self.checkpoints {
            gaps.extend(checkpoints::again(reader, checkpoints).await.err());
        }
        if is_last && self.activity.is_ok() {
            self.activity = activity::read(reader).await;
        }
        let _ = reader.session.end().await;
        for gap in gaps {
            reader.lane.gap(format!("Postgres, second reading of the {}: {}", gap.section.name(), gap.detail));
        }
    }

    fn forget_window(&mut self) {
        if let Ok(view) = &mut self.statements {
            statements::forget_window(view);
        }
        if let Ok((tables, _)) = &mut self.tables {
            tables.rows.iter_mut().for_each(|t| t.counters.window = None);
        }
        if let Ok((indexes, _)) = &mut self.indexes {
            indexes.rows.iter_mut().for_each(|i| i.scans.window = None);
        }
        if let Ok(server) = &mut self.server {
            server.server.counters.window = None;
        }
        if let Ok(checkpoints) = &mut self.checkpoints {
            checkpoints.counters.window = None;
        }
    }

    /// Completes cut texts, then asks the planner about candidate indexes and for the plans of the costliest statements.
    async fn prove(&mut self, reader: &mut Reader<'_>, prove: &Prove, window_s: f64) {
        reader.start("plans and proofs");
        if let Err(e) = reader.session.begin().await {
            self.withhold_plans(&reader.gap(Section::PgProofs, &e));
            return;
        }
        if let Ok(view) = &mut self.statements {
            // Without it the texts stay cut, and are read as far as they go.
            view.whole = whole::complete(reader, &statements::folded(view), view.place().0).await.unwrap_or_else(|_| BTreeMap::new());
        }
        let so_far = self.so_far();
        match (&so_far.statements, &self.statements, &self.extensions) {
            (Ok(statements), Ok(view), Ok(extensions)) => {
                let candidates = prove.candidates(&so_far, window_s);
                let costliest = plans::costliest(statements);
                let mut ids: Vec<&str> = costliest.iter().map(|s| s.id.as_str()).collect();
                ids.extend(proofs::asked(&candidates).into_iter().filter(|id| costliest.iter().all(|s| s.id != *id)));
                let schema = so_far.medusa.as_ref().ok().map(|m| m.schema.as_str());
                match Planner::new(reader, Section::PgProofs, view.place().0, &ids, schema).await {
                    Ok(mut planner) => {
                        self.proofs = Ok(proofs::prove(reader, &mut planner, &candidates, extensions).await);
                        let plans = plans::read(reader, &mut planner, &costliest).await;
                        self.plans = reader.told(plans);
                    }
                    Err(gap) => {
                        let _ = reader.told::<()>(Err(gap.clone()));
                        self.withhold_plans(&gap);
                    }
                }
            }
            (Err(gap), ..) | (_, Err(gap), _) | (.., Err(gap)) => {
                let gap = gap.clone();
                self.withhold_plans(&gap);
            }
        }
        let _ = reader.session.end().await;
    }

    fn withhold_plans(&mut self, gap: &Gap) {
        self.plans = Err(Gap { section: Section::PgPlans, ..gap.clone() });
        self.proofs = Err(Gap { section: Section::PgProofs, ..gap.clone() });
    }

    /// The evidence as it stands.
    fn so_far(&self) -> Postgres {
        let mut activity = self.activity.clone();
        if let Ok(activity) = &mut activity {
            activity.waits.clone_from(&self.waits);
        }
        Postgres {
            server: self.server.as_ref().map(|s| s.server.clone()).map_err(Clone::clone),
            settings: self.settings.clone(),
            extensions: self.extensions.as_ref().map(|e| e.iter().map(|(e, _)| e.clone()).collect()).map_err(Clone::clone),
            databases: self.databases.clone(),
            tables: self.tables.as_ref().map(|(t, _)| t.clone()).map_err(Clone::clone),
            indexes: self.indexes.as_ref().map(|(i, _)| i.clone()).map_err(Clone::clone),
            constraints: self.constraints.clone(),
            columns: self.columns.clone(),
            column_stats: self.column_stats.clone(),
            statements: self.statements.as_ref().map(statements::folded).map_err(Clone::clone),
            activity,
            sequences: self.sequences.clone(),
            replication: self.replication.clone(),
            roles: self.roles.clone(),
            checkpoints: self.checkpoints.clone(),
            nodes: self.nodes.clone(),
            medusa: self.medusa.clone(),
            media: self.media.clone(),
            row_counts: self.row_counts.clone(),
            plans: self.plans.clone(),
            proofs: self.proofs.clone(),
        }
    }

    fn evidence(self) -> Postgres {
        self.so_far()
    }
}

fn cancelled(section: Section) -> Gap {
    Gap::new(section, Cause::TooFew { have: 0, need: 1, what: "reading".to_owned() }, "The audit was cancelled before this was read.")
}

/// The gap of a whole layer that could not be opened.
fn open_gap(e: &OpenError) -> Gap {
    let cause = match &e.kind {
        OpenErrorKind::TimedOut { limit_ms } => Cause::TimedOut { limit_ms: *limit_ms },
        OpenErrorKind::Denied { grant } => Cause::Denied { grant: grant.clone() },
        OpenErrorKind::TooOld { have, need } => Cause::TooOld { have: have.clone(), need: need.clone() },
        OpenErrorKind::NameUnknown | OpenErrorKind::Refused | OpenErrorKind::Tls | OpenErrorKind::SignIn | OpenErrorKind::Other => Cause::Unreachable,
    };
    Gap::new(Section::Postgres, cause, e.sentence.clone())
}
