//! Charts and tables of the application: how long the store API takes.

use super::{BARS_MAX, ChartKind, ChartSpec, Drawn, Series, SeriesRole, Unit, XAxis, line, sentence};
use crate::checks::measures::{self, Latency, TIMINGS_MIN};
use crate::evidence::{Gap, Snapshot};
use crate::text;

/// Timed endpoints of the store API, slowest P95 first; those with too few answers for a P95 are left out.
///
/// # Errors
/// The gap of the store API.
pub fn endpoints(snapshot: &Snapshot) -> Result<Vec<Latency>, Gap> {
    let timed = snapshot.shop()?.api()?.iter().filter_map(measures::latency);
    let mut rows: Vec<Latency> = timed.filter(|l| l.samples >= TIMINGS_MIN).collect();
    rows.sort_by(|a, b| b.p95_ms.total_cmp(&a.p95_ms).then_with(|| a.endpoint.cmp(&b.endpoint)));
    Ok(rows)
}

/// P95 by endpoint against the target.
pub fn p95_by_endpoint(snapshot: &Snapshot) -> Drawn {
    let mut rows = endpoints(snapshot).map_err(|g| sentence(&g))?;
    rows.truncate(BARS_MAX);
    let [first, _, _, ..] = rows.as_slice() else { return Err("Fewer than three endpoints were timed often enough for a P95.".to_owned()) };
    let target = snapshot.meta.targets.p95_ms_max;
    let over = rows.iter().filter(|r| r.p95_ms > target).count();
    let conclusion =
        format!("P95 by endpoint: {over} of {} above the target, {} slowest with {}.", rows.len(), first.endpoint, text::millis(first.p95_ms));
    Ok(ChartSpec {
        id: "app.p95".into(),
        title: "P95 by endpoint".into(),
        caption: "timed by the audit".into(),
        conclusion,
        kind: ChartKind::HorizontalBars,
        unit: Unit::Millis,
        series: vec![Series::of_categories("P95", SeriesRole::App, rows.iter().map(|r| Some(r.p95_ms)))],
        target: Some(target),
        categories: rows.iter().map(|r| r.endpoint.clone()).collect(),
        x_axis: XAxis::Categories,
    })
}

/// Answer times through the window.
pub fn latency(snapshot: &Snapshot) -> Drawn {
    line(snapshot, "app.latency", "Store API latency", "each timed answer", Unit::Millis, SeriesRole::App, None)
}
