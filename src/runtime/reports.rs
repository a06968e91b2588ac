//! Reports for the Export page.

use std::path::PathBuf;
use std::sync::Arc;

use super::Shared;
use crate::app::{Audit, Event, ReportChoice, ReportFormat};

pub fn preview(shared: &Shared, _audit: &Audit, _choice: &ReportChoice) {
    shared.send(Event::Previewed(Err("being written".into())));
}

pub async fn save(shared: Arc<Shared>, _audit: Arc<Audit>, _choice: ReportChoice, _formats: Vec<ReportFormat>) {
    let none: Option<Result<Vec<PathBuf>, String>> = None;
    shared.send(Event::ReportSaved(none));
}
