//! The command line. Stable for scripts: results on standard output, progress on standard error, exit status 0, 1, 2 or 3.

mod audit;
mod catalogue;
mod compare;
mod grants;
mod output;
mod progress;
mod terminal;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::finding::Severity;
use crate::{demo, history};

/// Finds what slows a Medusa.js store down across CDN, Redis, Postgres and the application, proves it, and hands over the exact fix.
///
/// Without a command the window opens.
#[derive(Debug, Parser)]
#[command(name = "medusa-advisor", version, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Log what happens to standard error; repeat for more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// The embedded demo store: the window, or report files when --out is given.
    Demo {
        /// Report files, by ending: .pdf .md .html .json .snapshot
        #[arg(long, value_name = "FILE", num_args = 1..)]
        out: Vec<PathBuf>,
    },
    /// Audits a saved store, or the services given here.
    Audit(Box<AuditArgs>),
    /// Renders a saved snapshot again.
    Report {
        snapshot: PathBuf,
        /// Report files, by ending: .pdf .md .html .json .snapshot
        #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
        out: Vec<PathBuf>,
    },
    /// Compares two snapshots, older first.
    Compare {
        before: PathBuf,
        after: PathBuf,
        /// Comparison files: .md or .json
        #[arg(long, value_name = "FILE", num_args = 1..)]
        out: Vec<PathBuf>,
        /// Exit with 1 when something is new or worse.
        #[arg(long)]
        fail_on_regression: bool,
    },
    /// The catalogue of checks; one check in full.
    Checks { id: Option<String> },
    /// The least privilege a service needs, ready to paste.
    Grants { service: GrantService },
}

#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Name or id of a saved store.
    #[arg(long, value_name = "NAME")]
    pub store: Option<String>,
    /// postgres://user@host:5432/medusa; the password also from PGPASSWORD. Repeat for replicas: their usage counters are read too.
    #[arg(long, value_name = "URL", env = "MEDUSA_ADVISOR_POSTGRES", hide_env_values = true)]
    pub postgres: Vec<String>,
    /// Memory of the Postgres machine, as in 16GiB: the server does not tell it.
    #[arg(long, value_name = "SIZE", value_parser = crate::connect::profile::parse_memory)]
    pub postgres_memory: Option<u64>,
    /// redis://host:6379/0, any node of a cluster, or redis+sentinel://host:26379,host:26379/master; repeat for several instances. The
    /// query may give ca, cert and key (PEM files), sni, and roles of own key prefixes: rediss://host?ca=/ca.pem&roles=acme:=cache. The user,
    /// password and TLS are those of the servers; where the Sentinels differ, the query gives sentinel_user, sentinel_password (also from
    /// `MEDUSA_ADVISOR_SENTINEL_PASSWORD`), sentinel_tls=yes|no, sentinel_ca and sentinel_sni:
    /// rediss+sentinel://host/master?ca=/ca.pem&sentinel_tls=no.
    #[arg(long, value_name = "URL")]
    pub redis: Vec<String>,
    /// The Medusa backend, where the store API answers.
    #[arg(long, value_name = "URL")]
    pub backend: Option<String>,
    #[arg(long, value_name = "URL")]
    pub storefront: Option<String>,
    /// Ask a host of the storefront or backend at this address instead of the one DNS names: a store before its DNS is switched. Repeat for
    /// several hosts. The address may be private; no proxy is used then.
    #[arg(long, value_name = "HOST=ADDRESS", value_parser = crate::connect::profile::parse_resolve)]
    pub resolve: Vec<crate::connect::profile::FixedAddress>,
    /// The store API's publishable key (v2); public by design.
    #[arg(long, value_name = "KEY", env = "MEDUSA_PUBLISHABLE_KEY")]
    pub publishable_key: Option<String>,
    /// Zone name or id; the token from `CLOUDFLARE_API_TOKEN`.
    #[arg(long, value_name = "NAME|ID")]
    pub cloudflare_zone: Option<String>,
    /// Id or alias of a CloudFront distribution; repeat for several, or `all`. Credentials by AWS' own chain: `AWS_PROFILE`, SSO, keys, role.
    #[arg(long, value_name = "ID|all")]
    pub cloudfront: Vec<String>,
    #[arg(long, value_name = "DIR")]
    pub source: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    pub http_log: Vec<PathBuf>,
    /// Observation window, 5s to 30m.
    #[arg(long, value_name = "TIME", value_parser = parse_window)]
    pub window: Option<Duration>,
    /// Only these layers (cdn, redis, postgres, app) or checks.
    #[arg(long, value_name = "LAYER|CHECK", num_args = 1.., value_parser = parse_selection)]
    pub only: Vec<String>,
    /// Not these layers or checks.
    #[arg(long, value_name = "LAYER|CHECK", num_args = 1.., value_parser = parse_selection)]
    pub skip: Vec<String>,
    /// Report files, by ending: .pdf .md .html .json .snapshot
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub out: Vec<PathBuf>,
    /// What goes to standard output.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Exit with 1 when a finding is at or above this.
    #[arg(long, value_enum, default_value_t = FailOn::Never)]
    pub fail_on: FailOn,
    /// No progress.
    #[arg(long)]
    pub quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
    Md,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    Critical,
    High,
    Medium,
    Low,
    Never,
}

