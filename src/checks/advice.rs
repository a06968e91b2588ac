//! What a finding says of an index that statements lack: whom it serves, what it costs, what the planner says, what it would save.

use super::new_index::NewIndex;
use super::proving::{how_to_prove, questions, unread_evidence};
use super::scans::{Scan, Scene, Served, Verdict};
use crate::evidence::Snapshot;
use crate::evidence::postgres::Proof;
use crate::finding::{Basis, Cell, Confidence, Evidence, Gain};
use crate::text;

/// Calls from which the figures of a period are steady.
const CALLS_STEADY: u64 = 20;

pub fn evidence(snapshot: &Snapshot, scene: &Scene, scan: &Scan, new: &NewIndex) -> Vec<Evidence> {
    let mean_ms = scan.total_ms() / scan.calls().max(1) as f64;
    let basis = if scan.is_proved() { Basis::Proved } else { Basis::Modelled };
    let after = mean_ms * (1.0 - scan.saving());
    let mut evidence = vec![
        Evidence::table(
            "Statements it serves",
            &["Statement", "Calls", "Mean", "Blocks a call", "Share of time", "Time left"],
            scan.served.iter().map(|s| row(scene, s)).collect(),
        ),
        Evidence::figure("Table size", scan.extent.bytes as f64, "bytes", text::bytes_disk(scan.extent.bytes)),
    ];
    evidence.extend(new.costs(snapshot, scan.table, scan.proof().and_then(|p| p.bytes)));
    evidence.extend(planner(scan));
    evidence.push(Evidence::BeforeAfter { label: "Time a call".to_owned(), unit: "ms".to_owned(), before: mean_ms, after, basis });
    evidence.extend(how_to_prove(snapshot, scan));
    evidence.extend(questions(snapshot));
    evidence.extend(unread_evidence(&scene.workload));
    evidence
}

fn row(scene: &Scene, served: &Served) -> Vec<Cell> {
    let load = &served.load;
    vec![
        Cell::text(text::cut(&text::one_line(&load.statement.text), 160)),
        Cell::number(load.counters.calls as f64, text::count(load.counters.calls)),
        Cell::number(load.counters.mean_ms(), text::millis(load.counters.mean_ms())),
        Cell::number(load.blocks_a_call(), text::number(load.blocks_a_call())),
        Cell::number(scene.workload.share(load), text::percent(scene.workload.share(load))),
        Cell::number(served.left, text::percent(served.left)),
    ]
}

/// Plans with and without the index, for each statement that the planner was asked about.
fn planner(scan: &Scan) -> Option<Evidence> {
    let mut rows = Vec::new();
    for (served, proof) in scan.served.iter().filter_map(|s| proof_of(s).map(|p| (s, p))) {
        let text = text::cut(&text::one_line(&served.load.statement.text), 60);
        let cost = |c: f64| Cell::number(c, text::number(c));
        rows.push(vec![Cell::text(&text), Cell::text("now"), Cell::text(&proof.node_before), cost(proof.cost_before)]);
        if let (Some(node), Some(after)) = (&proof.node_after, proof.cost_after) {
            rows.push(vec![Cell::text(text), Cell::text("with the index"), Cell::text(node), cost(after)]);
        }
    }
    (!rows.is_empty()).then(|| Evidence::table("What the planner says", &["Statement", "", "Plan", "Cost"], rows))
}

fn proof_of<'s>(served: &Served<'s>) -> Option<&'s Proof> {
    match served.verdict {
        Verdict::Proved(proof) => Some(proof),
        _ => None,
    }
}

pub fn confidence(scene: &Scene, scan: &Scan) -> (Confidence, String) {
    let because = scene.workload.because();
    if scan.is_proved() {
        (Confidence::High, "proved by a hypothetical index".to_owned())
    } else if scan.calls() < CALLS_STEADY {
        (Confidence::Low, format!("modelled from {} only", text::plural(scan.calls(), "call", "calls")))
    } else if scan.is_unmeasured {
        (Confidence::Low, format!("modelled from the blocks read, without the statistics of its columns, {because}"))
    } else {
        (Confidence::Medium, format!("modelled from the blocks read, {because}"))
    }
}

pub fn gain(scene: &Scene, scan: &Scan, share: f64, saving: f64) -> Gain {
    let basis = if scan.is_proved() { Basis::Proved } else { Basis::Modelled };
    let mut gain = Gain::new(basis, format!("{} database time", text::minus_percent(share)));
    gain.database_time_share = Some(share);
    gain.database_ms_per_s = scene.workload.ms_per_s(scan.total_ms() * saving);
    gain
}

pub fn verify(scan: &Scan, new: &NewIndex, after_ms: f64) -> String {
    format!(
        "Audit again: the mean of {} should be near {} or below, the plan should name {}, and its scans should count up from 0.",
        if scan.served.len() == 1 { "the statement" } else { "these statements" },
        text::millis(after_ms.max(0.05)),
        new.name
    )
}
