//! The PDF by typst, in process: embedded fonts and templates, no network, no clock. Equal reports give equal bytes.

use std::sync::LazyLock;

use serde_json::Value;
use typst::diag::{FileError, FileResult, SourceDiagnostic};
use typst::foundations::{Bytes, Datetime, Duration, Smart};
use typst::syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot};
use typst::text::{Font, FontBook};
use typst::utils::{LazyHash, Scalar};
use typst::{Library, LibraryExt, World};
use typst_layout::PagedDocument;
use typst_pdf::{PdfOptions, PdfStandard, PdfStandards, Timestamp};

use super::{Report, paper};

/// Pages that were laid out recently stay cached this many calls: the preview draws the same document that is then saved.
const CACHED_CALLS: usize = 4;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReportError {
    #[error("The PDF could not be laid out: {0}. This is a defect of Medusa Advisor; Markdown and JSON are not touched by it.")]
    Layout(String),
    #[error("The PDF could not be written: {0}. This is a defect of Medusa Advisor; Markdown and JSON are not touched by it.")]
    Export(String),
}

/// One page as the preview draws it: width and height in pixels, RGBA rows from the top.
pub type PageImage = (u32, u32, Vec<u8>);

/// The PDF's bytes: tagged, conforming to PDF/UA-1 unless a text of the store forbids it, with bookmarks.
///
/// # Errors
/// A defect in the templates; no report's content can cause one.
pub fn render(report: &Report) -> Result<Vec<u8>, ReportError> {
    let document = layout(report)?;
    let accessible = PdfStandards::new(&[PdfStandard::Ua_1]).map_err(|e| ReportError::Export(e.message().to_string()))?;
    // A character that no font can tell to a reader breaks PDF/UA; the document is still tagged without the claim.
    let bytes = typst_pdf::pdf(&document, &options(report, accessible))
        .or_else(|_| typst_pdf::pdf(&document, &options(report, PdfStandards::default())))
        .map_err(|errors| ReportError::Export(sentence(&errors)));
    typst::comemo::evict(CACHED_CALLS);
    bytes
}

/// Every page of the same document as pixels. `scale` is pixels per point: 1.0 gives 595 × 842 for A4.
///
/// # Errors
/// As [`render`].
pub fn pages(report: &Report, scale: f64) -> Result<Vec<PageImage>, ReportError> {
    let document = layout(report)?;
    let options = typst_render::RenderOptions { pixel_per_pt: Scalar::new(scale), ..Default::default() };
    let images = document.pages().iter().map(|page| {
        let image = typst_render::render(page, &options);
        (image.width(), image.height(), image.data().to_vec())
    });
    let images = images.collect();
    typst::comemo::evict(CACHED_CALLS);
    Ok(images)
}

fn layout(report: &Report) -> Result<PagedDocument, ReportError> {
    let world = Paper::new(report);
    typst::compile::<PagedDocument>(&world).output.map_err(|errors| ReportError::Layout(sentence(&errors)))
}

fn options(report: &Report, standards: PdfStandards) -> PdfOptions {
    let t = report.taken_at.to_offset(time::UtcOffset::UTC);
    let stamp = Datetime::from_ymd_hms(t.year(), t.month().into(), t.day(), t.hour(), t.minute(), t.second());
    PdfOptions {
        ident: Smart::Custom(format!("{} {} {}", report.title, report.taken_at, report.tool_version)),
        creator: Smart::Custom(Some(format!("Medusa Advisor {}", report.tool_version))),
        timestamp: stamp.map(Timestamp::new_utc),
        standards,
        ..PdfOptions::default()
    }
}

fn sentence(errors: &[SourceDiagnostic]) -> String {
    errors.iter().map(|e| e.message.to_string()).collect::<Vec<_>>().join("; ")
}

