//! Tests a profile step by step, for the Connect page.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sqlx::FromRow;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::errors::{OpenError, OpenErrorKind};
use super::{MAJOR_MIN, Session, column_stats_grant, medusa, open, quote_role};
use crate::connect::profile::{Limits, PostgresProfile, TlsMode};
use crate::connect::steps::{Capability, CapabilityState, StepState, TestReport, TestStep};
use crate::secret::{Secret, redact};

const NAMES: [&str; 6] = ["Name resolved", "TCP connected", "TLS", "Signed in", "Postgres", "Medusa"];

/// Runs the test. `on_step` hears every step as it ends; the report holds them all, those not reached as not run.
pub async fn test(
    profile: &PostgresProfile,
    password: Option<&Secret<String>>,
    limits: &Limits,
    on_step: impl Fn(&TestStep) + Send + Sync,
) -> TestReport {
    let mut steps = Steps { done: Vec::new(), on_step: &on_step };
    let capabilities = run(&mut steps, profile, password, limits).await.into_iter().flatten().collect();
    for name in &NAMES[steps.done.len()..] {
        steps.done.push(TestStep { name: (*name).to_owned(), detail: String::new(), ms: None, state: StepState::NotRun });
    }
    TestReport { steps: steps.done, capabilities }
}

struct Steps<'a> {
    done: Vec<TestStep>,
    on_step: &'a (dyn Fn(&TestStep) + Send + Sync),
}

impl Steps<'_> {
    fn push(&mut self, start: Instant, outcome: Result<String, String>) -> Option<()> {
        self.push_named(NAMES[self.done.len()].to_owned(), start.elapsed(), outcome)
    }

    fn push_named(&mut self, name: String, took: Duration, outcome: Result<String, String>) -> Option<()> {
        let (detail, state) = match outcome {
            Ok(detail) => (detail, StepState::Done),
            Err(sentence) => (String::new(), StepState::Failed(sentence)),
        };
        let is_done = state == StepState::Done;
        let step = TestStep { name, detail, ms: Some(took.as_secs_f64() * 1e3), state };
        (self.on_step)(&step);
        self.done.push(step);
        is_done.then_some(())
    }
}

/// `None` as soon as a step failed.
async fn run(steps: &mut Steps<'_>, profile: &PostgresProfile, password: Option<&Secret<String>>, limits: &Limits) -> Option<Vec<Capability>> {
    network(steps, profile, limits.connect_timeout()).await?;
    let start = Instant::now();
    let mut session = match open(profile, password, limits).await {
        Ok(session) => session,
        Err(e) => {
            // The handshake belongs to the step before, which has only heard whether the server offers TLS.
            if e.kind == OpenErrorKind::Tls {
                let tls = steps.done.pop()?;
                let took = Duration::from_secs_f64(tls.ms.unwrap_or(0.0) / 1e3) + start.elapsed();
                return steps.push_named(tls.name, took, Err(e.sentence)).map(|()| Vec::new());
            }
            return steps.push(start, Err(e.sentence)).map(|()| Vec::new());
        }
    };
    steps.push(start, Ok(format!("{}, read only", profile.user)))?;
    let capabilities = inside(steps, &mut session, profile).await;
    session.close().await;
    capabilities
}

async fn network(steps: &mut Steps<'_>, profile: &PostgresProfile, limit: Duration) -> Option<()> {
    if profile.host.starts_with('/') {
        let start = Instant::now();
        steps.push(start, Ok(format!("socket in {}", profile.host)))?;
        steps.push(start, Ok("on this machine".to_owned()))?;
        return steps.push(start, Ok("not needed on a socket".to_owned()));
    }
    let start = Instant::now();
    let resolved = tokio::time::timeout(limit, tokio::net::lookup_host((profile.host.as_str(), profile.port))).await;
    let addresses: Vec<SocketAddr> = resolved.ok().and_then(Result::ok).map(Iterator::collect).unwrap_or_else(Vec::new);
    let Some(first) = addresses.first() else {
        return steps.push(start, Err(format!("The host name {} is not known. Check its spelling, or the VPN it needs.", profile.host)));
    };
    steps.push(start, Ok(first.ip().to_string()))?;
    let start = Instant::now();
    let mut stream = match tokio::time::timeout(limit, TcpStream::connect(addresses.as_slice())).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(e)) => return steps.push(start, Err(super::errors::open_error(&sqlx::Error::Io(e), profile).sentence)),
        Err(_) => return steps.push(start, Err(OpenError::timed_out(profile, limit).sentence)),
    };
    steps.push(start, Ok(format!("port {}", profile.port)))?;
    let start = Instant::now();
    let tls = tokio::time::timeout(limit, offers_tls(&mut stream)).await;
    steps.push(start, tls_outcome(profile, tls.ok().and_then(Result::ok)))
}

/// Asks as every client does before its first message: `S` is yes, `N` is no.
async fn offers_tls(stream: &mut TcpStream) -> std::io::Result<bool> {
    const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
    stream.write_all(&SSL_REQUEST).await?;
    match stream.read_u8().await? {
        b'S' => Ok(true),
        b'N' => Ok(false),
        _ => Err(std::io::ErrorKind::InvalidData.into()),
    }
}

