//! Every page of the window, drawn and clicked without a screen.

#[path = "../common/sample.rs"]
mod sample;

mod audit;
mod connect;
mod findings;
mod metrics;
mod shell;
