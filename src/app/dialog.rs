//! What lies over the page until it is answered.

use std::path::PathBuf;

use super::files::{Document, FileFor};

/// A question that must be answered first.
#[derive(Debug, Clone, PartialEq)]
pub enum Dialog {
    DeleteStore {
        id: String,
        name: String,
    },
    CancelAudit,
    Dismiss {
        key: String,
        title: String,
        reason: String,
        until: String,
        error: Option<String>,
    },
    /// `reason`: why they are asked for, where the store does not ask each time.
    AskSecrets {
        store: String,
        postgres: Option<String>,
        redis: Vec<Option<String>>,
        /// Of the Redis at the same place, where Sentinels stand before it.
        sentinels: Vec<Option<String>>,
        cloudflare: Option<String>,
        reason: Option<String>,
    },
    /// A path to type; `error` says what is wrong with it.
    TypePath {
        wanted: FileFor,
        path: String,
        error: Option<String>,
    },
    Replace {
        document: Document,
        path: PathBuf,
        existing: Vec<PathBuf>,
    },
    Keys,
    GoTo {
        text: String,
    },
}
