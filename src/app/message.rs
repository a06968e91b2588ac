//! What views ask for, what the model has done by others, and what comes back.

use std::path::PathBuf;
use std::sync::Arc;

use time::OffsetDateTime;

use super::files::{Document, FileFor};
use super::recheck::Rechecked;
use super::wizard::{Field, WizardStep};
use super::{Audit, FindingsTab, GroupBy, Page, Preview, Settings, SortBy, StoreEntry};
use crate::connect::profile::{Environment, KeepSecrets, Profile, Secrets, TlsMode};
use crate::connect::steps::{TestReport, TestStep};
use crate::evidence::Layer;
use crate::finding::{Effort, Severity};
use crate::history::compare::Comparison;
use crate::plan::Dismissal;

/// A service of the wizard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    Postgres,
    Redis,
    Cloudflare,
    Shop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReportFormat {
    Pdf,
    Markdown,
    Html,
    Json,
    Snapshot,
}

impl ReportFormat {
    pub const ALL: [ReportFormat; 5] = [ReportFormat::Pdf, ReportFormat::Markdown, ReportFormat::Html, ReportFormat::Json, ReportFormat::Snapshot];

    pub fn ending(self) -> &'static str {
        match self {
            ReportFormat::Pdf => "pdf",
            ReportFormat::Markdown => "md",
            ReportFormat::Html => "html",
            ReportFormat::Json => "json",
            ReportFormat::Snapshot => "snapshot",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            ReportFormat::Pdf => "PDF",
            ReportFormat::Markdown => "Markdown",
            ReportFormat::Html => "HTML",
            ReportFormat::Json => "JSON",
            ReportFormat::Snapshot => "Snapshot",
        }
    }
}

/// What a comparison is written as; the command line offers the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ComparisonFormat {
    Markdown,
    Json,
}

impl ComparisonFormat {
    pub fn ending(self) -> &'static str {
        match self {
            ComparisonFormat::Markdown => "md",
            ComparisonFormat::Json => "json",
        }
    }
}

/// What a report holds. "Not checked" is not among the choices: it cannot be left out.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportChoice {
    /// Empty: "Performance audit of STORE".
    pub title: String,
    pub summary: bool,
    pub plan: bool,
    pub findings: bool,
    pub charts: bool,
    /// Findings of low severity and notes; only with `findings`.
    pub low: bool,
    pub passed: bool,
    pub not_applicable: bool,
    pub method: bool,
    pub mask_hosts: bool,
}

impl Default for ReportChoice {
    fn default() -> Self {
        Self {
            title: String::new(),
            summary: true,
            plan: true,
            findings: true,
            charts: true,
            low: true,
            passed: true,
            not_applicable: true,
            method: true,
            mask_hosts: false,
        }
    }
}

/// A line of the audit's activity list.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    pub at: OffsetDateTime,
    pub layer: Layer,
    pub text: String,
    pub is_gap: bool,
}

/// What the user asks for. Views push these; nothing else changes the model.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    Go(Page),
    Back,
    // Stores
    SelectStore(String),
    SearchStores(String),
    OpenStore(String),
    OpenDemo,
    OpenSnapshotDialog,
    OpenSnapshot(PathBuf),
    OpenAudit(PathBuf),
    NewStore,
    EditStore(String),
    DuplicateStore(String),
    AskDeleteStore(String),
    DeleteStore(String),
    ReloadStores,
    // Connect
    Wizard(WizardAction),
    // Audit
    StartAudit(String),
    /// The answers to "Ask each time".
    GiveSecrets {
        store: String,
        secrets: Box<Secrets>,
    },
    AskCancelAudit,
    CancelAudit,
    ExtendWindow(u32),
    // Findings
    FindingsTab(FindingsTab),
    SearchFindings(String),
    ToggleLayer(Layer),
    ToggleSeverity(Severity),
    ToggleEffort(Effort),
    ClearFilters,
    GroupFindings(GroupBy),
    SortFindings(SortBy),
    SelectFinding(String),
    OpenFinding(String),
    StepFinding(i32),
    SelectRemedy(usize),
    AskDismiss(String),
    EditDismiss {
        reason: String,
        until: String,
    },
    Dismiss,
    Restore(String),
    /// Reads what the finding's check reads and judges it anew.
    CheckAgain(String),
    CancelCheckAgain,
    // Metrics
    MetricsTab(Layer, usize),
    MetricsBase {
        since_reset: bool,
    },
    FilterMetrics(String),
    /// The statement shown in full; `None` closes it.
    SelectStatement(Option<String>),
    /// Shows one probed address in full on the CDN page, by its URL.
    SelectTarget(Option<String>),
    /// The path whose way through the zone's rules is worked out.
    ZonePath(String),
    /// Which shopper asks: an index into the words of the page.
    ZoneShopper(usize),
    /// The same, from another page.
    OpenStatement(String),
    // Compare
    Compare {
        before: PathBuf,
        after: PathBuf,
    },
    SaveComparison(ComparisonFormat),
    // Export
    EditReport(ReportChoice),
    ToggleFormat(ReportFormat),
    PreviewPage(usize),
    RefreshPreview,
    SaveReport,
    /// Opens what was saved once it is written.
    OpenWhenDone(bool),
    CopyReport,
    OpenFile(PathBuf),
    ShowInFolder(PathBuf),
    // Files
    /// The path that is typed where the system offers no dialog.
    EditPath(String),
    TakePath,
    ReplaceFiles,
    // Settings
    EditSettings(Settings),
    // Everywhere
    SelectCheck(Option<String>),
    Copy {
        text: String,
        what: String,
    },
    OpenLink(String),
    FocusSearch,
    SearchFocused,
    ShowKeys,
    ShowGoTo,
    EditGoTo(String),
    CloseDialog,
    DismissToast(u64),
}

