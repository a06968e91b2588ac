//! Report files by their ending.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::connect::stores::write_whole;
use crate::evidence::{Snapshot, file};
use crate::plan::Plan;
use crate::report::{Options, Report, html, json, markdown, pdf};

const ENDINGS: [&str; 5] = ["pdf", "md", "html", "json", "snapshot"];

/// Refuses unknown endings before anything is audited: an hour's window must not end in a usage error.
pub fn check_endings(out: &[PathBuf]) -> anyhow::Result<()> {
    for path in out {
        if !ENDINGS.contains(&ending(path).as_str()) {
            bail!("{}: the ending decides the format: .pdf, .md, .html, .json or .snapshot", path.display());
        }
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty())
            && !folder.is_dir()
        {
            bail!("{}: the folder {} does not exist", path.display(), folder.display());
        }
    }
    Ok(())
}

/// Writes each file whole or not at all.
pub fn write_reports(snapshot: &Snapshot, plan: &Plan, out: &[PathBuf]) -> anyhow::Result<()> {
    if out.is_empty() {
        return Ok(());
    }
    let report = Report::build(snapshot, plan, &Options::whole(&snapshot.meta.store));
    let mut failed = Vec::new();
    for path in out {
        // One file that cannot be written must not cost the others.
        if let Err(e) = write_one(snapshot, &report, path) {
            failed.push(format!("{e:#}"));
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("{}", failed.join("\n")) }
}

fn write_one(snapshot: &Snapshot, report: &Report, path: &Path) -> anyhow::Result<()> {
    let bytes = match ending(path).as_str() {
        "pdf" => pdf::render(report).context("the PDF could not be laid out")?,
        "md" => markdown::render(report).into_bytes(),
        "html" => html::render(report).into_bytes(),
        "snapshot" => file::write(snapshot),
        _ => json::render(report).into_bytes(),
    };
    write_whole(path, &bytes)
        .with_context(|| format!("{} could not be written. Nothing half-written was left; free some space or choose another place", path.display()))
}

/// Results go to standard output through here; a closed pipe is no error.
pub fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn ending(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default()
}
