//! What can go wrong, in plain words. Sentences say what to do and hold no secret.

use std::io;
use std::time::Duration;

use super::{MAJOR_MIN, quote_role};
use crate::connect::profile::{PostgresProfile, TlsMode};
use crate::secret::redact;

/// Which step of opening a session failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenErrorKind {
    NameUnknown,
    Refused,
    TimedOut {
        limit_ms: u32,
    },
    Tls,
    SignIn,
    /// The exact grant is known.
    Denied {
        grant: String,
    },
    TooOld {
        have: String,
        need: String,
    },
    Other,
}

/// Why no session could be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct OpenError {
    pub kind: OpenErrorKind,
    /// One or two sentences: what happened and what to do.
    pub sentence: String,
}

impl OpenError {
    fn new(kind: OpenErrorKind, sentence: String) -> Self {
        Self { kind, sentence }
    }

    pub(super) fn timed_out(profile: &PostgresProfile, limit: Duration) -> Self {
        let limit_ms = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
        let sentence = format!(
            "{} did not answer within {} s. Check host and port, and that a firewall or security group lets this machine in.",
            profile.address(),
            limit.as_secs()
        );
        Self::new(OpenErrorKind::TimedOut { limit_ms }, sentence)
    }

    pub(super) fn lost(profile: &PostgresProfile, e: &QueryError) -> Self {
        let sentence = format!("{} accepted the connection but not the first statement: {} Check that it is Postgres.", profile.address(), e.message);
        Self::new(OpenErrorKind::Other, sentence)
    }

    pub(super) fn no_version(profile: &PostgresProfile) -> Self {
        Self::new(OpenErrorKind::Other, format!("{} does not tell its version. Check that it is Postgres.", profile.address()))
    }

    pub(super) fn too_old(major: u32) -> Self {
        let sentence = format!("This is Postgres {major}; {MAJOR_MIN} or later is needed. Upgrade the server: {major} gets no more security fixes.");
        Self::new(OpenErrorKind::TooOld { have: major.to_string(), need: MAJOR_MIN.to_string() }, sentence)
    }
}

/// Reads the driver's error; `profile` gives the words.
pub(super) fn open_error(e: &sqlx::Error, profile: &PostgresProfile) -> OpenError {
    match e {
        sqlx::Error::Io(io) => io_error(io, profile),
        sqlx::Error::Tls(source) => tls_error(&source.to_string(), profile),
        sqlx::Error::Database(db) => sign_in_error(db.code().as_deref().unwrap_or(""), db.message(), profile),
        other => OpenError::new(OpenErrorKind::Other, format!("{} could not be used: {}.", profile.address(), redact(&other.to_string()))),
    }
}

fn io_error(e: &io::Error, profile: &PostgresProfile) -> OpenError {
    let at = profile.address();
    let text = e.to_string();
    let lower = text.to_ascii_lowercase();
    if lower.contains("certificate") || lower.contains("tls") || e.kind() == io::ErrorKind::InvalidData {
        return tls_error(&text, profile);
    }
    if lower.contains("lookup") || lower.contains("name or service") || lower.contains("nodename") || lower.contains("no such host") {
        return OpenError::new(
            OpenErrorKind::NameUnknown,
            format!("The host name {} is not known. Check its spelling, or the VPN it needs.", profile.host),
        );
    }
    match e.kind() {
        io::ErrorKind::ConnectionRefused => OpenError::new(
            OpenErrorKind::Refused,
            format!("Nothing listens on {at}: the connection was refused. Check host and port, and that Postgres runs and listens on this address."),
        ),
        io::ErrorKind::NotFound if profile.ca_file.is_some() => OpenError::new(OpenErrorKind::Tls, missing_ca_file(profile)),
        io::ErrorKind::NotFound => OpenError::new(OpenErrorKind::Refused, format!("A file that is needed is not there: {}.", redact(&text))),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => OpenError::new(
            OpenErrorKind::Other,
            format!("{at} closed the connection before signing in. Check that Postgres listens on this port and that it accepts this TLS mode."),
        ),
        _ => OpenError::new(OpenErrorKind::Other, format!("{at} cannot be reached: {}. Check host, port and network.", redact(&text))),
    }
}

