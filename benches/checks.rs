//! All checks, the plan and the snapshot file, on the demo store and on one with 5,000 statements.
//!
//! `cargo bench --bench checks`

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
