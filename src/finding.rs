//! What a check concludes.

use serde::{Deserialize, Serialize};

use crate::evidence::Gap;

/// The four outcomes of a check. Absence of evidence is never `Passed`.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Passed,
    /// With the reason, as a clause: "the caching module is off".
    NotApplicable(String),
    /// At least one finding.
    Failed(Vec<Finding>),
    Unknown(Gap),
}

/// How much it hurts. Ordered: `Info < … < Critical`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    pub const ALL_DOWN: [Severity; 5] = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info];

    /// From the share (0…1) of a resource that the problem costs here: a quarter is High, a twentieth Medium.
    pub fn from_share(share: f64) -> Self {
        match share {
            s if s >= 0.25 => Severity::High,
            s if s >= 0.05 => Severity::Medium,
            _ => Severity::Low,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "Info",
            Severity::Low => "Low",
            Severity::Medium => "Medium",
            Severity::High => "High",
            Severity::Critical => "Critical",
        }
    }

    pub fn id(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// How sure. Ordered: `Low < Medium < High`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    Low,
    Medium,
    High,
}

impl Confidence {
    pub fn id(self) -> &'static str {
        match self {
            Confidence::Low => "low",
            Confidence::Medium => "medium",
            Confidence::High => "high",
        }
    }
}

/// Working time of the fix. Ordered by length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    Minutes,
    Hours,
    Days,
}

impl Effort {
    pub fn id(self) -> &'static str {
        match self {
            Effort::Minutes => "minutes",
            Effort::Hours => "hours",
            Effort::Days => "days",
        }
    }
}

/// What a finding is about. Its key (check, kind and name) is stable between runs: dismissals and comparisons hang on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// "index", "columns", "table", "statement", "setting", "key_pattern", "instance", "command", "path", "host", "zone", "rule", "server", "role".
    pub kind: String,
    /// `public.image(product_id)`; for statements the table and the shape, not the queryid.
    pub name: String,
}

impl Subject {
    pub fn new(kind: &str, name: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), name: name.into() }
    }
}

/// One thing that is wrong, with its proof and its fix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub subject: Subject,
    /// The measured sentence: "606 calls in 30 s read 180,000 rows each to return 3: 42 ms a call, 97 % of database time."
    pub observed: String,
    /// The step as an imperative: "Index image(product_id)".
    pub step: String,
    /// What a sceptic wants to see.
    pub evidence: Vec<Evidence>,
    pub severity: Severity,
    pub confidence: Confidence,
    /// Why the confidence is what it is, as a clause: "proved by a hypothetical index".
    pub confidence_because: String,
    pub effort: Effort,
    /// What it costs now, for the ranking.
    pub cost: Cost,
    /// What the fix is worth.
    pub gain: Option<Gain>,
    /// What the fix averts when it is a risk and not a running cost: "lost jobs".
    pub averts: Option<String>,
    pub remedies: Vec<Remedy>,
    /// How to see that it worked, with the number to expect.
    pub verify: String,
    /// Ids of statements, paths, patterns or tables this finding is about: findings that share one lie on the same request path.
    /// Tables as `table:public.image`, paths as `path:/products/*`, key families as `keys:mc:<hash>`.
    pub touches: Vec<String>,
}

/// What is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Share of database time.
    DatabaseTime,
    /// Share of cacheable requests that reach the origin.
    OriginRequests,
    /// Share of the P95 above the target.
    Latency,
    /// Share of bytes served.
    Bytes,
    /// Share of Redis command time, or of lookups that miss.
    RedisTime,
    /// Share of Redis memory or of its limit.
    Memory,
    /// Share of the database's disk.
    Storage,
    /// Probability-like weight of a loss (jobs, sessions, another shopper's data, an outage).
    Risk,
    /// Nothing is spent; something cannot be seen (a log that is off, an extension that is missing).
    Insight,
}

/// A share 0…1 of one resource, as measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    pub resource: Resource,
    pub share: f64,
}

/// How a gain was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    Proved,
    Measured,
    Modelled,
    RuleOfThumb,
}

impl Basis {
    pub fn id(self) -> &'static str {
        match self {
            Basis::Proved => "proved",
            Basis::Measured => "measured",
            Basis::Modelled => "modelled",
            Basis::RuleOfThumb => "rule_of_thumb",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Basis::RuleOfThumb => "rule of thumb",
            other => other.id(),
        }
    }
}

