//! Findings and the report of them: filtering, dismissing, exporting.

use std::sync::Arc;

use time::Date;
use time::macros::format_description;

use crate::app::files::Document;
use crate::app::message::{Action, Effect};
use crate::app::{Audit, Dialog, FindingsTab, FindingsView, Model, Page, SortBy};
use crate::connect::profile::new_id;
use crate::plan::{Dismissal, Ranked};

impl Model {
    pub(super) fn act_findings(&mut self, action: Action) -> Vec<Effect> {
        let view = &mut self.findings;
        match action {
            Action::FindingsTab(tab) => {
                view.tab = tab;
                view.selected = None;
            }
            Action::SearchFindings(text) => view.search = text,
            Action::ToggleLayer(l) => toggle(&mut view.layers, l),
            Action::ToggleSeverity(s) => toggle(&mut view.severities, s),
            Action::ToggleEffort(e) => toggle(&mut view.efforts, e),
            Action::ClearFilters => {
                view.layers.clear();
                view.severities.clear();
                view.efforts.clear();
                view.search.clear();
            }
            Action::GroupFindings(g) => view.group = g,
            Action::SortFindings(s) => view.sort = s,
            Action::SelectFinding(key) => {
                view.selected = Some(key);
                view.remedy = 0;
            }
            Action::OpenFinding(key) => {
                self.findings = FindingsView { selected: Some(key), ..Default::default() };
                return self.go(Page::Findings);
            }
            Action::StepFinding(by) => self.step_finding(by),
            Action::SelectRemedy(i) => view.remedy = i,
            Action::AskDismiss(key) => return self.ask_dismiss(key),
            Action::EditDismiss { reason, until } => {
                if let Some(Dialog::Dismiss { reason: r, until: u, error, .. }) = &mut self.dialog {
                    (*r, *u, *error) = (reason, until, None);
                }
            }
            Action::Dismiss => return self.dismiss(),
            Action::Restore(key) => return self.restore(&key),
            _ => {}
        }
        Vec::new()
    }

    fn step_finding(&mut self, by: i32) {
        let keys: Vec<String> = self.listed_findings().iter().map(|r| r.key.clone()).collect();
        if keys.is_empty() {
            return;
        }
        let at = self.findings.selected.as_ref().and_then(|k| keys.iter().position(|x| x == k)).unwrap_or(0) as i32;
        let to = (at + by).clamp(0, keys.len() as i32 - 1) as usize;
        self.findings.selected = Some(keys[to].clone());
        self.findings.remedy = 0;
    }

    /// Findings of the Open list as filtered and sorted now, without group headers.
    pub fn listed_findings(&self) -> Vec<&Ranked> {
        let Some(audit) = self.current_audit() else { return Vec::new() };
        let v = &self.findings;
        let needle = v.search.trim().to_lowercase();
        let matches = |r: &&Ranked| {
            let f = &r.finding;
            (v.layers.is_empty() || v.layers.contains(&r.check.layer))
                && (v.severities.is_empty() || v.severities.contains(&f.severity))
                && (v.efforts.is_empty() || v.efforts.contains(&f.effort))
                && (needle.is_empty()
                    || [r.check.title, r.check.id, f.subject.name.as_str(), f.observed.as_str()].iter().any(|t| t.to_lowercase().contains(&needle)))
        };
        let all: Vec<&Ranked> = match v.tab {
            FindingsTab::Dismissed => audit.plan.dismissed.iter().map(|(r, _)| r).collect(),
            _ => audit.plan.findings.iter().collect(),
        };
        let mut out: Vec<&Ranked> = all.into_iter().filter(matches).collect();
        match v.sort {
            SortBy::MeasuredCost => {}
            SortBy::Severity => out.sort_by_key(|r| std::cmp::Reverse(r.finding.severity)),
            SortBy::Effort => out.sort_by_key(|r| r.finding.effort),
            SortBy::Title => out.sort_by_key(|r| r.check.title),
        }
        out
    }

