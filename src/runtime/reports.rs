//! Reports for the Export page.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Shared;
use super::dialogs::{self, Choice};
use crate::app::files::{Document, FileFor};
use crate::app::message::ComparisonFormat;
use crate::app::{Audit, Event, Preview, PreviewPage, ReportChoice, ReportFormat};
use crate::connect::profile::new_id;
use crate::connect::stores;
use crate::evidence::file;
use crate::history::compare;
use crate::report::{self, Options, Part, Report};

/// Pixels a point: an A4 page of 893 × 1,263, sharp at the preview's size on a screen of twice the density.
const PREVIEW_SCALE: f64 = 1.5;
/// Pages drawn for the preview; 4.5 MB each. The rest is counted.
const PREVIEW_PAGES_MAX: usize = 24;

/// The newest preview that was asked for: an older one that ends later is not shown.
static NEWEST: AtomicU64 = AtomicU64::new(0);

pub fn preview(shared: &Shared, audit: &Audit, choice: &ReportChoice) {
    let this = NEWEST.fetch_add(1, Ordering::SeqCst) + 1;
    let pages = report::pdf::pages(&build(audit, choice), PREVIEW_SCALE).map_err(|e| e.to_string());
    if NEWEST.load(Ordering::SeqCst) == this {
        shared.send(Event::Previewed(pages.map(|pages| Arc::new(preview_of(pages)))));
    }
}

pub fn write_markdown(shared: &Shared, audit: &Audit, choice: &ReportChoice) {
    shared.send(Event::MarkdownWritten(report::markdown::render(&build(audit, choice))));
}

fn preview_of(pages: Vec<report::pdf::PageImage>) -> Preview {
    let pages_total = pages.len();
    let page = |(width, height, rgba): (u32, u32, Vec<u8>)| PreviewPage { width: width as usize, height: height as usize, rgba };
    Preview { pages: pages.into_iter().take(PREVIEW_PAGES_MAX).map(page).collect(), pages_total }
}

fn build(audit: &Audit, choice: &ReportChoice) -> Report {
    Report::build(&audit.snapshot, &audit.plan, &options(&audit.snapshot.meta.store, choice))
}

fn options(store: &str, choice: &ReportChoice) -> Options {
    let whole = Options::whole(store);
    let is_in = |part: &Part| match part {
        Part::Summary => choice.summary,
        Part::Plan => choice.plan,
        Part::Findings => choice.findings,
        Part::FindingsLow => choice.findings && choice.low,
        Part::Charts => choice.charts,
        Part::Passed => choice.passed,
        Part::NotApplicable => choice.not_applicable,
        Part::Method => choice.method,
    };
    let title = if choice.title.trim().is_empty() { whole.title } else { choice.title.trim().to_owned() };
    Options { title, parts: whole.parts.into_iter().filter(is_in).collect(), mask_hosts: choice.mask_hosts }
}

/// Asks where to, and writes there.
pub async fn save(shared: Arc<Shared>, document: Document) {
    let (title, name, ending) = proposal(&document);
    match dialogs::choose_place(title, &name, ending).await {
        // The dialog has asked about the file it was given.
        Choice::File(path) => write(shared, document, path.clone(), vec![path]).await,
        Choice::Closed => shared.send(told(&document, None)),
        Choice::NoDialog => {
            let proposed = dialogs::usual_folder().join(name);
            shared.send(Event::PathWanted { wanted: FileFor::Document(document), proposed });
        }
    }
}

/// The dialog's title, the name it proposes, and the ending it filters by.
fn proposal(document: &Document) -> (&'static str, String, &'static str) {
    match document {
        Document::Report { audit, formats, .. } => {
            let ending = formats.first().map_or("pdf", |f| f.ending());
            ("Save the report", format!("{}.{ending}", stem(audit)), ending)
        }
        // Two audits beside each other, as the command line writes them.
        Document::Comparison { store, format, .. } => {
            ("Save the comparison", format!("{store}-before-and-after.{}", format.ending()), format.ending())
        }
    }
}

/// Writes every format beside the chosen file, with its stem.
pub async fn write(shared: Arc<Shared>, document: Document, path: PathBuf, replaces: Vec<PathBuf>) {
    let places = places(&document, &path);
    let existing: Vec<PathBuf> = places.iter().filter(|p| p.exists() && !replaces.contains(p)).cloned().collect();
    if !existing.is_empty() {
        return shared.send(Event::ReplaceWanted { document, path, existing });
    }
    let writing = document.clone();
    let written = tokio::task::spawn_blocking(move || write_all(&writing, places)).await;
    let result = written.unwrap_or_else(|_| Err("The file could not be written: a defect of Medusa Advisor. The audit is not touched.".to_owned()));
    shared.send(told(&document, Some(result)));
}

fn told(document: &Document, result: Option<Result<Vec<PathBuf>, String>>) -> Event {
    match document {
        Document::Report { .. } => Event::ReportSaved(result),
        Document::Comparison { .. } => Event::ComparisonSaved(result.map(|r| r.map(|paths| paths.into_iter().next().unwrap_or_default()))),
    }
}

/// `northwind-outfitters-2026-11-23`: what the dialog proposes.
fn stem(audit: &Audit) -> String {
    let meta = &audit.snapshot.meta;
    format!("{}-{}", new_id(&meta.store, &[]), meta.taken_at.date())
}

