//! The model of the window: no egui, no tokio. `Action` → [`Model::act`] → [`Effect`]s; [`Event`] → [`Model::receive`].

pub mod act;
mod dialog;
pub mod files;
pub mod message;
pub mod receive;
pub mod recheck;
pub mod wizard;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::connect::profile::{Limits, Profile};
use crate::evidence::{Layer, Snapshot, Targets};
use crate::finding::{Effort, Severity};
use crate::history::{Entry, compare::Comparison};
use crate::plan::Plan;
pub use dialog::Dialog;
pub use message::{Action, Activity, Effect, Event, ReportChoice, ReportFormat, Service};
use recheck::{Recheck, Rechecked};
use wizard::Wizard;

/// Something that comes from afar. A refresh never blanks the screen: `previous` stays.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Remote<T> {
    #[default]
    Idle,
    Pending {
        previous: Option<T>,
    },
    Ready(T),
    Failed {
        previous: Option<T>,
        message: String,
    },
}

impl<T> Remote<T> {
    /// What can be shown now.
    pub fn shown(&self) -> Option<&T> {
        match self {
            Remote::Ready(t) => Some(t),
            Remote::Pending { previous } | Remote::Failed { previous, .. } => previous.as_ref(),
            Remote::Idle => None,
        }
    }

    pub fn is_pending(&self) -> bool {
        matches!(self, Remote::Pending { .. })
    }

    fn take_shown(&mut self) -> Option<T> {
        match std::mem::take(self) {
            Remote::Ready(t) => Some(t),
            Remote::Pending { previous } | Remote::Failed { previous, .. } => previous,
            Remote::Idle => None,
        }
    }

    pub fn begin(&mut self) {
        let previous = self.take_shown();
        *self = Remote::Pending { previous };
    }

    pub fn end(&mut self, result: Result<T, String>) {
        let previous = self.take_shown();
        *self = match result {
            Ok(t) => Remote::Ready(t),
            Err(message) => Remote::Failed { previous, message },
        };
    }
}

/// The pages, in the order of Ctrl 1–6 first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Page {
    Stores,
    Overview,
    Findings,
    Metrics(Layer),
    Audits,
    Export,
    /// The audit in progress.
    Audit,
    Compare,
    Connect,
    Settings,
    Checks,
}

/// One audit opened for reading: everything the pages show.
pub struct Audit {
    /// Id of the store; `"demo"` for the demo store, `None` for a snapshot opened by file.
    pub store: Option<String>,
    pub snapshot: Snapshot,
    pub plan: Plan,
    /// Where it lies; `None`: embedded or not yet saved.
    pub path: Option<PathBuf>,
    /// The audit before this one, for the deltas on the score cards: layer and score.
    pub previous: Option<Vec<(Layer, Option<u32>)>>,
}

/// Equal when it is the same audit in memory.
impl PartialEq for Audit {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Audit({}, {})", self.snapshot.meta.store, self.snapshot.meta.taken_at)
    }
}

/// The id of the built-in store.
pub const DEMO: &str = "demo";

/// A line of the Stores page.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreEntry {
    pub profile: Profile,
    /// Newest first.
    pub audits: Vec<Entry>,
}

impl StoreEntry {
    pub fn is_demo(&self) -> bool {
        self.profile.id == DEMO
    }
}

/// The user's settings; kept on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub theme: ThemeChoice,
    /// 1.0 = the system's scale.
    pub scale: f32,
    pub targets: Targets,
    /// For stores that set none of their own.
    pub limits: Limits,
    /// Name written beside dismissals.
    pub user: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { theme: ThemeChoice::System, scale: 1.0, targets: Targets::default(), limits: Limits::default(), user: String::new() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThemeChoice {
    System,
    Dark,
    Light,
}

/// The four lists of the Findings page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FindingsTab {
    Open,
    Passed,
    NotChecked,
    Dismissed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupBy {
    None,
    Layer,
    Severity,
    Effort,
    RequestPath,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SortBy {
    MeasuredCost,
    Severity,
    Effort,
    Title,
}

/// What the Findings page remembers.
#[derive(Debug, Clone, PartialEq)]
pub struct FindingsView {
    pub tab: FindingsTab,
    pub search: String,
    pub layers: Vec<Layer>,
    pub severities: Vec<Severity>,
    pub efforts: Vec<Effort>,
    pub group: GroupBy,
    pub sort: SortBy,
    /// Key of the finding in the detail; `None`: the first of the list.
    pub selected: Option<String>,
    /// Which remedy tab is open in the detail.
    pub remedy: usize,
}

impl Default for FindingsView {
    fn default() -> Self {
        Self {
            tab: FindingsTab::Open,
            search: String::new(),
            layers: Vec::new(),
            severities: Vec::new(),
            efforts: Vec::new(),
            group: GroupBy::None,
            sort: SortBy::MeasuredCost,
            selected: None,
            remedy: 0,
        }
    }
}

/// What the metrics pages remember.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MetricsView {
    /// Segment of each layer's page.
    pub tabs: [usize; 4],
    /// Counters since the last reset instead of the window.
    pub since_reset: bool,
    pub filter: String,
    /// Id of the statement that is shown in full.
    pub statement: Option<String>,
    /// URL of the probed address that is shown in full.
    pub target: Option<String>,
    pub zone: ZoneView,
}

/// A request whose way through a zone's rules is worked out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ZoneView {
    /// As typed; empty: a page of the store.
    pub path: String,
    pub shopper: usize,
}

