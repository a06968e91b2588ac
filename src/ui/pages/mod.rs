//! One file a page. A page draws the model and pushes actions; it keeps nothing of its own but what egui remembers.

pub mod audit;
pub mod audits;
pub mod checks;
pub mod compare;
pub mod connect;
pub mod dialogs;
pub mod export;
pub mod findings;
pub mod metrics;
pub mod overview;
pub mod settings;
pub mod stores;