fn tls_error(text: &str, profile: &PostgresProfile) -> OpenError {
    let lower = text.to_ascii_lowercase();
    let host = &profile.host;
    let sentence = if lower.contains("does not support tls") {
        format!("{} offers no TLS. Turn ssl on at the server, or choose the TLS mode \"prefer\" in a network you trust.", profile.address())
    } else if lower.contains("notvalidforname") || lower.contains("not valid for name") {
        wrong_name(text, host)
    } else if lower.contains("unknownissuer") || lower.contains("unknown issuer") || lower.contains("causedasendentity") {
        "The server's certificate is signed by an authority this machine does not know. Choose its CA certificate file.".to_owned()
    } else if lower.contains("expired") {
        "The server's certificate has expired. Renew it, or choose the TLS mode \"require\" until then.".to_owned()
    } else if lower.contains("invalid certificate") || lower.contains("pem") {
        "The CA certificate file holds no readable certificate. Choose a PEM file.".to_owned()
    } else if profile.tls == TlsMode::Disable {
        format!("{} did not speak the Postgres protocol. Check the port.", profile.address())
    } else {
        format!("TLS with {host} failed: {}. Check the TLS mode and the CA certificate.", redact(text))
    };
    OpenError::new(OpenErrorKind::Tls, sentence)
}

fn missing_ca_file(profile: &PostgresProfile) -> String {
    format!("The CA certificate file {} is not there. Choose a PEM file.", profile.ca_file.as_deref().unwrap_or(""))
}

/// Names of the certificate that the sentence shows.
const NAMES_MAX: usize = 3;

/// The TLS library lists what the certificate is for: `… only valid for DnsName("db.example.com") or DnsName("*.example.com")`.
fn wrong_name(text: &str, host: &str) -> String {
    let listed = text.rsplit_once("only valid for ").map_or("", |(_, names)| names);
    let names: Vec<&str> = listed.split('"').skip(1).step_by(2).collect();
    let more = if names.len() > NAMES_MAX { " and others" } else { "" };
    let shown = names.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(" or ");
    match names.len() {
        0 => format!("The server's certificate is not made out to {host}. Use the host name in the certificate, or the TLS mode \"verify-ca\"."),
        1 => format!("The server's certificate is for {shown}, not {host}. Use that host, or the TLS mode \"verify-ca\"."),
        _ => format!("The server's certificate is for {shown}{more}, not {host}. Use one of those hosts, or the TLS mode \"verify-ca\"."),
    }
}

fn sign_in_error(code: &str, message: &str, profile: &PostgresProfile) -> OpenError {
    let (user, database) = (&profile.user, &profile.database);
    let lower = message.to_ascii_lowercase();
    let sign_in = |sentence: String| OpenError::new(OpenErrorKind::SignIn, sentence);
    // PgBouncer answers with 08P01 and a text where Postgres has a code.
    if code == "28P01"
        || lower.contains("password authentication failed")
        || lower.contains("sasl authentication failed")
        || lower.contains("authentication failed")
    {
        return sign_in(format!("The password for {user} was not accepted. Check user and password."));
    }
    // Two wordings of PgBouncer: of its own list, and of the server's answer.
    let is_missing = lower.starts_with("database \"") && lower.ends_with("\" does not exist");
    if code == "3D000" || lower.contains("no such database") || is_missing {
        return sign_in(format!("There is no database {database} on {}. Use the name in the store's DATABASE_URL.", profile.address()));
    }
    if code == "42501" {
        let grant = format!("grant connect on database {} to {};", quote_role(database), quote_role(user));
        return OpenError::new(
            OpenErrorKind::Denied { grant: grant.clone() },
            format!("The role {user} may not connect to {database}. Run as the owner: {grant}"),
        );
    }
    match code {
        "28000" if lower.contains("pg_hba") => sign_in(format!(
            "The server lets {user} in neither from this address nor with this TLS mode (pg_hba.conf). Add a line for it, or change the TLS mode."
        )),
        "28000" => sign_in(format!("The role {user} does not exist or may not sign in. Create it with: medusa-advisor grants postgres")),
        "53300" => sign_in("The server has no free connection left. Try again, or raise max_connections.".to_owned()),
        "57P03" => sign_in("The server is starting up or shutting down. Try again in a moment.".to_owned()),
        _ => sign_in(format!("The server refused to sign {user} in: {}.", redact(message))),
    }
}

