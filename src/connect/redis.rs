//! Opens a read-only session to one Redis instance, step by step, so that a failure names the step it happened in.

mod refusal;
mod stranger;
mod test;
mod topology;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ProtocolVersion, RedisConnectionInfo, Value};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::profile::{RedisPasswords, RedisProfile};
use super::steps::{StepState, TestStep};
use crate::secret::{Secret, redact};

pub use refusal::{Refusal, refusal_of_error, refusal_of_value};
pub use stranger::lets_anybody_in;
pub use test::test;
pub use topology::{CLUSTER_GRANT, behind_sentinels, primaries};
use topology::{Kind, kind};

/// The least privilege an audit needs, ready to paste into `redis-cli`; works from Redis 6.0 on. No command in it can read a value.
/// It says nothing of channels: 6.0 knows no `resetchannels`, and no command in it can publish or subscribe.
pub const GRANTS: &str = "ACL SETUSER advisor on >CHANGE_ME resetkeys ~* -@all +ping +select +info +dbsize +cluster|slots \
+config|get +slowlog|get +latency|latest +client|list +client|setname \
+scan +type +pttl +memory|usage +object|idletime +object|freq +hlen +scard +zcard +llen +xlen";

/// The name our connections carry, so that they can be left out of everything judged.
pub const CLIENT_NAME: &str = "medusa-advisor";

/// Names of the steps, in order.
pub const STEPS: [&str; 5] = ["Name resolved", "Connected", "TLS", "Signed in", "Redis answers"];

/// Why no session came about. The sentence holds no secret and says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct OpenError {
    pub kind: OpenErrorKind,
    pub words: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenErrorKind {
    /// No such name, nobody listens, or the TLS handshake failed.
    Unreachable,
    /// Wrong user or password.
    SignIn,
    /// Signed in, but the user may not even ask for the server's state.
    Denied,
    /// Still reading its data from disk.
    Loading,
    TimedOut,
}

fn failed(kind: OpenErrorKind, words: impl Into<String>) -> OpenError {
    OpenError { kind, words: words.into() }
}

