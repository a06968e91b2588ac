//! One handshake a host: version, protocol, who issued the certificate and whether that is trusted.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use super::tls_old;
use super::trust;
use crate::connect::http::HostGuard;
use crate::evidence::storefront::Tls;

/// Whom to greet, and where.
#[derive(Debug, Clone, Copy)]
pub struct Server<'a> {
    pub name: &'a str,
    pub port: u16,
    /// Where the user says it is; `None`: where DNS says.
    pub at: Option<IpAddr>,
}

impl Server<'_> {
    pub async fn connect(&self) -> io::Result<TcpStream> {
        match self.at {
            Some(address) => TcpStream::connect((address, self.port)).await,
            None => TcpStream::connect((self.name, self.port)).await,
        }
    }
}

/// # Errors
/// A sentence when there was no handshake.
pub async fn handshake(url: &Url, guard: &HostGuard, timeout: Duration) -> Result<Tls, String> {
    let host = url.host_str().ok_or("The address names no host.")?.trim_matches(['[', ']']);
    let server = Server { name: host, port: url.port_or_known_default().unwrap_or(443), at: guard.address_of(host) };
    let tcp = tokio::time::timeout(timeout, server.connect()).await.map_err(|_| format!("{host} was not reached within {} s.", timeout.as_secs()))?;
    let tcp = tcp.map_err(|e| format!("{host}:{} could not be reached: {e}.", server.port))?;
    let attempt = tokio::time::timeout(timeout, greet(host, tcp)).await;
    let tls = attempt.unwrap_or_else(|_| Err(format!("{host} completed no TLS handshake within {} s.", timeout.as_secs())));
    let old_versions = tls_old::accepted(server, timeout).await;
    match (tls, old_versions.as_ref().and_then(|v| v.first().cloned())) {
        (Ok(tls), _) => Ok(Tls { old_versions, ..tls }),
        // A server of that age has nothing newer to agree to.
        (Err(_), Some(version)) => {
            Ok(Tls { host: host.to_owned(), version, alpn: None, issuer: None, handshake_ms: 0.0, old_versions, distrust: None })
        }
        (Err(sentence), None) => Err(sentence),
    }
}

async fn greet(host: &str, tcp: TcpStream) -> Result<Tls, String> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("{host} is no name for a certificate."))?;
    let (config, verdict) = trust::noting_config()?;
    let start = Instant::now();
    let stream = TlsConnector::from(config).connect(name, tcp).await;
    let stream = stream.map_err(|e| format!("The TLS handshake with {host} failed: {e}."))?;
    let handshake_ms = start.elapsed().as_secs_f64() * 1e3;
    let session = stream.get_ref().1;
    Ok(Tls {
        host: host.to_owned(),
        version: match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3".to_owned(),
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2".to_owned(),
            other => format!("{other:?}"),
        },
        alpn: session.alpn_protocol().map(|p| String::from_utf8_lossy(p).into_owned()),
        issuer: session.peer_certificates().and_then(<[_]>::first).and_then(|c| issuer(c)),
        handshake_ms,
        old_versions: None,
        distrust: verdict.distrust(),
    })
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_ID: u8 = 0x06;
/// id-at-organizationName and id-at-commonName.
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// The issuer's organisation, else its common name, from a DER certificate (RFC 5280, section 4.1).
fn issuer(certificate: &[u8]) -> Option<String> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut fields, _) = element(certificate)?;
    let (tag, _, rest) = element(fields)?;
    // The version is optional and carries an explicit tag of its own.
    if tag == 0xa0 {
        fields = rest;
    }
    let (_, _serial, rest) = element(fields)?;
    let (_, _algorithm, rest) = element(rest)?;
    let (tag, names, _) = element(rest)?;
    if tag != SEQUENCE {
        return None;
    }
    attribute(names, ORGANIZATION).or_else(|| attribute(names, COMMON_NAME))
}

fn attribute(mut names: &[u8], wanted: &[u8]) -> Option<String> {
    while let Some((tag, set, rest)) = element(names) {
        names = rest;
        let pair = element(set).filter(|(t, ..)| tag == SET && *t == SEQUENCE).map(|(_, pair, _)| pair);
        let Some((OBJECT_ID, id, value)) = pair.and_then(element) else { continue };
        if id == wanted {
            return element(value).map(|(_, text, _)| String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).take(100).collect());
        }
    }
    None
}

/// Tag, content and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let digits = usize::from(first & 0x7f);
        if digits == 0 || digits > 4 {
            return None;
        }
        let (digits, rest) = rest.split_at_checked(digits)?;
        (digits.iter().fold(0usize, |n, d| (n << 8) | usize::from(*d)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let mut out = vec![tag, u8::try_from(content.len()).unwrap()];
        out.extend(content);
        out
    }

    #[test]
    fn the_issuer_is_read_and_garbage_survived() {
        let name = |id: &[u8], text: &str| der(SET, &[&der(SEQUENCE, &[&der(OBJECT_ID, &[id]), &der(0x0c, &[text.as_bytes()])])]);
        let names = der(SEQUENCE, &[&name(COMMON_NAME, "R3"), &name(ORGANIZATION, "Example CA")]);
        let tbs = der(SEQUENCE, &[&der(0xa0, &[&[2, 1, 2]]), &der(2, &[&[1]]), &der(SEQUENCE, &[]), &names]);
        let certificate = der(SEQUENCE, &[&tbs]);
        assert_eq!(issuer(&certificate).as_deref(), Some("Example CA"));
        for cut in 0..certificate.len() {
            let _ = issuer(&certificate[..cut]);
        }
        assert_eq!(issuer(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