    fn ask_dismiss(&mut self, key: String) -> Vec<Effect> {
        let Some(audit) = self.current_audit() else { return Vec::new() };
        let Some(ranked) = audit.plan.find(&key) else { return Vec::new() };
        let until = audit.snapshot.meta.taken_at.date().saturating_add(time::Duration::days(90));
        let title = ranked.check.title.to_owned();
        self.show(Dialog::Dismiss { key, title, reason: String::new(), until: until.to_string(), error: None })
    }

    fn dismiss(&mut self) -> Vec<Effect> {
        let Some(Dialog::Dismiss { key, reason, until, error, .. }) = &mut self.dialog else { return Vec::new() };
        if reason.trim().is_empty() {
            *error = Some("A reason is needed: whoever reads the report will ask.".to_owned());
            return Vec::new();
        }
        let Ok(day) = Date::parse(until.trim(), format_description!("[year]-[month]-[day]")) else {
            *error = Some("An end date is needed, as 2027-01-31.".to_owned());
            return Vec::new();
        };
        let dismissal = Dismissal { key: key.clone(), reason: reason.trim().to_owned(), by: self.settings.user.clone(), until: day };
        self.dialog = None;
        // The focus goes to the next row, not to the top.
        let keys: Vec<String> = self.listed_findings().iter().map(|r| r.key.clone()).collect();
        let at = keys.iter().position(|k| *k == dismissal.key);
        self.findings.selected = at.and_then(|i| keys.get(i + 1).or_else(|| i.checked_sub(1).and_then(|p| keys.get(p)))).cloned();
        self.with_dismissals(|list| {
            list.retain(|d| d.key != dismissal.key);
            list.push(dismissal);
        })
    }

    fn restore(&mut self, key: &str) -> Vec<Effect> {
        self.with_dismissals(|list| list.retain(|d| d.key != key))
    }

    fn with_dismissals(&mut self, edit: impl FnOnce(&mut Vec<Dismissal>)) -> Vec<Effect> {
        let Some(audit) = self.current_audit().map(Arc::clone) else { return Vec::new() };
        let mut dismissals: Vec<Dismissal> = audit.plan.dismissed.iter().map(|(_, d)| d.clone()).collect();
        edit(&mut dismissals);
        let store = store_of(&audit);
        vec![Effect::SaveDismissals { store, dismissals, audit }]
    }

    pub(super) fn act_export(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::EditReport(choice) => {
                self.export.choice = choice;
                self.refresh_preview()
            }
            Action::ToggleFormat(f) => {
                toggle(&mut self.export.formats, f);
                self.export.formats.sort();
                Vec::new()
            }
            Action::PreviewPage(i) => {
                self.export.preview_page = i;
                Vec::new()
            }
            Action::RefreshPreview => self.refresh_preview(),
            Action::OpenWhenDone(on) => {
                self.export.opens_when_done = on;
                Vec::new()
            }
            Action::CopyReport => {
                let Some(audit) = self.current_audit().map(Arc::clone) else { return Vec::new() };
                vec![Effect::WriteMarkdown { audit, choice: self.export.choice.clone() }]
            }
            _ => {
                let Some(audit) = self.current_audit().map(Arc::clone) else { return Vec::new() };
                if self.export.formats.is_empty() || self.export.saving.is_pending() {
                    return Vec::new();
                }
                self.export.saving.begin();
                vec![Effect::Save(Document::Report { audit, choice: self.export.choice.clone(), formats: self.export.formats.clone() })]
            }
        }
    }

    pub(in crate::app) fn refresh_preview(&mut self) -> Vec<Effect> {
        let Some(audit) = self.current_audit().map(Arc::clone) else { return Vec::new() };
        self.export.preview.begin();
        vec![Effect::Preview { audit, choice: self.export.choice.clone() }]
    }
}

/// The store whose dismissals an audit has; snapshots opened by file have those of the demo's kind: their own name.
fn store_of(audit: &Audit) -> String {
    audit.store.clone().unwrap_or_else(|| new_id(&audit.snapshot.meta.store, &[]))
}

fn toggle<T: PartialEq>(list: &mut Vec<T>, item: T) {
    match list.iter().position(|x| *x == item) {
        Some(i) => {
            list.remove(i);
        }
        None => list.push(item),
    }
}