/// An open session. Dropping it closes the connection.
pub struct Opened {
    pub connection: MultiplexedConnection,
    /// Of the server, as this machine reaches it.
    pub address: IpAddr,
    /// A node of a cluster, which holds a part of the keys.
    pub is_cluster: bool,
    driver: JoinHandle<()>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Opens a session with the server, or with the master that its Sentinels name. `limit` bounds each step and, later, each answer.
///
/// # Errors
/// One sentence that names the failed step and what to do about it.
pub async fn open(profile: &RedisProfile, passwords: RedisPasswords<'_>, limit: Duration) -> Result<Opened, OpenError> {
    open_found(profile, passwords, limit).await.map(|(_, opened)| opened).map_err(|(_, e)| e)
}

/// The same, with the profile of the server that was found; with an error, of the one that failed.
///
/// # Errors
/// As [`open`].
pub async fn open_found(
    profile: &RedisProfile,
    passwords: RedisPasswords<'_>,
    limit: Duration,
) -> Result<(RedisProfile, Opened), (RedisProfile, OpenError)> {
    let place = behind_sentinels(profile, passwords, limit).await.map_err(|e| (profile.clone(), e))?;
    let mut opened = match (open_one(&place, passwords.server, limit).await, &profile.sentinel) {
        (Ok(opened), _) => opened,
        (Err(e), None) => return Err((place, e)),
        (Err(e), Some(sentinel)) => {
            let words = format!("The master {} that the Sentinels name, {}:{}: {}", sentinel.master, place.host, place.port, e.words);
            return Err((place, failed(e.kind, words)));
        }
    };
    match kind(&mut opened).await {
        Kind::Sentinel => Err((place, topology::is_a_sentinel(&mut opened, profile).await)),
        kind => {
            opened.is_cluster = kind == Kind::Cluster;
            Ok((place, opened))
        }
    }
}

/// Opens a session with the server at the profile's own address, whatever it is.
async fn open_one(profile: &RedisProfile, password: Option<&Secret<String>>, limit: Duration) -> Result<Opened, OpenError> {
    open_stepwise(profile, password, limit, &mut Steps::default()).await
}

/// The steps done so far, with their times.
#[derive(Default)]
pub(super) struct Steps {
    pub done: Vec<TestStep>,
}

impl Steps {
    fn done(&mut self, since: Instant, detail: impl Into<String>) {
        let name = STEPS[self.done.len()].to_owned();
        let ms = Some(since.elapsed().as_secs_f64() * 1e3);
        self.done.push(TestStep { name, detail: detail.into(), ms, state: StepState::Done });
    }
}

pub(super) async fn open_stepwise(
    profile: &RedisProfile,
    password: Option<&Secret<String>>,
    limit: Duration,
    steps: &mut Steps,
) -> Result<Opened, OpenError> {
    let start = Instant::now();
    let addresses = resolve(profile, limit).await?;
    steps.done(start, addresses[0].ip().to_string());
    let start = Instant::now();
    let (tcp, address) = connect(profile, &addresses, limit).await?;
    steps.done(start, address.to_string());
    let start = Instant::now();
    let mut opened = if profile.is_tls {
        let (stream, detail) = encrypt(profile, tcp, limit).await?;
        steps.done(start, detail);
        drive(stream, address.ip(), limit).await?
    } else {
        steps.done(start, "not used");
        drive(tcp, address.ip(), limit).await?
    };
    let start = Instant::now();
    let who = sign_in(&mut opened, profile, password).await.map_err(|e| closed_after_tls(e, profile))?;
    steps.done(start, who);
    let start = Instant::now();
    answers(&mut opened, profile).await.map_err(|e| closed_after_tls(e, profile))?;
    steps.done(start, format!("database {}", profile.database));
    Ok(opened)
}

async fn resolve(profile: &RedisProfile, limit: Duration) -> Result<Vec<SocketAddr>, OpenError> {
    let host = &profile.host;
    let unknown = || failed(OpenErrorKind::Unreachable, format!("The name {host} is not known here. Check the host, or the VPN it needs."));
    let found = timeout(limit, tokio::net::lookup_host((host.as_str(), profile.port))).await;
    let addresses: Vec<SocketAddr> = found.map_err(|_| unknown())?.map_err(|_| unknown())?.collect();
    if addresses.is_empty() { Err(unknown()) } else { Ok(addresses) }
}

async fn connect(profile: &RedisProfile, addresses: &[SocketAddr], limit: Duration) -> Result<(TcpStream, SocketAddr), OpenError> {
    let mut last = None;
    for address in addresses {
        match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Pipelines are small and their answers are waited for.
                stream.set_nodelay(true).map_err(|e| failed(OpenErrorKind::Unreachable, e.to_string()))?;
                return Ok((stream, *address));
            }
            Ok(Err(e)) => last = Some(e),
            Err(_) => {}
        }
    }
    let (host, port) = (&profile.host, profile.port);
    Err(match last {
        Some(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => {
            failed(OpenErrorKind::Unreachable, format!("Nothing listens on {host}:{port}. Check the port, and that Redis is running."))
        }
        Some(e) => failed(OpenErrorKind::Unreachable, format!("{host}:{port} cannot be reached: {e}. Check the network, the VPN and the firewall.")),
        None => failed(
            OpenErrorKind::TimedOut,
            format!("{host}:{port} did not answer within {} s. A firewall or security group probably drops the connection.", limit.as_secs()),
        ),
    })
}

