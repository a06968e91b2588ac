//! The rows of the list: group headers, findings, and "and 412 more" where one check found many.

use std::collections::BTreeMap;

use eframe::egui::{self, Ui};

use crate::app::{GroupBy, Model};
use crate::plan::Ranked;

/// Findings of one check that are listed before the rest is counted.
const LISTED_MAX: usize = 20;

/// One row of the list.
pub enum Row<'a> {
    Head {
        title: String,
        count: usize,
    },
    Finding(&'a Ranked),
    /// More findings of one check: its id and how many.
    More {
        check: &'static str,
        count: usize,
    },
}

/// The list as it is drawn, top to bottom.
pub struct Rows<'a> {
    pub rows: Vec<Row<'a>>,
    /// Findings that match the filters, listed or counted.
    pub matching: usize,
}

impl<'a> Rows<'a> {
    /// The findings that have a row, in reading order.
    pub fn findings(&self) -> impl Iterator<Item = &'a Ranked> + '_ {
        self.rows.iter().filter_map(|row| if let Row::Finding(r) = row { Some(*r) } else { None })
    }

    /// The finding in the detail: the selected one, else the first of the list.
    pub fn current(&self, selected: Option<&str>) -> Option<&'a Ranked> {
        self.findings().find(|r| Some(r.key.as_str()) == selected).or_else(|| self.findings().next())
    }
}

/// Groups, sorts and shortens what the model lists.
pub fn build<'a>(ui: &Ui, model: &'a Model) -> Rows<'a> {
    let listed = model.listed_findings();
    let matching = listed.len();
    let mut rows = Vec::with_capacity(matching + 8);
    for (title, findings) in grouped(model.findings.group, listed) {
        if !title.is_empty() {
            rows.push(Row::Head { title, count: findings.len() });
        }
        push_shortened(ui, &mut rows, &findings);
    }
    Rows { rows, matching }
}

/// Groups in the order of their first finding, except where the group has an order of its own.
fn grouped<'a>(by: GroupBy, listed: Vec<&'a Ranked>) -> Vec<(String, Vec<&'a Ranked>)> {
    let mut groups: Vec<(u32, String, Vec<&'a Ranked>)> = Vec::new();
    for ranked in listed {
        let (order, title) = group_of(by, ranked);
        match groups.iter_mut().find(|g| g.0 == order && g.1 == title) {
            Some(group) => group.2.push(ranked),
            None => groups.push((order, title, vec![ranked])),
        }
    }
    groups.sort_by_key(|g| g.0);
    groups.into_iter().map(|(_, title, findings)| (title, findings)).collect()
}

fn group_of(by: GroupBy, ranked: &Ranked) -> (u32, String) {
    let f = &ranked.finding;
    match by {
        GroupBy::None => (0, String::new()),
        GroupBy::Layer => (ranked.check.layer as u32, ranked.check.layer.name().to_owned()),
        GroupBy::Severity => (10 - f.severity as u32, f.severity.name().to_owned()),
        GroupBy::Effort => {
            let word = f.effort.id();
            (f.effort as u32, format!("{}{}", word[..1].to_uppercase(), &word[1..]))
        }
        // Findings that touch the same request share the first thing they touch.
        GroupBy::RequestPath => match ranked.along.first() {
            Some(_) => (0, path_name(ranked)),
            None => (1, "On no shared request path".to_owned()),
        },
    }
}

fn path_name(ranked: &Ranked) -> String {
    let touch = ranked.finding.touches.iter().min_by_key(|t| (!t.starts_with("path:"), !t.starts_with("table:"), (*t).clone()));
    touch.map_or_else(String::new, |t| t.split_once(':').map_or(t.as_str(), |(_, name)| name).to_owned())
}

/// The first findings of each check; the rest is one row after the last of them, until it is opened.
fn push_shortened<'a>(ui: &Ui, rows: &mut Vec<Row<'a>>, findings: &[&'a Ranked]) {
    let mut totals: BTreeMap<&'static str, usize> = BTreeMap::new();
    findings.iter().for_each(|r| *totals.entry(r.check.id).or_insert(0) += 1);
    let mut seen: BTreeMap<&'static str, usize> = BTreeMap::new();
    for ranked in findings {
        let check = ranked.check.id;
        let total = totals.get(check).copied().unwrap_or(0);
        let at = seen.entry(check).or_insert(0);
        *at += 1;
        let is_open = total <= LISTED_MAX || is_opened(ui, check);
        if is_open || *at <= LISTED_MAX {
            rows.push(Row::Finding(ranked));
        }
        if !is_open && *at == LISTED_MAX {
            rows.push(Row::More { check, count: total - LISTED_MAX });
        }
    }
}

fn opened_id(check: &str) -> egui::Id {
    egui::Id::unique(("all findings of", check))
}

fn is_opened(ui: &Ui, check: &str) -> bool {
    ui.data(|data| data.get_temp::<bool>(opened_id(check))).unwrap_or(false)
}

/// Lists all findings of `check` from the next frame on.
pub fn open_all(ui: &Ui, check: &str) {
    ui.data_mut(|data| data.insert_temp(opened_id(check), true));
    ui.ctx().request_repaint();
}
