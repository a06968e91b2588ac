//! Command line, logging, window.

use std::process::ExitCode;

use clap::Parser;
use medusa_advisor::app::Action;
use medusa_advisor::cli::{self, Cli, Command};
use medusa_advisor::{secret, ui};

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(cli.verbose);
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider was installed already");
    }
    match cli.command {
        None => window(Vec::new()),
        Some(Command::Demo { out }) if out.is_empty() => window(vec![Action::OpenDemo]),
        Some(command) => match cli::perform(command) {
            Ok(ended) => ended.into(),
            Err(error) => fail(&error),
        },
    }
}

fn window(actions: Vec<Action>) -> ExitCode {
    match ui::open(ui::Start { actions }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let hint = "A display with OpenGL is needed. On a server use `medusa-advisor audit` or `medusa-advisor demo --out report.pdf`.";
            fail(&anyhow::anyhow!("the window could not be opened: {error}. {hint}"))
        }
    }
}

/// Exit 2: something was wrong with what was asked for. Errors of foreign origin lose their secrets on the way out.
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("medusa-advisor: {}", secret::redact(&format!("{error:#}")));
    ExitCode::from(2)
}

fn log_to_stderr(verbose: u8) {
    use tracing_subscriber::EnvFilter;
    let default = match verbose {
        0 => "error",
        1 => "medusa_advisor=info,warn",
        _ => "medusa_advisor=debug,info",
    };
    let filter = EnvFilter::try_from_env("MEDUSA_ADVISOR_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
