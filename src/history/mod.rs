//! Audits on disk: snapshots in a folder a store, each with a small summary beside it so that lists need not open them.

pub mod compare;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::evidence::{Layer, Snapshot, file};
use crate::plan::Plan;

/// What a list shows of one audit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    #[serde(with = "time::serde::rfc3339")]
    pub taken_at: OffsetDateTime,
    pub window_s: f64,
    pub cancelled: bool,
    /// "2.21.2"; `None` when the database did not tell.
    pub medusa_version: Option<String>,
    pub products: Option<u64>,
    /// In the order of [`Layer::ALL`]: score and status id.
    pub layers: Vec<LayerLine>,
    /// Open findings: critical, high, medium, low, info.
    pub counts: [usize; 5],
    pub unknown: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerLine {
    pub layer: Layer,
    pub score: Option<u32>,
    pub status: String,
}

/// One audit on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub path: PathBuf,
    pub summary: Summary,
}

impl Summary {
    pub fn of(snapshot: &Snapshot, plan: &Plan) -> Self {
        let products = snapshot
            .pg()
            .and_then(|pg| pg.row_counts())
            .ok()
            .and_then(|rows| rows.iter().find(|r| r.table.rsplit('.').next() == Some("product") && r.what == "total").map(|r| r.rows));
        Self {
            taken_at: snapshot.meta.taken_at,
            window_s: snapshot.meta.window_s,
            cancelled: snapshot.meta.cancelled,
            medusa_version: snapshot.medusa().ok().map(|m| m.version.clone()),
            products,
            layers: plan.layers.iter().map(|l| LayerLine { layer: l.layer, score: l.score, status: l.status.id().to_owned() }).collect(),
            counts: plan.counts().map(|(_, n)| n),
            unknown: plan.unknown.len(),
        }
    }

    /// Mean of the layers' scores; `None` when no layer was read.
    pub fn score(&self) -> Option<f64> {
        let scores: Vec<f64> = self.layers.iter().filter_map(|l| l.score).map(f64::from).collect();
        if scores.is_empty() { None } else { Some(scores.iter().sum::<f64>() / scores.len() as f64) }
    }
}

/// Saves an audit and its summary; returns where.
///
/// # Errors
/// The disk's own: full, read-only, no permission. Nothing half-written stays.
pub fn save(folder: &Path, snapshot: &Snapshot, summary: &Summary, write: impl Fn(&Path, &[u8]) -> io::Result<()>) -> io::Result<PathBuf> {
    let stamp = snapshot.meta.taken_at.format(format_description!("[year]-[month]-[day]T[hour]-[minute]-[second]")).map_err(io::Error::other)?;
    let path = folder.join(format!("{stamp}.snapshot"));
    write(&path, &file::write(snapshot))?;
    write(&summary_path(&path), &serde_json::to_vec(summary).map_err(io::Error::other)?)?;
    Ok(path)
}

/// All audits in a folder, newest first. A snapshot without a readable summary is left out: it is opened by file.
pub fn list(folder: &Path) -> io::Result<Vec<Entry>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut out = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "snapshot")
            && let Ok(bytes) = fs::read(summary_path(&path))
            && let Ok(summary) = serde_json::from_slice(&bytes)
        {
            out.push(Entry { path, summary });
        }
    }
    out.sort_by(|a, b| b.summary.taken_at.cmp(&a.summary.taken_at).then_with(|| a.path.cmp(&b.path)));
    Ok(out)
}

/// Why a snapshot could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{path} could not be read: {source}. Check that it exists and that you may read it.")]
    Io { path: String, source: io::Error },
    #[error("{path}: {source}")]
    File { path: String, source: file::FileError },
}

/// Opens a snapshot.
pub fn open(path: &Path) -> Result<Snapshot, OpenError> {
    let name = path.display().to_string();
    let bytes = fs::read(path).map_err(|source| OpenError::Io { path: name.clone(), source })?;
    file::read(&bytes).map_err(|source| OpenError::File { path: name, source })
}

fn summary_path(snapshot: &Path) -> PathBuf {
    snapshot.with_extension("summary.json")
}
