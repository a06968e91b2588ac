//! Command line, logging, window.

fn main() {
    if let Err(error) = medusa_advisor::ui::open(medusa_advisor::ui::Start::default()) {
        eprintln!("medusa-advisor: {error}");
    }
}
