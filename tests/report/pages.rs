//! The PDF: it is laid out for every store, the same bytes each time, and says what the report says.

use medusa_advisor::report::{Options, Report, pdf};

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
    for (name, store) in [("rich", fixture::rich()), ("crowded", fixture::crowded()), ("healthy", fixture::healthy()), ("denied", fixture::denied())]
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

#[test]
fn the_preview_shows_the_pages_that_are_saved() {
    let r = report(fixture::denied());
    let pages = pdf::pages(&r, 0.5).unwrap();
    for (width, height, rgba) in &pages {
        assert_eq!((*width, *height), (298, 421));
        assert_eq!(rgba.len(), (*width * *height * 4) as usize);
        assert!(rgba.chunks_exact(4).all(|p| p[3] == 255), "paper is opaque");
        assert!(rgba.chunks_exact(4).any(|p| p[0] < 128), "a page is empty");
    }
    let Some(text) = text_of(&r) else { return };
    assert_eq!(text.matches('\u{c}').count(), pages.len());
    assert!(text.contains(&format!("{0} of {0}", pages.len())));
}

/// What a reader's copy gives; `None` where the tool is absent.
fn text_of(report: &Report) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.pdf");
    std::fs::write(&file, pdf::render(report).unwrap()).unwrap();
    match std::process::Command::new("pdftotext").arg("-layout").arg(&file).arg("-").output() {
        Ok(output) => Some(String::from_utf8(output.stdout).unwrap()),
        Err(_) => {
            eprintln!("skipped: pdftotext (poppler-utils) is not installed");
            None
        }
    }
}

#[test]
fn pages_say_what_the_report_says() {
    let Some(text) = text_of(&report(fixture::rich())) else { return };
    let pages: Vec<&str> = text.split('\u{c}').collect();
    assert!(pages[0].contains("Northwind Outfitters") && pages[0].contains("2 not checked"));
    for words in ["Summary", "Targets", "Where 100 cacheable requests are answered", "Do these first", "Not checked:"] {
        assert!(pages[1].contains(words), "page 2 has no {words}");
    }
    assert!(pages[2].contains("Ranked plan"));
    for words in ["create index concurrently image_product_id", "drop index concurrently image_product_id;", "grant pg_read_all_stats", "0.87"] {
        assert!(text.contains(words), "{words} is in no page");
    }
    let order: Vec<usize> = ["Ranked plan", "Statements scan a table", "CDN hit ratio\n", "Passed", "Not checked\n", "Method and limits"]
        .iter()
        .map(|words| text.rfind(words).unwrap_or_else(|| panic!("{words} is missing")))
        .collect();
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn the_summary_is_one_page_whatever_the_names() {
    let Some(text) = text_of(&report(fixture::crowded())) else { return };
    let pages: Vec<&str> = text.split('\u{c}').collect();
    assert!(pages[1].contains("Summary") && pages[1].contains("Not checked:"));
    assert!(pages[2].contains("Ranked plan"));
}

#[test]
fn a_name_no_font_has_is_seen_as_such() {
    let (mut snapshot, plan) = fixture::healthy();
    snapshot.meta.store = "漢字 Ünïcode \u{7} 🛒".into();
    let r = Report::build(&snapshot, &plan, &Options::whole(&snapshot.meta.store));
    assert!(pdf::render(&r).is_ok());
    let Some(text) = text_of(&r) else { return };
    assert!(text.contains("□□ Ünïcode □ □"), "{}", text.lines().take(30).collect::<String>());
}