/// What kind of failure a query had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryErrorKind {
    /// 42501.
    Denied,
    /// The relation, function or column is not there.
    Missing,
    /// A library is not preloaded (55000).
    NotLoaded,
    StatementTimeout,
    LockTimeout,
    /// The connection broke.
    Lost,
    /// An answer that could not be decoded, or any other failure.
    Other,
}

/// Why one query gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    pub kind: QueryErrorKind,
    /// A sentence, without secrets.
    pub message: String,
    /// The limit that bit, milliseconds.
    pub limit_ms: u32,
}

impl QueryError {
    pub(super) fn lost() -> Self {
        Self { kind: QueryErrorKind::Lost, message: "The connection was lost.".to_owned(), limit_ms: 0 }
    }

    pub(super) fn unreadable(e: &sqlx::Error) -> Self {
        Self { kind: QueryErrorKind::Other, message: format!("The answer could not be read: {}.", redact(&e.to_string())), limit_ms: 0 }
    }

    pub(super) fn from_sqlx(e: &sqlx::Error, limit_ms: u32) -> Self {
        let sqlx::Error::Database(db) = e else {
            return if matches!(e, sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_)) { Self::lost() } else { Self::unreadable(e) };
        };
        let kind = match db.code().as_deref() {
            Some("42501") => QueryErrorKind::Denied,
            Some("42P01" | "42883" | "42703" | "3F000") => QueryErrorKind::Missing,
            Some("55000") => QueryErrorKind::NotLoaded,
            Some("57014") => QueryErrorKind::StatementTimeout,
            Some("55P03") => QueryErrorKind::LockTimeout,
            // Ended by the administrator, by a restart, or by our own idle limit.
            Some("57P01" | "57P02" | "57P03" | "25P03" | "08006" | "08003") => QueryErrorKind::Lost,
            _ => QueryErrorKind::Other,
        };
        Self { kind, message: format!("{}.", redact(db.message().trim_end_matches('.'))), limit_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> PostgresProfile {
        crate::connect::profile::parse_postgres("postgres://advisor@db.example.com/shop").unwrap().0
    }

    #[test]
    fn sign_in_failures_say_what_to_do() {
        let of = |code, message| sign_in_error(code, message, &profile()).sentence;
        assert!(of("28P01", "password authentication failed for user \"advisor\"").contains("Check user and password"));
        assert!(of("08P01", "SASL authentication failed").contains("Check user and password"));
        assert!(of("3D000", "database \"shop\" does not exist").contains("DATABASE_URL"));
        assert!(of("08P01", "database \"shop\" does not exist").contains("DATABASE_URL"));
        assert!(of("42501", "permission denied for database").contains("grant connect on database \"shop\" to \"advisor\";"));
        assert!(of("28000", "no pg_hba.conf entry for host").contains("pg_hba.conf"));
    }

    #[test]
    fn a_wrong_name_is_told_with_the_right_ones() {
        let of = |names: &str| wrong_name(&format!("certificate not valid for name \"db\"; certificate is only valid for {names}"), "db");
        let one = of("DnsName(\"*.rds.amazonaws.com\")");
        assert_eq!(one, "The server's certificate is for *.rds.amazonaws.com, not db. Use that host, or the TLS mode \"verify-ca\".");
        assert!(of("DnsName(\"a\") or DnsName(\"b\")").contains("is for a or b, not db. Use one of those hosts"));
        assert!(of("DnsName(\"a\"), DnsName(\"b\"), DnsName(\"c\") or DnsName(\"d\")").contains("a or b or c and others, not db"));
        assert!(wrong_name("NotValidForName", "db").contains("not made out to db"));
    }

    #[test]
    fn network_failures_say_what_to_do() {
        let of = |kind, text: &str| io_error(&io::Error::new(kind, text.to_owned()), &profile());
        assert_eq!(of(io::ErrorKind::ConnectionRefused, "Connection refused (os error 111)").kind, OpenErrorKind::Refused);
        assert_eq!(of(io::ErrorKind::Other, "failed to lookup address information").kind, OpenErrorKind::NameUnknown);
        assert!(of(io::ErrorKind::InvalidData, "invalid peer certificate: NotValidForName").sentence.contains("not made out to db.example.com"));
        assert!(of(io::ErrorKind::InvalidData, "invalid peer certificate: UnknownIssuer").sentence.contains("CA certificate"));
    }
}