/// Edits of the wizard.
#[derive(Debug, Clone, PartialEq)]
pub enum WizardAction {
    Step(WizardStep),
    Next,
    Previous,
    Set(Field, String),
    Environment(Environment),
    Tls(TlsMode),
    RedisTls(usize, bool),
    SentinelTls(usize, bool),
    AddRedis,
    RemoveRedis(usize),
    KeepSecrets(KeepSecrets),
    /// Any text pasted on the page: an address or the lines of a `.env` file.
    Paste(String),
    ChooseEnvFile,
    /// Of that Redis instance; `None`: Postgres'.
    ChooseFile(super::wizard::Field),
    Test,
    Save {
        run: bool,
    },
    Cancel,
}

/// What the model has done by others; performed by the runtime.
#[derive(Debug, Clone)]
pub enum Effect {
    LoadStores,
    LookForKeychain,
    SaveStore {
        profile: Profile,
        secrets: Secrets,
    },
    DuplicateStore {
        from: String,
        profile: Profile,
    },
    DeleteStore(String),
    OpenDemo,
    /// The newest audit of a store.
    OpenNewest(String),
    OpenSnapshot {
        path: PathBuf,
        store: Option<String>,
    },
    StartAudit {
        run: u64,
        profile: Profile,
        secrets: Option<Secrets>,
        settings: Settings,
    },
    CancelAudit,
    ExtendWindow(u32),
    /// `profile` has only the services that the check reads.
    CheckAgain {
        run: u64,
        profile: Profile,
        secrets: Option<Secrets>,
        settings: Settings,
        audit: Arc<Audit>,
        key: String,
    },
    Test {
        service: Service,
        run: u64,
        profile: Profile,
        secrets: Secrets,
    },
    ChooseSnapshot,
    ChooseEnvFile,
    ChooseCaFile,
    ReadEnvFile(PathBuf),
    SaveDismissals {
        store: String,
        dismissals: Vec<Dismissal>,
        audit: Arc<Audit>,
    },
    Compare {
        before: PathBuf,
        after: PathBuf,
    },
    Preview {
        audit: Arc<Audit>,
        choice: ReportChoice,
    },
    /// Asks where to, then writes.
    Save(Document),
    /// Those that are there already and not among `replaces` are asked about first.
    Write {
        document: Document,
        path: PathBuf,
        replaces: Vec<PathBuf>,
    },
    /// The report as Markdown, for the clipboard.
    WriteMarkdown {
        audit: Arc<Audit>,
        choice: ReportChoice,
    },
    SaveSettings(Settings),
    Copy(String),
    OpenLink(String),
    OpenFile(PathBuf),
    ShowInFolder(PathBuf),
}

/// What comes back. Events of another run than the current one are dropped in one place.
#[derive(Debug)]
pub enum Event {
    Stores(Result<Vec<StoreEntry>, String>),
    StoreSaved {
        id: String,
        problem: Option<String>,
    },
    StoreDeleted {
        name: String,
    },
    AuditOpened(Result<Arc<Audit>, String>),
    KeychainFound(bool),
    /// A store that was never audited was opened.
    NoAudit(String),
    /// The keychain did not give this store's secrets: ask.
    NeedSecrets {
        run: u64,
        profile: Box<Profile>,
        /// Why, in a sentence.
        reason: String,
    },
    Note {
        run: u64,
        note: RunNote,
    },
    AuditFinished {
        run: u64,
        result: Result<Arc<Audit>, String>,
    },
    TestStep {
        run: u64,
        step: TestStep,
    },
    TestDone {
        run: u64,
        report: TestReport,
    },
    SnapshotChosen(PathBuf),
    EnvFileRead(Result<String, String>),
    CaFileChosen(PathBuf),
    /// The system offers no file dialog.
    PathWanted {
        wanted: FileFor,
        proposed: PathBuf,
    },
    ReplaceWanted {
        document: Document,
        path: PathBuf,
        existing: Vec<PathBuf>,
    },
    Dismissed(Result<Arc<Audit>, String>),
    Compared(Result<Arc<Comparison>, String>),
    CheckedAgain {
        run: u64,
        key: String,
        result: Result<Rechecked, String>,
    },
    /// `None`: the dialog was closed without a choice.
    ComparisonSaved(Option<Result<PathBuf, String>>),
    Previewed(Result<Arc<Preview>, String>),
    /// `None`: the dialog was closed without a choice.
    ReportSaved(Option<Result<Vec<PathBuf>, String>>),
    MarkdownWritten(String),
    Problem(String),
}

/// A collector's note, in the model's words.
#[derive(Debug, Clone, PartialEq)]
pub enum RunNote {
    Reading { layer: Layer, what: String, done: u32, of: u32 },
    Cost { layer: Layer, calls: u64, busy_ms: Option<f64> },
    Activity(Activity),
    Live { id: &'static str, at_s: f64, value: f64 },
    LayerDone { layer: Layer, failed: Option<String> },
    WindowOpened(OffsetDateTime),
    WindowClosed(OffsetDateTime),
    Judging(OffsetDateTime),
}
