//! What the checkpointer did, read at both ends of the window.

use sqlx::FromRow;
use time::OffsetDateTime;

use super::reader::{Reader, count, rise};
use crate::evidence::postgres::{CheckpointCounters, Checkpoints};
use crate::evidence::{Sampled, Section, Seen};

#[derive(FromRow)]
struct CheckpointRow {
    timed: i64,
    requested: i64,
    buffers_written: i64,
    wal_bytes: Option<i64>,
    wal_position: Option<i64>,
    stats_reset_at: Option<OffsetDateTime>,
}

pub async fn first(reader: &mut Reader<'_>) -> Seen<Checkpoints> {
    let row: CheckpointRow = reader.row(Section::PgCheckpoints, include_str!("sql/checkpoints.sql")).await?;
    Ok(Checkpoints { counters: Sampled::only(counters(&row)), stats_reset_at: row.stats_reset_at })
}

/// Second reading: the rise over the window, unless the counters were reset inside it.
pub async fn again(reader: &mut Reader<'_>, first: &mut Checkpoints) -> Seen<()> {
    let row: CheckpointRow = reader.row(Section::PgCheckpoints, include_str!("sql/checkpoints.sql")).await?;
    let after = counters(&row);
    let was_reset = row.stats_reset_at != first.stats_reset_at;
    let window = if was_reset { None } else { difference(&first.counters.total, &after) };
    *first = Checkpoints { counters: Sampled { total: after, window }, stats_reset_at: row.stats_reset_at };
    Ok(())
}

fn counters(row: &CheckpointRow) -> CheckpointCounters {
    CheckpointCounters {
        timed: count(row.timed),
        requested: count(row.requested),
        buffers_written: count(row.buffers_written),
        wal_bytes: row.wal_bytes.map(count),
        wal_position: row.wal_position.map(count),
    }
}

fn difference(a: &CheckpointCounters, b: &CheckpointCounters) -> Option<CheckpointCounters> {
    Some(CheckpointCounters {
        timed: rise(a.timed, b.timed)?,
        requested: rise(a.requested, b.requested)?,
        buffers_written: rise(a.buffers_written, b.buffers_written)?,
        wal_bytes: rise_where_known(a.wal_bytes, b.wal_bytes)?,
        wal_position: rise_where_known(a.wal_position, b.wal_position)?,
    })
}

/// `None`: counters that went back. `Some(None)`: not counted by this server.
#[allow(clippy::option_option)]
fn rise_where_known(a: Option<u64>, b: Option<u64>) -> Option<Option<u64>> {
    match (a, b) {
        (Some(a), Some(b)) => rise(a, b).map(Some),
        _ => Some(None),
    }
}