static FONTS: LazyLock<Vec<Font>> = LazyLock::new(|| {
    let files: [&'static [u8]; 4] = [
        include_bytes!("../../assets/fonts/Inter-Regular.otf"),
        include_bytes!("../../assets/fonts/Inter-Medium.otf"),
        include_bytes!("../../assets/fonts/Inter-SemiBold.otf"),
        include_bytes!("../../assets/fonts/JetBrainsMono-Regular.ttf"),
    ];
    files.into_iter().flat_map(|file| Font::iter(Bytes::new(file))).collect()
});
static BOOK: LazyLock<LazyHash<FontBook>> = LazyLock::new(|| LazyHash::new(FontBook::from_fonts(FONTS.iter())));
static LIBRARY: LazyLock<LazyHash<Library>> = LazyLock::new(|| LazyHash::new(Library::default()));

/// Templates and icons by their name in the template's own file tree.
const FILES: [(&str, &str); 13] = [
    ("report.typ", include_str!("../../assets/report/report.typ")),
    ("parts.typ", include_str!("../../assets/report/parts.typ")),
    ("finding.typ", include_str!("../../assets/report/finding.typ")),
    ("icons/app.svg", include_str!("../../assets/report/icons/app.svg")),
    ("icons/brand.svg", include_str!("../../assets/report/icons/brand.svg")),
    ("icons/cdn.svg", include_str!("../../assets/report/icons/cdn.svg")),
    ("icons/critical.svg", include_str!("../../assets/report/icons/critical.svg")),
    ("icons/high.svg", include_str!("../../assets/report/icons/high.svg")),
    ("icons/info.svg", include_str!("../../assets/report/icons/info.svg")),
    ("icons/low.svg", include_str!("../../assets/report/icons/low.svg")),
    ("icons/medium.svg", include_str!("../../assets/report/icons/medium.svg")),
    ("icons/postgres.svg", include_str!("../../assets/report/icons/postgres.svg")),
    ("icons/redis.svg", include_str!("../../assets/report/icons/redis.svg")),
];

/// What typst may see: the templates, the embedded fonts and the report's data. Nothing of it is on disk.
struct Paper {
    data: Bytes,
}

impl Paper {
    fn new(report: &Report) -> Self {
        let mut data = paper::data(report);
        drawable(&mut data);
        Self { data: Bytes::from_string(data.to_string()) }
    }

    fn text(&self, id: FileId) -> FileResult<&'static str> {
        let name = id.vpath().get_without_slash();
        FILES.iter().find(|(n, _)| *n == name).map(|(_, text)| *text).ok_or_else(|| FileError::NotFound(name.into()))
    }
}

impl World for Paper {
    fn library(&self) -> &LazyHash<Library> {
        &LIBRARY
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &BOOK
    }

    fn main(&self) -> FileId {
        let path = VirtualPath::new("report.typ").expect("a plain file name is a path");
        RootedPath::new(VirtualRoot::Project, path).intern()
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        self.text(id).map(|text| Source::new(id, text.to_owned()))
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        if id.vpath().get_without_slash() == "data.json" {
            return Ok(self.data.clone());
        }
        self.text(id).map(|text| Bytes::new(text.as_bytes()))
    }

    fn font(&self, index: usize) -> Option<Font> {
        FONTS.get(index).cloned()
    }

    fn today(&self, _: Option<Duration>) -> Option<Datetime> {
        None
    }
}

/// Characters that no embedded font has (Latin, Greek and Cyrillic are in) print as □, so that a gap is seen as a gap.
fn drawable(value: &mut Value) {
    match value {
        Value::String(text) if !text.chars().all(is_drawable) => {
            *text = text.chars().map(|c| if is_drawable(c) { c } else { REPLACEMENT }).collect();
        }
        Value::Array(items) => items.iter_mut().for_each(drawable),
        Value::Object(fields) => fields.values_mut().for_each(drawable),
        _ => {}
    }
}

const REPLACEMENT: char = '□';

fn is_drawable(c: char) -> bool {
    c.is_ascii_graphic() || matches!(c, ' ' | '\n') || FONTS.iter().any(|f| f.info().coverage.contains(c as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_replacement_itself_can_be_drawn() {
        assert!(is_drawable(REPLACEMENT));
        assert!(is_drawable('ä') && is_drawable('я') && is_drawable('−') && is_drawable('≥') && is_drawable('\u{a0}') && is_drawable('•'));
        assert!(!is_drawable('漢'));
    }
}