async fn encrypt(profile: &RedisProfile, tcp: TcpStream, limit: Duration) -> Result<(tokio_rustls::client::TlsStream<TcpStream>, String), OpenError> {
    let config = tls_config(profile)?;
    let name = profile.server_name.as_ref().unwrap_or(&profile.host);
    let name = ServerName::try_from(name.clone()).map_err(|_| failed(OpenErrorKind::Unreachable, format!("{name} cannot be a TLS server name.")))?;
    let shaken = timeout(limit, TlsConnector::from(Arc::new(config)).connect(name, tcp)).await;
    let stream = shaken.map_err(|_| {
        failed(OpenErrorKind::TimedOut, "The server did not answer the TLS handshake. If it speaks plain Redis, use redis:// instead of rediss://.")
    })?;
    let stream = stream.map_err(|e| failed(OpenErrorKind::Unreachable, tls_words(&e)))?;
    let version = match stream.get_ref().1.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "1.2",
        _ => "unknown version",
    };
    Ok((stream, version.to_owned()))
}

fn tls_config(profile: &RedisProfile) -> Result<ClientConfig, OpenError> {
    let mut roots = RootCertStore::empty();
    match &profile.ca_file {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|e| unreadable(path, &e.to_string()))?;
            }
        }
        // One unusable certificate in the system's store must not take TLS away.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| failed(OpenErrorKind::Unreachable, e.to_string()))?.with_root_certificates(roots);
    match (&profile.cert_file, &profile.key_file) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(cert), Some(key_path)) => {
            let key = PrivateKeyDer::from_pem_file(key_path).map_err(|e| match e {
                rustls::pki_types::pem::Error::NoItemsFound => unreadable(key_path, "it holds no unencrypted private key"),
                other => unreadable(key_path, &other.to_string()),
            })?;
            builder.with_client_auth_cert(certificates(cert)?, key).map_err(|e| {
                failed(OpenErrorKind::Unreachable, format!("The client certificate {cert} and the key {key_path} cannot be used together: {e}."))
            })
        }
        _ => Err(failed(OpenErrorKind::Unreachable, "A client certificate needs both its file and the file of its key.")),
    }
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let read = CertificateDer::pem_file_iter(path).map_err(|e| unreadable(path, &e.to_string()))?;
    read.collect::<Result<_, _>>().map_err(|e| unreadable(path, &e.to_string()))
}

fn unreadable(path: &str, why: &str) -> OpenError {
    failed(OpenErrorKind::Unreachable, format!("The file {path} cannot be read: {why}."))
}

fn tls_words(e: &std::io::Error) -> String {
    let text = e.to_string();
    if let Some(words) = refusal::client_certificate_words(&text) {
        words.to_owned()
    } else if text.contains("UnknownIssuer") || text.contains("BadSignature") {
        // A bad signature is what an authority of the same name with another key looks like: one that was made anew.
        "The server's certificate is signed by an authority that is not known here. Give its CA file.".to_owned()
    } else if text.contains("NotValidForName") || text.contains("not valid for name") {
        "The server's certificate is for another name. Connect by the name in the certificate.".to_owned()
    } else if text.contains("Expired") || text.contains("expired") {
        "The server's certificate has expired.".to_owned()
    } else if text.contains("corrupt") || text.contains("InvalidContentType") || text.contains("eof") {
        "The server does not speak TLS on this port. Use redis:// instead of rediss://, or the TLS port.".to_owned()
    } else {
        format!("The TLS handshake failed: {}.", redact(&text))
    }
}

/// Puts the protocol on a stream. Nothing is sent yet: signing in is a step of its own.
async fn drive<S>(stream: S, address: IpAddr, limit: Duration) -> Result<Opened, OpenError>
where
    S: Unpin + AsyncRead + AsyncWrite + Send + 'static,
{
    let plain = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP2).set_skip_set_lib_name();
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(limit));
    let (connection, driver) = MultiplexedConnection::new_with_config(&plain, stream, config)
        .await
        .map_err(|e| failed(OpenErrorKind::Unreachable, redact(&e.to_string())))?;
    Ok(Opened { connection, address, is_cluster: false, driver: tokio::spawn(driver) })
}