/// An audit that is running.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    pub run: u64,
    pub store: String,
    pub started_at: time::OffsetDateTime,
    pub phase: Phase,
    pub window_s: f64,
    /// In the order of [`Layer::ALL`].
    pub lanes: Vec<LaneState>,
    /// Newest first, at most 200.
    pub activity: Vec<Activity>,
    /// Timeline id and its points so far.
    pub live: Vec<(&'static str, Vec<(f64, f64)>)>,
    pub window_opened_at: Option<time::OffsetDateTime>,
    /// When each phase began, for the times beside the phases.
    pub phase_began: Vec<(Phase, time::OffsetDateTime)>,
    pub is_cancelling: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    Connect,
    Read,
    Observe,
    ReadAgain,
    Judge,
}

#[derive(Debug, Clone, PartialEq)]
pub struct LaneState {
    pub layer: Layer,
    pub is_configured: bool,
    pub now: String,
    pub done: u32,
    pub of: u32,
    pub calls: u64,
    pub busy_ms: Option<f64>,
    pub is_done: bool,
    pub failed: Option<String>,
}

/// What the Export page has chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportView {
    pub choice: ReportChoice,
    pub formats: Vec<ReportFormat>,
    /// Pages drawn from the bytes that will be saved.
    pub preview: Remote<Arc<Preview>>,
    pub preview_page: usize,
    pub saving: Remote<Vec<PathBuf>>,
    pub opens_when_done: bool,
}

/// Pages of the PDF as pictures.
#[derive(Debug, PartialEq)]
pub struct Preview {
    pub pages: Vec<PreviewPage>,
    pub pages_total: usize,
}

#[derive(Debug, PartialEq)]
pub struct PreviewPage {
    pub width: usize,
    pub height: usize,
    /// Four bytes a pixel, not premultiplied.
    pub rgba: Vec<u8>,
}

/// A message at the bottom right, with an action.
#[derive(Debug, Clone, PartialEq)]
pub struct Toast {
    pub id: u64,
    pub text: String,
    pub is_error: bool,
    pub action: Option<(String, Action)>,
}

/// Everything the window shows.
pub struct Model {
    pub page: Page,
    pub settings: Settings,
    pub stores: Remote<Vec<StoreEntry>>,
    pub stores_search: String,
    /// Id of the store selected on the Stores page, and the one the sidebar shows.
    pub selected_store: Option<String>,
    pub audit: Remote<Arc<Audit>>,
    pub running: Option<Running>,
    pub findings: FindingsView,
    /// The finding that is being checked again.
    pub rechecking: Option<Recheck>,
    /// What checking again showed, by the finding's key; of the audit that is open.
    rechecked: BTreeMap<String, Rechecked>,
    /// The finding to check once its secrets are given.
    recheck_wanted: Option<String>,
    pub metrics: MetricsView,
    pub export: ExportView,
    pub compare: Remote<Arc<Comparison>>,
    /// Paths of the two audits being compared, older first.
    pub compare_pair: Option<(PathBuf, PathBuf)>,
    pub wizard: Option<Wizard>,
    /// What is being saved; it comes back when that fails.
    unsaved: Option<Wizard>,
    pub dialog: Option<Dialog>,
    pub toasts: Vec<Toast>,
    /// Set by Ctrl F or "/": the page's search field takes the focus, then clears it.
    pub wants_search_focus: bool,
    pub has_keychain: bool,
    pub checks_selected: Option<String>,
    pub data_folder: String,
    next_run: u64,
    next_toast: u64,
}

impl Model {
    pub fn new(settings: Settings, has_keychain: bool, data_folder: String) -> Self {
        Self {
            page: Page::Stores,
            settings,
            stores: Remote::Pending { previous: None },
            stores_search: String::new(),
            selected_store: None,
            audit: Remote::Idle,
            running: None,
            findings: FindingsView::default(),
            rechecking: None,
            rechecked: BTreeMap::new(),
            recheck_wanted: None,
            metrics: MetricsView::default(),
            export: ExportView {
                choice: ReportChoice::default(),
                formats: vec![ReportFormat::Pdf],
                preview: Remote::Idle,
                preview_page: 0,
                saving: Remote::Idle,
                opens_when_done: false,
            },
            compare: Remote::Idle,
            compare_pair: None,
            wizard: None,
            unsaved: None,
            dialog: None,
            toasts: Vec::new(),
            wants_search_focus: false,
            has_keychain,
            checks_selected: None,
            data_folder,
            next_run: 0,
            next_toast: 0,
        }
    }

    /// Effects to perform once at the start.
    pub fn start(&self) -> Vec<Effect> {
        vec![Effect::LoadStores, Effect::LookForKeychain]
    }

    /// The saved stores, the demo store last.
    pub fn store_list(&self) -> &[StoreEntry] {
        self.stores.shown().map_or(&[], Vec::as_slice)
    }

    pub fn store(&self, id: &str) -> Option<&StoreEntry> {
        self.store_list().iter().find(|s| s.profile.id == id)
    }

    /// The store whose name stands in the sidebar.
    pub fn current_store(&self) -> Option<&StoreEntry> {
        self.selected_store.as_deref().and_then(|id| self.store(id))
    }

    /// The audit the pages show.
    pub fn current_audit(&self) -> Option<&Arc<Audit>> {
        self.audit.shown()
    }

    /// Nothing was ever set up: the first-run page.
    pub fn is_first_run(&self) -> bool {
        self.stores.shown().is_some_and(|s| s.iter().all(StoreEntry::is_demo))
    }

    /// Open findings of the current audit.
    pub fn open_findings(&self) -> usize {
        self.current_audit().map_or(0, |a| a.plan.findings.len())
    }

    fn toast(&mut self, text: impl Into<String>, is_error: bool, action: Option<(String, Action)>) {
        self.next_toast += 1;
        self.toasts.push(Toast { id: self.next_toast, text: text.into(), is_error, action });
    }
}
