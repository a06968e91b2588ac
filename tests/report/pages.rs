//! The PDF: it is laid out for every store, the same bytes each time, and says what the report says.

use medusa_advisor::report::pdf;

use super::{fixture, masked, report};

#[test]
fn equal_reports_give_equal_bytes() {
    let r = report(fixture::rich());
    let first = pdf::render(&r).unwrap();
    assert!(first.starts_with(b"%PDF-1."));
    assert!(first == pdf::render(&r).unwrap());
}

/// Writes the PDFs where REPORT_PAGES says, to look at them.
#[test]
fn every_store_is_laid_out() {
    let folder = std::env::var_os("REPORT_PAGES").map(std::path::PathBuf::from);
    for (name, store) in
        [("rich", fixture::rich()), ("crowded", fixture::crowded()), ("healthy", fixture::healthy()), ("denied", fixture::denied())]
    {
        let bytes = pdf::render(&report(store)).unwrap();
        let claims = String::from_utf8_lossy(&bytes).contains("pdfuaid");
        assert!(claims, "{name} does not conform to PDF/UA-1");
        if let Some(folder) = &folder {
            std::fs::write(folder.join(format!("{name}.pdf")), bytes).unwrap();
        }
    }
    let bytes = pdf::render(&masked(fixture::rich())).unwrap();
    if let Some(folder) = &folder {
        std::fs::write(folder.join("masked.pdf"), bytes).unwrap();
    }
}
