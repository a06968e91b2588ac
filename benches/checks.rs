//! All checks, the plan and the snapshot file, on the demo store, on one with 5,000 statements and on one with 3,000 tables.
//!
//! `cargo bench --bench checks`; `ADVISOR_BENCH_SNAPSHOT=FILE` adds a recorded one.

use divan::Bencher;
use medusa_advisor::evidence::{Snapshot, file};
use medusa_advisor::{checks, demo, plan};

fn main() {
    divan::main();
}

/// The demo store with its statements repeated under other names until there are 5,000.
fn large() -> Snapshot {
    let mut snapshot = demo::snapshot();
    if let Ok(statements) = snapshot.postgres.as_mut().map_err(|_| ()).and_then(|pg| pg.statements.as_mut().map_err(|_| ())) {
        let base = statements.rows.rows.clone();
        if base.is_empty() {
            return snapshot;
        }
        for i in 0.. {
            if statements.rows.rows.len() >= 5_000 {
                break;
            }
            let mut s = base[i % base.len()].clone();
            s.id = format!("{}{i}", s.id);
            s.text = s.text.replace(" from \"", &format!(" from \"x{i}_"));
            statements.rows.rows.push(s);
        }
    }
    snapshot
}

/// The demo store with its tables, and what belongs to them, repeated under other names: 3,000 tables, 10,000 indexes.
fn many_objects() -> Snapshot {
    let mut snapshot = large();
    let Ok(pg) = &mut snapshot.postgres else { return snapshot };
    if let Ok(tables) = &mut pg.tables {
        repeat(&mut tables.rows, 3_000, |t, i| t.name = format!("x{i}_{}", t.name));
    }
    if let Ok(indexes) = &mut pg.indexes {
        repeat(&mut indexes.rows, 10_000, |x, i| {
            x.table = format!("x{i}_{}", x.table);
            x.name = format!("x{i}_{}", x.name);
        });
    }
    if let Ok(constraints) = &mut pg.constraints {
        repeat(&mut constraints.rows, 6_000, |c, i| {
            c.table = format!("x{i}_{}", c.table);
            c.parent_table = c.parent_table.as_ref().map(|p| format!("x{i}_{p}"));
        });
    }
    if let Ok(columns) = &mut pg.columns {
        repeat(&mut columns.rows, 10_000, |c, i| c.table = format!("x{i}_{}", c.table));
    }
    if let Ok(stats) = &mut pg.column_stats {
        repeat(&mut stats.rows, 10_000, |c, i| c.table = format!("x{i}_{}", c.table));
    }
    snapshot
}

/// Repeats the rows until there are `count`; `rename` tells the rounds apart.
fn repeat<T: Clone>(rows: &mut Vec<T>, count: usize, rename: impl Fn(&mut T, usize)) {
    let base = rows.clone();
    for i in 0..count.saturating_sub(base.len()) {
        if base.is_empty() {
            return;
        }
        let mut row = base[i % base.len()].clone();
        rename(&mut row, i / base.len());
        rows.push(row);
    }
}

/// A recorded snapshot, or the demo store where none is named.
fn given() -> Snapshot {
    let path = std::env::var_os("ADVISOR_BENCH_SNAPSHOT");
    path.map_or_else(demo::snapshot, |path| file::read(&std::fs::read(path).expect("the snapshot is there")).expect("a snapshot"))
}

#[divan::bench]
fn checks_on_many_objects(bencher: Bencher) {
    let snapshot = many_objects();
    bencher.bench_local(|| checks::run_all(&snapshot, |_| true));
}

/// By check, on the same store: what is slow is named.
#[divan::bench(args = checks::registry::ALL.iter().map(|c| c.id))]
fn one_check_on_many_objects(bencher: Bencher, id: &str) {
    let snapshot = many_objects();
    bencher.bench_local(|| checks::run_all(&snapshot, |c| c.id == id));
}

#[divan::bench]
fn checks_on_a_given_snapshot(bencher: Bencher) {
    let snapshot = given();
    bencher.bench_local(|| checks::run_all(&snapshot, |_| true));
}

#[divan::bench]
fn checks_on_the_demo_store(bencher: Bencher) {
    let snapshot = demo::snapshot();
    bencher.bench_local(|| checks::run_all(&snapshot, |_| true));
}

#[divan::bench]
fn checks_on_5000_statements(bencher: Bencher) {
    let snapshot = large();
    bencher.bench_local(|| checks::run_all(&snapshot, |_| true));
}

#[divan::bench]
fn plan_of_the_demo_store(bencher: Bencher) {
    let snapshot = demo::snapshot();
    bencher.bench_local(|| plan::build(&snapshot, &[], |_| true));
}

#[divan::bench]
fn open_the_demo_store(bencher: Bencher) {
    bencher.bench_local(demo::snapshot);
}

#[divan::bench]
fn write_a_snapshot(bencher: Bencher) {
    let snapshot = demo::snapshot();
    bencher.bench_local(|| file::write(&snapshot));
}
