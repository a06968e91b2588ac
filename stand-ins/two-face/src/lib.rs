//! Knows no language: what `typst-library` needs of [two-face](https://docs.rs/two-face/0.4) to compile.
//!
//! two-face holds the grammars of two hundred languages, a megabyte. The report's code is coloured by the scanner that the window has
//! (`text::highlight`): by the grammars, colours took more than half of the time that a report takes.

pub mod syntax {
    use syntect::parsing::SyntaxSet;

    pub fn extra_no_newlines() -> SyntaxSet {
        SyntaxSet::new()
    }
}
