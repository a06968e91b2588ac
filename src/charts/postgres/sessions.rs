//! Charts of sessions for the window.

use std::collections::BTreeMap;

use super::{BARS_MAX, ChartKind, ChartSpec, Drawn, Series, SeriesRole, Unit, XAxis, sentence};
use crate::evidence::Snapshot;
use crate::evidence::postgres::SessionGroup;
use crate::text;

/// Name, colour, and which of the server's words it covers.
type State = (&'static str, SeriesRole, fn(&str) -> bool);

/// What a stack is made of, in drawing order; "idle in transaction (aborted)" counts as idle in transaction.
const STATES: [State; 4] = [
    ("active", SeriesRole::Postgres, |s| s == "active"),
    ("idle in transaction", SeriesRole::Miss, |s| s.starts_with("idle in transaction")),
    ("idle", SeriesRole::Rest, |s| s == "idle"),
    ("other", SeriesRole::Expired, |s| s != "active" && s != "idle" && !s.starts_with("idle in transaction")),
];

/// Connections by application, each split by state; a state nobody is in has no series.
pub fn sessions(snapshot: &Snapshot) -> Drawn {
    let activity = snapshot.pg().and_then(|pg| pg.activity()).map_err(|g| sentence(&g))?;
    let mut by_name: BTreeMap<&str, Vec<&SessionGroup>> = BTreeMap::new();
    for group in &activity.groups {
        by_name.entry(group.application.as_str()).or_default().push(group);
    }
    let sum = |groups: &[&SessionGroup]| groups.iter().map(|g| u64::from(g.count)).sum::<u64>();
    let mut applications: Vec<(&str, Vec<&SessionGroup>)> = by_name.into_iter().collect();
    applications.sort_by(|a, b| sum(&b.1).cmp(&sum(&a.1)).then_with(|| a.0.cmp(b.0)));
    applications.truncate(BARS_MAX);
    let Some((busiest, most)) = applications.first().map(|(name, groups)| (*name, sum(groups))) else {
        return Err("No session but this audit's own was seen.".to_owned());
    };
    let usable = activity.max_connections.saturating_sub(activity.reserved);
    let named = |name: &str| if name.is_empty() { "no name given".to_owned() } else { name.to_owned() };
    let of = |is: fn(&str) -> bool, groups: &[&SessionGroup]| groups.iter().filter(|g| is(&g.state)).map(|g| f64::from(g.count)).sum::<f64>();
    let series = STATES.iter().map(|(name, role, is)| Series::of_categories(name, *role, applications.iter().map(|(_, g)| Some(of(*is, g)))));
    Ok(ChartSpec {
        id: "pg.sessions".into(),
        title: "Connections by application".into(),
        caption: format!("{} of {usable} usable", activity.connections),
        conclusion: format!("{} of {usable} usable connections are taken; {} has {}.", activity.connections, named(busiest), text::count(most)),
        kind: ChartKind::HorizontalBars,
        unit: Unit::Count,
        series: series.filter(|s| s.points.iter().any(|p| p.1.is_some_and(|v| v > 0.0))).collect(),
        target: None,
        categories: applications.iter().map(|(name, _)| named(name)).collect(),
        x_axis: XAxis::Categories,
    })
}

/// What sessions waited for, by how often a sample of the window saw it.
pub fn wait_events(snapshot: &Snapshot) -> Drawn {
    let activity = snapshot.pg().and_then(|pg| pg.activity()).map_err(|g| sentence(&g))?;
    let mut waits = activity.waits.clone();
    waits.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    waits.truncate(BARS_MAX);
    let Some((first, times)) = waits.first() else { return Err("No session was waiting in any sample of the window.".to_owned()) };
    let conclusion = format!("Wait events: {first} was seen {} times.", text::count(*times));
    Ok(ChartSpec {
        id: "pg.waits".into(),
        title: "Wait events".into(),
        caption: "times seen in the window's samples".into(),
        conclusion,
        kind: ChartKind::HorizontalBars,
        unit: Unit::Count,
        series: vec![Series::of_categories("times seen", SeriesRole::Postgres, waits.iter().map(|w| Some(w.1 as f64)))],
        target: None,
        categories: waits.iter().map(|w| w.0.clone()).collect(),
        x_axis: XAxis::Categories,
    })
}
