//! How much of what statements read was in Postgres' own cache. Shared by the checks of the caches.

use super::workload::statistics_age;
use crate::evidence::postgres::{DatabaseCounters, Index, Table};
use crate::evidence::{Cause, Gap, Section, Snapshot};
use crate::text;

/// Below it, one listing of an administrator decides the share.
pub const BLOCKS_MIN: u64 = 100_000;
/// A cache is cold after a start: blocks are read once before they can be found.
pub const WARM_S_MIN: f64 = 3_600.0;

/// Blocks of this database, of the whole period.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockReads {
    /// "in 30 s", "since 17 Nov 2026".
    pub words: String,
    pub is_window: bool,
    /// Found in shared buffers.
    pub hit: u64,
    /// Asked of the operating system, which may have had them in its own cache.
    pub read: u64,
}

impl BlockReads {
    /// 0…1.
    pub fn hit_share(&self) -> f64 {
        let all = self.hit + self.read;
        if all == 0 { 1.0 } else { self.hit as f64 / all as f64 }
    }

    /// 0…1.
    pub fn miss_share(&self) -> f64 {
        let all = self.hit + self.read;
        if all == 0 { 0.0 } else { self.read as f64 / all as f64 }
    }
}

/// The window where it saw enough, else the time since the reset.
///
/// # Errors
/// The gap of the server, or that its cache is cold or was asked too little.
pub fn block_reads(snapshot: &Snapshot) -> Result<BlockReads, Gap> {
    let server = snapshot.pg()?.server()?;
    if let Some(started) = server.started_at {
        let up_s = (server.now - started).as_seconds_f64().max(0.0);
        if up_s < WARM_S_MIN {
            let detail = format!("The server started {} ago and its cache is cold; an hour is needed.", text::seconds(up_s));
            return Err(Gap::new(Section::PgServer, Cause::TooYoung { have_s: up_s, need_s: WARM_S_MIN }, detail));
        }
    }
    let asked = |c: &DatabaseCounters| c.blocks_hit + c.blocks_read;
    let total = &server.counters.total;
    if let Some(window) = server.counters.window.as_ref().filter(|w| asked(w) >= BLOCKS_MIN) {
        let words = format!("in {}", text::seconds(snapshot.meta.window_s));
        return Ok(BlockReads { words, is_window: true, hit: window.blocks_hit, read: window.blocks_read });
    }
    let have = asked(total);
    if have < BLOCKS_MIN {
        let cause = Cause::TooFew { have, need: BLOCKS_MIN, what: "block reads".to_owned() };
        return Err(Gap::new(Section::PgServer, cause, format!("Statements asked for {}: too few to judge.", text::plural(have, "block", "blocks"))));
    }
    let age = statistics_age(snapshot)?;
    if age.seconds < WARM_S_MIN {
        let cause = Cause::TooYoung { have_s: age.seconds, need_s: WARM_S_MIN };
        return Err(Gap::new(Section::PgServer, cause, format!("The counters run for {}; an hour is needed.", text::seconds(age.seconds))));
    }
    Ok(BlockReads { words: format!("since {}", text::date(age.since)), is_window: false, hit: total.blocks_hit, read: total.blocks_read })
}

/// Bytes of the tables and indexes that were read in the same period as the blocks. A bound from above: nobody reads a whole index.
pub fn working_set(reads: &BlockReads, tables: &[Table], indexes: &[Index]) -> u64 {
    let heap = tables.iter().filter(|t| {
        let c = t.counters.window.filter(|_| reads.is_window).unwrap_or(t.counters.total);
        t.kind != "p" && c.seq_scans + c.index_scans > 0
    });
    let index = indexes.iter().filter(|i| i.scans.window.filter(|_| reads.is_window).unwrap_or(i.scans.total) > 0);
    heap.map(|t| t.table_bytes).sum::<u64>() + index.map(|i| i.bytes).sum::<u64>()
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::checks::fixtures::{index, store, table};
    use crate::evidence::postgres::Postgres;
    use time::Duration;

    /// Blocks since the reset 60 days ago, on a server that runs for 90.
    pub fn read(hit: u64, read: u64, edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        store(|pg| {
            let counters = &mut pg.server.as_mut().unwrap().counters.total;
            (counters.blocks_hit, counters.blocks_read) = (hit, read);
            edit(pg);
        })
    }

    pub fn in_window(pg: &mut Postgres, hit: u64, read: u64) {
        let counters = &mut pg.server.as_mut().unwrap().counters;
        counters.window = Some(DatabaseCounters { blocks_hit: hit, blocks_read: read, ..counters.total });
    }

    pub fn started(pg: &mut Postgres, seconds_ago: f64) {
        let server = pg.server.as_mut().unwrap();
        server.started_at = Some(server.now - Duration::seconds_f64(seconds_ago));
    }

    #[test]
    fn enough_blocks_are_needed() {
        assert!(matches!(block_reads(&read(99_999, 0, |_| {})), Err(Gap { cause: Cause::TooFew { .. }, .. })));
        assert!(!block_reads(&read(100_000, 0, |_| {})).unwrap().is_window);
        assert!(block_reads(&read(0, 0, |pg| in_window(pg, 50_000, 50_000))).unwrap().is_window);
        assert!(block_reads(&read(0, 0, |pg| in_window(pg, 50_000, 49_999))).is_err());
    }

    #[test]
    fn a_cold_cache_tells_nothing() {
        assert!(matches!(block_reads(&read(1_000_000, 0, |pg| started(pg, 3_599.0))), Err(Gap { cause: Cause::TooYoung { .. }, .. })));
        assert!(block_reads(&read(1_000_000, 0, |pg| started(pg, 3_600.0))).is_ok());
    }

    #[test]
    fn what_was_read_is_the_working_set() {
        let mut quiet = table("order", 10, 1_000);
        let mut busy = table("product", 10, 2_000);
        busy.counters.total.index_scans = 1;
        let since = BlockReads { words: String::new(), is_window: false, hit: 0, read: 0 };
        let window = BlockReads { is_window: true, ..since.clone() };
        assert_eq!(working_set(&since, &[quiet.clone(), busy.clone()], &[index("product", "a", &["id"], None)]), 20_002_000);
        quiet.counters.window = Some(busy.counters.total);
        busy.counters.window = Some(table("x", 1, 1).counters.total);
        assert_eq!(working_set(&window, &[quiet.clone(), busy.clone()], &[]), 1_000);
        assert_eq!(working_set(&since, &[quiet, busy], &[]), 2_000);
    }
}