async fn sign_in(opened: &mut Opened, profile: &RedisProfile, password: Option<&Secret<String>>) -> Result<String, OpenError> {
    let user = if profile.user.is_empty() { "default" } else { profile.user.as_str() };
    let Some(password) = password else {
        return Ok(format!("{user}, without a password"));
    };
    let mut auth = redis::cmd("AUTH");
    if !profile.user.is_empty() {
        auth.arg(&profile.user);
    }
    auth.arg(password.expose());
    ask(opened, &auth).await.map_err(|refusal| match refusal {
        Refusal::WrongPassword => failed(OpenErrorKind::SignIn, format!("Redis refused the password of user {user}. Check user and password.")),
        // The default user without a password refuses AUTH; the address is then simply one with a password too many.
        Refusal::Other(text) if text.contains("without any password") => {
            failed(OpenErrorKind::SignIn, "This Redis has no password set for the default user. Leave the password empty.")
        }
        other => open_error(other),
    })?;
    Ok(user.to_owned())
}

/// PING, SELECT and our name on the connection.
async fn answers(opened: &mut Opened, profile: &RedisProfile) -> Result<(), OpenError> {
    match ask(opened, &redis::cmd("PING")).await {
        Ok(_) | Err(Refusal::NoPermission(_) | Refusal::UnknownCommand) => {}
        Err(refusal) => return Err(open_error(refusal)),
    }
    if profile.database != 0 {
        ask(opened, redis::cmd("SELECT").arg(profile.database)).await.map_err(|refusal| match refusal {
            Refusal::Other(_) => failed(OpenErrorKind::Unreachable, format!("This Redis has no database {}. Give a lower number.", profile.database)),
            other => open_error(other),
        })?;
    }
    // Only a label: where it is refused, our connection cannot be told apart in CLIENT LIST, and nothing else changes.
    match ask(opened, redis::cmd("CLIENT").arg("SETNAME").arg(CLIENT_NAME)).await {
        Err(refusal @ (Refusal::TimedOut | Refusal::Dropped)) => Err(open_error(refusal)),
        _ => Ok(()),
    }
}

/// With TLS 1.3 a server that refuses the client's certificate closes a connection that seemed to stand; its alert is mostly lost with it.
fn closed_after_tls(e: OpenError, profile: &RedisProfile) -> OpenError {
    if !profile.is_tls || e.words != Refusal::Dropped.words() {
        return e;
    }
    let why = match profile.cert_file {
        None => "It asks for a client certificate, most likely: give its file and its key's file.",
        Some(_) => "It does not accept the client certificate, most likely: it must be signed by an authority that the server trusts.",
    };
    failed(e.kind, format!("The server closed the connection right after the TLS handshake. {why}"))
}

async fn ask(opened: &mut Opened, command: &Cmd) -> Result<Value, Refusal> {
    let value = opened.connection.send_packed_command(command).await.map_err(|e| refusal_of_error(&e))?;
    refusal_of_value(&value).map_or(Ok(value), Err)
}

fn open_error(refusal: Refusal) -> OpenError {
    let kind = match refusal {
        Refusal::NoPermission(_) => OpenErrorKind::Denied,
        Refusal::WrongPassword | Refusal::NotSignedIn => OpenErrorKind::SignIn,
        Refusal::Loading => OpenErrorKind::Loading,
        Refusal::TimedOut => OpenErrorKind::TimedOut,
        Refusal::UnknownCommand | Refusal::Dropped | Refusal::Certificate(_) | Refusal::Other(_) => OpenErrorKind::Unreachable,
    };
    failed(kind, refusal.words())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grant_has_no_rule_newer_than_redis_6_0() {
        // Since 6.2: channels and `sanitize-payload`; since 7.0: selectors in brackets and key permissions after `%`.
        let newer = ["channels", "&", "payload", "(", "%"];
        assert!(!newer.iter().any(|rule| GRANTS.contains(rule)), "{GRANTS}");
    }
}