impl FailOn {
    fn bar(self) -> Option<Severity> {
        match self {
            FailOn::Critical => Some(Severity::Critical),
            FailOn::High => Some(Severity::High),
            FailOn::Medium => Some(Severity::Medium),
            FailOn::Low => Some(Severity::Low),
            FailOn::Never => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GrantService {
    Postgres,
    Redis,
    Cloudflare,
    Aws,
}

/// How a command ended, beyond its own errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Well,
    /// A finding at or above `--fail-on`, or a regression.
    Found,
    NothingAudited,
}

impl From<Ended> for ExitCode {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Well => ExitCode::from(0),
            Ended::Found => ExitCode::from(1),
            Ended::NothingAudited => ExitCode::from(3),
        }
    }
}

/// Performs a command. What is wrong with its input is an error of usage (exit 2).
///
/// # Errors
/// In sentences that say what to do; without secrets.
pub fn perform(command: Command) -> anyhow::Result<Ended> {
    match command {
        Command::Demo { out } => {
            output::check_endings(&out)?;
            let snapshot = demo::snapshot();
            let plan = crate::plan::build(&snapshot, &[], |_| true);
            output::write_reports(&snapshot, &plan, &out)?;
            Ok(Ended::Well)
        }
        Command::Audit(args) => audit::perform(*args),
        Command::Report { snapshot, out } => {
            output::check_endings(&out)?;
            let snapshot = history::open(&snapshot)?;
            let plan = crate::plan::build(&snapshot, &[], |_| true);
            output::write_reports(&snapshot, &plan, &out)?;
            Ok(Ended::Well)
        }
        Command::Compare { before, after, out, fail_on_regression } => compare::perform(&before, &after, &out, fail_on_regression),
        Command::Checks { id } => catalogue::print(id.as_deref()),
        Command::Grants { service } => {
            grants::print(service);
            Ok(Ended::Well)
        }
    }
}

fn parse_window(text: &str) -> Result<Duration, String> {
    use crate::connect::profile::{WINDOW_S_MAX, WINDOW_S_MIN};
    let text = text.trim();
    let (number, factor) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(n) if text.ends_with('m') => (n, 60),
        Some(n) if text.ends_with('h') => (n, 3_600),
        Some(n) => (n, 1),
        None => (text, 1),
    };
    let seconds = number.trim().parse::<u32>().ok().and_then(|n| n.checked_mul(factor));
    match seconds {
        Some(s) if (WINDOW_S_MIN..=WINDOW_S_MAX).contains(&s) => Ok(Duration::from_secs(u64::from(s))),
        _ => Err(format!("the window is {WINDOW_S_MIN}s to {}m, as in 30s or 5m", WINDOW_S_MAX / 60)),
    }
}

fn parse_selection(text: &str) -> Result<String, String> {
    let is_layer = crate::evidence::Layer::ALL.iter().any(|l| l.id() == text);
    if is_layer || crate::checks::find(text).is_some() {
        Ok(text.to_owned())
    } else {
        Err("neither a layer (cdn, redis, postgres, app) nor a check; `medusa-advisor checks` lists them".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn windows_are_read() {
        assert_eq!(parse_window("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_window("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_window("45"), Ok(Duration::from_secs(45)));
        for bad in ["4s", "31m", "1h", "x", "", "9999999999m"] {
            assert!(parse_window(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn several_outputs_follow_one_flag() {
        let cli = Cli::try_parse_from(["medusa-advisor", "audit", "--postgres", "postgres://h/d", "--out", "r.json", "r.md", "r.pdf"]).unwrap();
        let Some(Command::Audit(args)) = cli.command else { panic!("not an audit") };
        assert_eq!(args.out.len(), 3);
    }
}
