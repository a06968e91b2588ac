//! How long a report takes, by format: `cargo bench --bench report`.

#[path = "../tests/report/fixture.rs"]
mod fixture;

use medusa_advisor::report::{Options, Report, html, json, markdown, pdf};

fn main() {
    divan::main();
}

fn rich() -> Report {
    let (snapshot, plan) = fixture::rich();
    Report::build(&snapshot, &plan, &Options::whole("Northwind Outfitters"))
}

fn crowded() -> Report {
    let (snapshot, plan) = fixture::crowded();
    Report::build(&snapshot, &plan, &Options::whole("Northwind Outfitters"))
}

#[divan::bench]
fn build(bencher: divan::Bencher) {
    let (snapshot, plan) = fixture::rich();
    bencher.bench(|| Report::build(&snapshot, &plan, &Options { mask_hosts: true, ..Options::whole("Northwind Outfitters") }));
}

#[divan::bench]
fn json_of_forty_findings(bencher: divan::Bencher) {
    let report = crowded();
    bencher.bench(|| json::render(&report));
}

#[divan::bench]
fn markdown_of_forty_findings(bencher: divan::Bencher) {
    let report = crowded();
    bencher.bench(|| markdown::render(&report));
}

#[divan::bench]
fn html_of_forty_findings(bencher: divan::Bencher) {
    let report = crowded();
    bencher.bench(|| html::render(&report));
}

/// Cold each time: nothing stays cached between two different reports.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn pdf_of_six_findings(bencher: divan::Bencher) {
    let mut n = 0;
    bencher
        .with_inputs(|| {
            n += 1;
            Report { title: format!("Report {n}"), ..rich() }
        })
        .bench_local_values(|report| pdf::render(&report));
}

#[divan::bench(sample_count = 2, sample_size = 1)]
fn pdf_of_forty_findings(bencher: divan::Bencher) {
    let mut n = 0;
    bencher
        .with_inputs(|| {
            n += 1;
            Report { title: format!("Report {n}"), ..crowded() }
        })
        .bench_local_values(|report| pdf::render(&report));
}
