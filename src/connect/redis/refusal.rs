//! What a refused command means, in words.

use redis::{ErrorKind, RedisError, ServerErrorKind, Value};

use crate::secret::redact;

/// Why a command gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The ACL forbids it; the server's own words.
    NoPermission(String),
    /// Renamed, disabled by the provider, or not known to this version.
    UnknownCommand,
    NotSignedIn,
    WrongPassword,
    Loading,
    TimedOut,
    /// The connection is gone.
    Dropped,
    /// The server wants another client certificate, in words.
    Certificate(&'static str),
    Other(String),
}

impl Refusal {
    /// One sentence; holds no secret.
    pub fn words(&self) -> String {
        match self {
            Refusal::NoPermission(text) => format!("This user may not do that: {text}."),
            Refusal::UnknownCommand => "The command is renamed, switched off by the provider, or not known to this version.".to_owned(),
            Refusal::NotSignedIn => "Redis asks for a password. Give the user and password of this instance.".to_owned(),
            Refusal::WrongPassword => "Redis refused the user or the password. Check both.".to_owned(),
            Refusal::Loading => "Redis is still loading its data from disk. Run the audit again when it has finished.".to_owned(),
            Refusal::TimedOut => "Redis did not answer in time. It is blocked by a slow command or the network is slow.".to_owned(),
            Refusal::Dropped => {
                "The connection was closed by the other side. Check that this port speaks Redis, and TLS where it is required.".to_owned()
            }
            Refusal::Certificate(words) => (*words).to_owned(),
            Refusal::Other(text) => format!("Redis answered: {text}."),
        }
    }

    /// No further command on this connection will be answered.
    pub fn is_final(&self) -> bool {
        matches!(self, Refusal::Dropped | Refusal::TimedOut | Refusal::NotSignedIn | Refusal::Certificate(_))
    }
}

/// What a server's TLS alert says of the client's certificate.
pub fn client_certificate_words(text: &str) -> Option<&'static str> {
    if text.contains("CertificateRequired") {
        Some("The server asks for a client certificate. Give its file and its key's file.")
    } else if ["alert: UnknownCA", "alert: BadCertificate", "alert: CertificateUnknown", "alert: CertificateExpired"].iter().any(|a| text.contains(a))
    {
        Some("The server does not accept the client certificate: it must be valid and signed by an authority that the server trusts.")
    } else {
        None
    }
}

/// The refusal in a reply, if it is one.
pub fn refusal_of_value(value: &Value) -> Option<Refusal> {
    match value {
        Value::ServerError(e) => Some(classify(e.code(), e.details().unwrap_or(""))),
        _ => None,
    }
}

/// What a client-side error means.
pub fn refusal_of_error(e: &RedisError) -> Refusal {
    if e.is_timeout() {
        return Refusal::TimedOut;
    }
    // With TLS 1.3 a server judges the client's certificate after the handshake has ended for us.
    if let Some(words) = client_certificate_words(&e.to_string()) {
        return Refusal::Certificate(words);
    }
    if e.is_connection_dropped() || e.is_io_error() {
        return Refusal::Dropped;
    }
    match e.kind() {
        ErrorKind::Server(ServerErrorKind::NoPerm) => classify("NOPERM", e.detail().unwrap_or("")),
        ErrorKind::AuthenticationFailed => Refusal::WrongPassword,
        _ => match e.code() {
            Some(code) => classify(code, e.detail().unwrap_or("")),
            // Bytes that are not the protocol: another service listens there.
            None if e.kind() == ErrorKind::Parse => Refusal::Dropped,
            None => Refusal::Other(clean(&e.to_string())),
        },
    }
}

fn classify(code: &str, detail: &str) -> Refusal {
    let lower = detail.to_ascii_lowercase();
    match code {
        "NOPERM" => Refusal::NoPermission(clean(detail)),
        "NOAUTH" => Refusal::NotSignedIn,
        "WRONGPASS" => Refusal::WrongPassword,
        "LOADING" => Refusal::Loading,
        _ if lower.contains("invalid password") => Refusal::WrongPassword,
        // "unknown subcommand or wrong number of arguments" is how old servers refuse what they do not know.
        _ if lower.contains("unknown command")
            || lower.contains("unknown subcommand")
            || lower.contains("not allowed")
            || lower.contains("disabled") =>
        {
            Refusal::UnknownCommand
        }
        _ => Refusal::Other(clean(&format!("{code} {detail}"))),
    }
}

/// Servers quote the arguments of a refused command back ("with args beginning with: …"): only the part before is kept.
fn clean(text: &str) -> String {
    let text = text.split(", with args").next().unwrap_or(text);
    redact(text.trim().trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart() {
        assert!(matches!(classify("NOPERM", "User advisor has no permissions to run the 'keys' command"), Refusal::NoPermission(_)));
        assert_eq!(classify("WRONGPASS", "invalid username-password pair or user is disabled."), Refusal::WrongPassword);
        assert_eq!(classify("ERR", "invalid password"), Refusal::WrongPassword);
        assert_eq!(classify("ERR", "unknown command 'CONFIG', with args beginning with: 'GET' 'x'"), Refusal::UnknownCommand);
        assert_eq!(classify("LOADING", "Redis is loading the dataset in memory"), Refusal::Loading);
        assert_eq!(classify("NOAUTH", "Authentication required."), Refusal::NotSignedIn);
    }

    #[test]
    fn arguments_quoted_back_are_dropped() {
        let refusal = classify("ERR", "strange, with args beginning with: 'hunter2'");
        assert!(!refusal.words().contains("hunter2"));
    }
}