/// What the fix is worth. Ratios 0…1; rates a second; any may be absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    pub basis: Basis,
    /// On screen: "−96 % database time".
    pub words: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_time_share: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_ms_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin_requests_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

impl Gain {
    /// A gain without figures; set the ones that are known.
    pub fn new(basis: Basis, words: impl Into<String>) -> Self {
        Self {
            basis,
            words: words.into(),
            database_time_share: None,
            database_ms_per_s: None,
            origin_requests_per_s: None,
            bytes_per_s: None,
            p95_ms: None,
            storage_bytes: None,
            memory_bytes: None,
        }
    }
}

/// One piece of evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Evidence {
    /// A number with its unit; `shown` is the formatted text.
    Figure {
        label: String,
        value: f64,
        unit: String,
        shown: String,
    },
    Text {
        label: String,
        text: String,
    },
    /// Code, a plan, a header: shown in mono.
    Code {
        label: String,
        language: String,
        text: String,
    },
    /// At most 8 rows are shown, then "and 12 more".
    Table {
        label: String,
        columns: Vec<String>,
        rows: Vec<Vec<Cell>>,
    },
    /// Two bars, now and with the fix, in one unit.
    BeforeAfter {
        label: String,
        unit: String,
        before: f64,
        after: f64,
        basis: Basis,
    },
}

impl Evidence {
    pub fn figure(label: &str, value: f64, unit: &str, shown: impl Into<String>) -> Self {
        Self::Figure { label: label.to_owned(), value, unit: unit.to_owned(), shown: shown.into() }
    }

    pub fn text(label: &str, text: impl Into<String>) -> Self {
        Self::Text { label: label.to_owned(), text: text.into() }
    }

    pub fn table(label: &str, columns: &[&str], rows: Vec<Vec<Cell>>) -> Self {
        Self::Table { label: label.to_owned(), columns: columns.iter().map(|c| (*c).to_owned()).collect(), rows }
    }
}

/// A table cell: text left, number right with its formatted form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    Number { value: f64, shown: String },
    Text(String),
}

impl Cell {
    pub fn number(value: f64, shown: impl Into<String>) -> Self {
        Self::Number { value, shown: shown.into() }
    }

    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub fn shown(&self) -> &str {
        match self {
            Cell::Number { shown, .. } => shown,
            Cell::Text(text) => text,
        }
    }
}

/// Where a remedy is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemedyKind {
    Sql,
    MedusaMigration,
    MedusaConfig,
    Code,
    Redis,
    Cloudflare,
    Cloudfront,
    Storefront,
    Shell,
}

impl RemedyKind {
    pub fn id(self) -> &'static str {
        match self {
            RemedyKind::Sql => "sql",
            RemedyKind::MedusaMigration => "medusa_migration",
            RemedyKind::MedusaConfig => "medusa_config",
            RemedyKind::Code => "code",
            RemedyKind::Redis => "redis",
            RemedyKind::Cloudflare => "cloudflare",
            RemedyKind::Cloudfront => "cloudfront",
            RemedyKind::Storefront => "storefront",
            RemedyKind::Shell => "shell",
        }
    }

    /// The word on the tab.
    pub fn name(self) -> &'static str {
        match self {
            RemedyKind::Sql => "SQL",
            RemedyKind::MedusaMigration => "Medusa migration",
            RemedyKind::MedusaConfig => "medusa-config",
            RemedyKind::Code => "Code",
            RemedyKind::Redis => "Redis",
            RemedyKind::Cloudflare => "Cloudflare",
            RemedyKind::Cloudfront => "CloudFront",
            RemedyKind::Storefront => "Storefront",
            RemedyKind::Shell => "Shell",
        }
    }

    /// The language of its text, for highlighting: sql, typescript, redis, json, shell.
    pub fn language(self) -> &'static str {
        match self {
            RemedyKind::Sql => "sql",
            RemedyKind::MedusaMigration | RemedyKind::MedusaConfig | RemedyKind::Code | RemedyKind::Storefront => "typescript",
            RemedyKind::Redis => "redis",
            RemedyKind::Cloudflare | RemedyKind::Cloudfront => "json",
            RemedyKind::Shell => "shell",
        }
    }
}

/// Exact text to apply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remedy {
    pub kind: RemedyKind,
    /// "Create the index".
    pub label: String,
    /// Applied verbatim where it can be run.
    pub text: String,
    /// Lock level and expected duration, for SQL.
    pub lock: Option<String>,
    pub risk: String,
    pub undo: Option<String>,
}