/// The files of a document, in the order of its formats.
fn places(document: &Document, path: &Path) -> Vec<PathBuf> {
    match document {
        Document::Report { formats, .. } => formats.iter().enumerate().map(|(i, f)| place(path, f.ending(), i == 0)).collect(),
        Document::Comparison { format, .. } => vec![place(path, format.ending(), true)],
    }
}

/// All are made before the first is written: a report that cannot be made leaves no half of a set.
fn write_all(document: &Document, places: Vec<PathBuf>) -> Result<Vec<PathBuf>, String> {
    let made: Vec<Vec<u8>> = match document {
        Document::Report { audit, choice, formats } => {
            let report = build(audit, choice);
            formats.iter().map(|format| bytes(audit, &report, *format)).collect::<Result<_, _>>()?
        }
        Document::Comparison { comparison, format: ComparisonFormat::Markdown, .. } => vec![compare::markdown(comparison).into_bytes()],
        Document::Comparison { comparison, format: ComparisonFormat::Json, .. } => vec![compare::as_json(comparison).into_bytes()],
    };
    let files: Vec<(PathBuf, Vec<u8>)> = places.into_iter().zip(made).collect();
    stores::write_together(&files).map_err(|(file, e)| not_written(&file, &e))?;
    Ok(files.into_iter().map(|(file, _)| file).collect())
}

/// The chosen file keeps the name it was given; the others take its stem and their own ending.
fn place(path: &Path, ending: &str, is_first: bool) -> PathBuf {
    if is_first && path.extension().is_some() { path.to_owned() } else { path.with_extension(ending) }
}

fn bytes(audit: &Audit, report: &Report, format: ReportFormat) -> Result<Vec<u8>, String> {
    match format {
        ReportFormat::Pdf => report::pdf::render(report).map_err(|e| e.to_string()),
        ReportFormat::Markdown => Ok(report::markdown::render(report).into_bytes()),
        ReportFormat::Html => Ok(report::html::render(report).into_bytes()),
        ReportFormat::Json => Ok(report::json::render(report).into_bytes()),
        ReportFormat::Snapshot => Ok(file::write(&audit.snapshot)),
    }
}

fn not_written(file: &Path, e: &io::Error) -> String {
    let folder = file.parent().map_or_else(String::new, |f| f.display().to_string());
    match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("The disk of {folder} is full. Nothing that was there was changed. Save to another disk, or free some space.")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            format!("{folder} cannot be written to. Nothing that was there was changed. Choose another folder.")
        }
        io::ErrorKind::IsADirectory => format!("{} is a folder. Nothing that was there was changed. Give the file another name.", file.display()),
        _ => format!("{} could not be written: {e}. Nothing that was there was changed. Choose another place.", file.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo;
    use crate::plan;

    fn document(formats: &[ReportFormat]) -> Document {
        Document::Report { audit: Arc::new(audit()), choice: ReportChoice::default(), formats: formats.to_vec() }
    }

    fn written(formats: &[ReportFormat], chosen: &Path) -> Result<Vec<PathBuf>, String> {
        let document = document(formats);
        write_all(&document, places(&document, chosen))
    }

    fn audit() -> Audit {
        let snapshot = demo::snapshot();
        let plan = plan::build(&snapshot, &[], |_| true);
        Audit { store: None, snapshot, plan, path: None, previous: None }
    }

    #[test]
    fn every_format_lies_beside_the_first_with_its_stem() {
        let folder = tempfile::tempdir().unwrap();
        let chosen = folder.path().join("my audit.pdf");
        let formats = [ReportFormat::Pdf, ReportFormat::Html, ReportFormat::Snapshot];
        let files = written(&formats, &chosen).unwrap();
        let names: Vec<_> = files.iter().map(|f| f.file_name().unwrap().to_string_lossy().into_owned()).collect();
        assert_eq!(names, ["my audit.pdf", "my audit.html", "my audit.snapshot"]);
        assert!(std::fs::read(&files[0]).unwrap().starts_with(b"%PDF-"));
        assert!(file::read(&std::fs::read(&files[2]).unwrap()).is_ok());
    }

    #[test]
    fn a_name_without_an_ending_gets_one() {
        assert_eq!(place(Path::new("/x/report"), "json", true), Path::new("/x/report.json"));
        assert_eq!(place(Path::new("/x/report.txt"), "json", true), Path::new("/x/report.txt"));
    }

    #[test]
    fn a_folder_that_is_a_file_is_told_in_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x"), "kept").unwrap();
        let problem = written(&[ReportFormat::Json], &folder.path().join("x").join("y.json")).unwrap_err();
        assert!(problem.contains("Nothing that was there was changed"), "{problem}");
        assert!(not_written(Path::new("/d/a.pdf"), &io::Error::from(io::ErrorKind::StorageFull)).contains("is full"));
    }

    #[test]
    fn what_is_left_out_is_left_out_and_the_title_is_the_users() {
        let choice = ReportChoice { title: " Winter ".into(), passed: false, findings: false, ..ReportChoice::default() };
        let o = options("Northwind", &choice);
        assert_eq!(o.title, "Winter");
        assert!(o.parts.contains(&Part::Plan) && !o.parts.contains(&Part::Passed) && !o.parts.contains(&Part::FindingsLow));
        assert_eq!(options("Northwind", &ReportChoice::default()).title, "Performance audit of Northwind");
    }
}
