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
    }
}

fn difference(a: &CheckpointCounters, b: &CheckpointCounters) -> Option<CheckpointCounters> {
    Some(CheckpointCounters {
        timed: rise(a.timed, b.timed)?,
        requested: rise(a.requested, b.requested)?,
        buffers_written: rise(a.buffers_written, b.buffers_written)?,
        wal_bytes: match (a.wal_bytes, b.wal_bytes) {
            (Some(a), Some(b)) => Some(rise(a, b)?),
            _ => None,
        },
    })
}
