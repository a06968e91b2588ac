//! What was observed of one Postgres server and its Medusa database.

mod activity;
mod schema;
mod server;
mod statements;

pub use activity::*;
pub use schema::*;
pub use server::*;
pub use statements::*;

use serde::{Deserialize, Serialize};

use super::medusa::{MediaHost, Medusa, RowCount};
use super::{Cause, Gap, Listed, Section, Seen, sections};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Postgres {
    pub server: Seen<Server>,
    pub settings: Seen<Vec<Setting>>,
    pub extensions: Seen<Vec<Extension>>,
    pub databases: Seen<Vec<Database>>,
    pub tables: Seen<Listed<Table>>,
    pub indexes: Seen<Listed<Index>>,
    pub constraints: Seen<Listed<Constraint>>,
    pub columns: Seen<Listed<Column>>,
    pub column_stats: Seen<Listed<ColumnStats>>,
    pub statements: Seen<Statements>,
    pub activity: Seen<Activity>,
    pub sequences: Seen<Vec<Sequence>>,
    pub replication: Seen<Replication>,
    /// Settings of the roles that have sessions here.
    #[serde(default = "older_roles")]
    pub roles: Seen<Vec<RoleSettings>>,
    #[serde(default = "older_checkpoints")]
    pub checkpoints: Seen<Checkpoints>,
    /// Usage counters of the store's other nodes, where their addresses were given; empty: none was given.
    #[serde(default = "older_nodes")]
    pub nodes: Seen<Vec<Node>>,
    pub medusa: Seen<Medusa>,
    pub media: Seen<Vec<MediaHost>>,
    pub row_counts: Seen<Vec<RowCount>>,
    /// Plans of the costliest statements as they are now.
    #[serde(default = "older_plans")]
    pub plans: Seen<Vec<StatementPlan>>,
    /// What the planner said of candidate indexes, where it could be asked.
    pub proofs: Seen<Vec<Proof>>,
}

sections!(Postgres {
    server: Server => PgServer,
    settings: Vec<Setting> => PgSettings,
    extensions: Vec<Extension> => PgExtensions,
    databases: Vec<Database> => PgDatabases,
    tables: Listed<Table> => PgTables,
    indexes: Listed<Index> => PgIndexes,
    constraints: Listed<Constraint> => PgConstraints,
    columns: Listed<Column> => PgColumns,
    column_stats: Listed<ColumnStats> => PgColumnStats,
    statements: Statements => PgStatements,
    activity: Activity => PgActivity,
    sequences: Vec<Sequence> => PgSequences,
    replication: Replication => PgReplication,
    roles: Vec<RoleSettings> => PgRoles,
    checkpoints: Checkpoints => PgCheckpoints,
    nodes: Vec<Node> => PgNodes,
    medusa: Medusa => PgMedusa,
    media: Vec<MediaHost> => PgMedia,
    row_counts: Vec<RowCount> => PgRowCounts,
    plans: Vec<StatementPlan> => PgPlans,
    proofs: Vec<Proof> => PgProofs,
});

/// The gap of a section that the build which took the snapshot did not read.
fn older(section: Section) -> Gap {
    let cause = Cause::TooOld { have: "an earlier snapshot".to_owned(), need: "one taken by this version".to_owned() };
    Gap::new(section, cause, "The snapshot was taken by an earlier version, which did not read this. Run the audit again.")
}

fn older_roles<T>() -> Seen<T> {
    Err(older(Section::PgRoles))
}

fn older_checkpoints<T>() -> Seen<T> {
    Err(older(Section::PgCheckpoints))
}

fn older_nodes<T>() -> Seen<T> {
    Err(older(Section::PgNodes))
}

fn older_plans<T>() -> Seen<T> {
    Err(older(Section::PgPlans))
}