fn tls_outcome(profile: &PostgresProfile, offered: Option<bool>) -> Result<String, String> {
    let verified = match (profile.tls, &profile.ca_file) {
        (TlsMode::VerifyFull, _) => "certificate and host name verified",
        (TlsMode::VerifyCa, _) | (TlsMode::Require, Some(_)) => "certificate verified",
        _ => "certificate not verified",
    };
    match (profile.tls, offered) {
        (_, None) => Err(format!("{} does not answer like Postgres. Check the port.", profile.address())),
        (TlsMode::Disable, Some(_)) => Ok("off by the TLS mode \"disable\"".to_owned()),
        (TlsMode::Prefer, Some(false)) => Ok("not offered by the server; the connection is not encrypted".to_owned()),
        (_, Some(false)) => {
            Err(format!("{} offers no TLS. Turn ssl on at the server, or choose the TLS mode \"prefer\" in a network you trust.", profile.address()))
        }
        (_, Some(true)) => Ok(format!("encrypted, {verified}")),
    }
}

#[derive(FromRow)]
struct CapabilitiesRow {
    version: String,
    is_replica: bool,
    has_statements: bool,
    statements_version: Option<String>,
    is_preloaded: Option<bool>,
    can_read_statements: bool,
    has_read_all_stats: bool,
    has_read_all_settings: bool,
    indexes: i64,
    hidden_sequences: i64,
    hidden_tables: i64,
    has_stats_function: bool,
}

async fn inside(steps: &mut Steps<'_>, session: &mut Session, profile: &PostgresProfile) -> Option<Vec<Capability>> {
    let start = Instant::now();
    if let Err(e) = session.begin().await {
        return steps.push(start, Err(format!("No read-only transaction could be opened: {}", e.message))).map(|()| Vec::new());
    }
    let row = session.rows::<CapabilitiesRow>(include_str!("sql/capabilities.sql")).await.map(|mut rows| rows.pop());
    let row = match row {
        Ok(Some(row)) => row,
        Ok(None) => {
            return steps.push(start, Err(format!("The server does not tell its version; {MAJOR_MIN} or later is needed."))).map(|()| Vec::new());
        }
        Err(e) => return steps.push(start, Err(redact(&e.message))).map(|()| Vec::new()),
    };
    let version = row.version.split_whitespace().next().unwrap_or("").to_owned();
    let place = if row.is_replica { "replica" } else { "primary" };
    steps.push_named(format!("Postgres {version}"), start.elapsed(), Ok(place.to_owned()))?;
    let start = Instant::now();
    match medusa::detect(session).await {
        Ok(Some(found)) => {
            let detail = format!("{} tables, schema {}", found.tables, found.schema);
            steps.push_named(format!("Medusa {}", found.version), start.elapsed(), Ok(detail));
        }
        Ok(None) => {
            let sentence = format!("{} holds no Medusa tables. Use the database named in the store's DATABASE_URL.", profile.database);
            steps.push(start, Err(sentence));
        }
        Err(e) => {
            steps.push(start, Err(e.message));
        }
    }
    let _ = session.end().await;
    Some(capabilities(&row, &profile.user))
}

fn capabilities(row: &CapabilitiesRow, user: &str) -> Vec<Capability> {
    let role = quote_role(user);
    let monitor = format!("grant pg_monitor to {role};");
    let of = |name: &str, is_granted: bool, detail: String, missing: &str, grant: String| Capability {
        name: name.to_owned(),
        detail: if is_granted { detail } else { missing.to_owned() },
        state: if is_granted { CapabilityState::Granted } else { CapabilityState::Missing { grant } },
    };
    let version = row.statements_version.as_deref().unwrap_or("");
    let sees_stats = row.hidden_tables == 0 || row.has_stats_function;
    vec![
        statement_texts(row, version, &role, &monitor),
        of("Table and index counters", true, format!("{} indexes", row.indexes), "", String::new()),
        of("Sessions of other users", row.has_read_all_stats, "pg_read_all_stats".to_owned(), "only its own", monitor.clone()),
        of("Settings", row.has_read_all_settings, "pg_read_all_settings".to_owned(), "without those for superusers", monitor),
        of(
            "Sequences",
            row.hidden_sequences == 0,
            "all readable".to_owned(),
            &format!("{} not readable", row.hidden_sequences),
            format!("grant select on all sequences in schema public to {role};"),
        ),
        of(
            "Column statistics",
            sees_stats,
            if row.hidden_tables == 0 { "pg_stats" } else { "advisor.column_stats()" }.to_owned(),
            "pg_stats does not show all tables",
            column_stats_grant(user),
        ),
        Capability { name: "Rows of your tables".to_owned(), detail: "never read".to_owned(), state: CapabilityState::Never },
    ]
}

fn statement_texts(row: &CapabilitiesRow, version: &str, role: &str, monitor: &str) -> Capability {
    let missing = |detail: &str, grant: String| (detail.to_owned(), CapabilityState::Missing { grant });
    let (detail, state) = if !row.has_statements {
        missing("pg_stat_statements is not created", "create extension pg_stat_statements;".to_owned())
    } else if row.is_preloaded == Some(false) {
        let grant = "alter system set shared_preload_libraries = 'pg_stat_statements'; -- keep what is listed there already, then restart";
        missing("pg_stat_statements is not loaded", grant.to_owned())
    } else if !row.can_read_statements {
        missing("may not read pg_stat_statements", format!("grant select on pg_stat_statements to {role};"))
    } else if !row.has_read_all_stats {
        missing("only its own", monitor.to_owned())
    } else {
        (format!("pg_stat_statements {version}"), CapabilityState::Granted)
    };
    Capability { name: "Statement texts".to_owned(), detail, state }
}
