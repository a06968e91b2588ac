//! The rows of a metrics table: cells, the finding a row belongs to, and the cache that keeps long lists smooth.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

use eframe::egui::{self, Ui};

use crate::app::{Action, Audit, Model};
use crate::finding::Severity;
use crate::plan::Ranked;
use crate::text;

/// One cell: what it shows and what it sorts by.
#[derive(Clone)]
pub enum Cell {
    Text(String),
    Weak(String),
    Mono(String),
    /// A state that should not be; it sorts among the words.
    Off(String),
    /// A figure; `is_off` when it misses its target.
    Number {
        value: f64,
        shown: String,
        is_off: bool,
    },
    /// The figure that the table is about.
    Strong {
        value: f64,
        shown: String,
    },
    /// A bar of 0…1 with its words and a tick at the target.
    Share {
        share: f64,
        shown: String,
        target: Option<f64>,
    },
    /// Words that lead somewhere, and what they are called where only their name is read.
    Link {
        shown: String,
        goes: Action,
        name: String,
    },
    /// Not measured, or none.
    None(&'static str),
}

impl Cell {
    pub fn number(value: f64, shown: impl Into<String>) -> Self {
        Cell::Number { value, shown: shown.into(), is_off: false }
    }

    pub fn count(n: u64) -> Self {
        Cell::number(n as f64, text::count(n))
    }

    pub(super) fn words(&self) -> &str {
        match self {
            Cell::Text(s) | Cell::Weak(s) | Cell::Mono(s) | Cell::Off(s) => s,
            Cell::Number { shown, .. } | Cell::Strong { shown, .. } | Cell::Share { shown, .. } | Cell::Link { shown, .. } => shown,
            Cell::None(s) => s,
        }
    }

    pub(super) fn value(&self) -> Option<f64> {
        match self {
            Cell::Number { value, .. } | Cell::Strong { value, .. } => Some(*value),
            Cell::Share { share, .. } => Some(*share),
            _ => None,
        }
    }
}

/// The finding a row belongs to.
#[derive(Clone)]
pub struct Mark {
    pub severity: Severity,
    pub rank: u32,
    pub key: String,
}

impl Mark {
    fn of(found: &Ranked) -> Self {
        Mark { severity: found.finding.severity, rank: found.rank, key: found.key.clone() }
    }
}

/// The first open finding that `matches`, as a mark.
pub fn mark(audit: &Audit, matches: impl Fn(&Ranked) -> bool) -> Option<Mark> {
    audit.plan.findings.iter().find(|r| matches(r)).map(Mark::of)
}

/// The finding that touches `id`, such as `table:public.image`.
pub fn touching(audit: &Audit, id: &str) -> Option<Mark> {
    mark(audit, |r| r.finding.touches.iter().any(|t| t == id))
}

/// Open findings by what they are about and what they touch: thousands of rows find theirs without walking all of them.
#[derive(Default)]
pub struct Marks {
    about: HashMap<String, Mark>,
    touching: HashMap<String, Mark>,
}

impl Marks {
    pub fn of(audit: &Audit) -> Self {
        let mut marks = Self::default();
        for found in &audit.plan.findings {
            let subject = &found.finding.subject;
            marks.about.entry(format!("{}:{}", subject.kind, subject.name)).or_insert_with(|| Mark::of(found));
            for id in &found.finding.touches {
                marks.touching.entry(id.clone()).or_insert_with(|| Mark::of(found));
            }
        }
        marks
    }

    /// The first finding whose subject is this.
    pub fn about(&self, kind: &str, name: &str) -> Option<Mark> {
        self.about.get(&format!("{kind}:{name}")).cloned()
    }

    /// The first finding that touches this.
    pub fn touching(&self, kind: &str, name: &str) -> Option<Mark> {
        self.touching.get(&format!("{kind}:{name}")).cloned()
    }
}

/// One row: its cells without the last column, and its finding.
#[derive(Clone)]
pub struct Row {
    pub cells: Vec<Cell>,
    pub mark: Option<Mark>,
    /// What the page knows the row by; empty where selecting a row does nothing.
    pub key: String,
}

impl Row {
    pub fn new(cells: Vec<Cell>, mark: Option<Mark>) -> Self {
        Self { cells, mark, key: String::new() }
    }

    pub fn keyed(mut self, key: &str) -> Self {
        key.clone_into(&mut self.key);
        self
    }
}

struct Kept<T> {
    audit: Weak<Audit>,
    base: u64,
    made: Arc<T>,
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self { audit: self.audit.clone(), base: self.base, made: Arc::clone(&self.made) }
    }
}

/// Rows of the sheet `id`, made once an audit and `base`: ten thousand rows are made once, not sixty times a second.
pub fn made(
    ui: &Ui,
    model: &Model,
    audit: &Audit,
    id: &str,
    base: impl Hash + std::fmt::Debug,
    make: impl FnOnce(&Marks) -> Vec<Row>,
) -> Arc<Vec<Row>> {
    kept(ui, model, id, base, || make(&Marks::of(audit)))
}

/// Anything that is made of the open audit and costs more than a frame has to spare.
pub fn kept<T: Send + Sync + 'static>(ui: &Ui, model: &Model, id: &str, base: impl Hash + std::fmt::Debug, make: impl FnOnce() -> T) -> Arc<T> {
    let Some(audit) = model.current_audit() else { return Arc::new(make()) };
    let at = egui::Id::unique(("made of the audit", id));
    let base = egui::Id::unique(base).value();
    let now = Arc::downgrade(audit);
    if let Some(kept) = ui.data(|data| data.get_temp::<Kept<T>>(at))
        && Weak::ptr_eq(&kept.audit, &now)
        && kept.base == base
    {
        return kept.made;
    }
    let made = Arc::new(make());
    ui.data_mut(|data| data.insert_temp(at, Kept { audit: now, base, made: Arc::clone(&made) }));
    made
}
