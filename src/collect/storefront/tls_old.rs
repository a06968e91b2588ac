//! Whether a host still agrees to TLS 1.0 or 1.1, which the TLS library rightly cannot speak: one greeting each, closed after the answer.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::tls::Server;

/// Wire numbers (RFC 4346, appendix A.1) and names, newest first.
const VERSIONS: [(u8, &str); 2] = [(2, "TLSv1.1"), (1, "TLSv1.0")];
const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;
const SERVER_HELLO: u8 = 2;
/// Cipher suites that every server of that age has: ECDHE and RSA with AES or 3DES (RFC 4492, 3268, 2246).
const SUITES: [[u8; 2]; 8] = [[0xc0, 0x09], [0xc0, 0x0a], [0xc0, 0x13], [0xc0, 0x14], [0x00, 0x2f], [0x00, 0x35], [0x00, 0x0a], [0x00, 0xff]];

/// The old versions that the host agrees to; `None` when none of the greetings was answered.
pub async fn accepted(server: Server<'_>, timeout: Duration) -> Option<Vec<String>> {
    let mut told = None;
    for (number, name) in VERSIONS {
        let answer = tokio::time::timeout(timeout, greet(server, number)).await.ok().flatten();
        if let Some(agrees) = answer {
            told.get_or_insert_with(Vec::new).extend(agrees.then(|| name.to_owned()));
        }
    }
    told
}

/// `Some(true)`: the server answered with this version; `Some(false)`: it refused or closed; `None`: it could not be reached.
async fn greet(server: Server<'_>, number: u8) -> Option<bool> {
    let mut stream = server.connect().await.ok()?;
    stream.write_all(&client_hello(server.name, number)).await.ok()?;
    // Record header (5 bytes), handshake header (4), the server's version (2).
    let mut head = [0u8; 11];
    match stream.read_exact(&mut head).await {
        Ok(_) => Some(head[0] == HANDSHAKE && head[5] == SERVER_HELLO && head[9..11] == [3, number]),
        // An alert is 7 bytes; some servers close without a word.
        Err(_) => Some(false).filter(|_| head[0] == ALERT || head[0] == 0),
    }
}

/// RFC 4346, section 7.4.1.2, with the server's name (RFC 6066) and the curves (RFC 4492).
fn client_hello(host: &str, number: u8) -> Vec<u8> {
    let mut extensions = Vec::new();
    // Addresses are no server names.
    if host.parse::<std::net::IpAddr>().is_err() {
        let name = [&[0u8][..], &long(host.len())[..], host.as_bytes()].concat();
        extension(&mut extensions, 0, &[&long(name.len())[..], &name].concat());
    }
    extension(&mut extensions, 10, &[0, 6, 0, 23, 0, 24, 0, 29]);
    extension(&mut extensions, 11, &[1, 0]);
    let mut body = vec![3, number];
    // Not secret: the connection ends before any key is made of it.
    body.extend([0x5a; 32]);
    body.push(0);
    body.extend(long(SUITES.len() * 2));
    body.extend(SUITES.concat());
    body.extend([1, 0]);
    body.extend(long(extensions.len()));
    body.extend(extensions);
    let [high, low] = long(body.len());
    let hello = [&[1, 0, high, low][..], &body].concat();
    [&[HANDSHAKE, 3, 1][..], &long(hello.len())[..], &hello].concat()
}

fn extension(into: &mut Vec<u8>, kind: usize, content: &[u8]) {
    into.extend(long(kind));
    into.extend(long(content.len()));
    into.extend(content);
}

/// Two bytes, the high one first; host names and lists are far below 65,536.
fn long(n: usize) -> [u8; 2] {
    u16::try_from(n).unwrap_or(u16::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_says_how_long_it_is() {
        let hello = client_hello("shop.example.com", 2);
        assert_eq!(hello.len(), 5 + usize::from(u16::from_be_bytes([hello[3], hello[4]])));
        assert_eq!(hello.len(), 9 + usize::from(u16::from_be_bytes([hello[7], hello[8]])));
        assert_eq!(hello[9..11], [3, 2]);
        assert!(hello.windows(16).any(|w| w == b"shop.example.com"));
        assert!(!client_hello("127.0.0.1", 1).windows(9).any(|w| w == b"127.0.0.1"));
    }
}
