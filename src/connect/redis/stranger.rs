//! A second look from outside: what a server does with somebody who gives neither password nor certificate.

use std::time::Duration;

use super::{OpenErrorKind, Refusal, ask, connect, drive, encrypt, resolve};
use crate::connect::profile::RedisProfile;

/// Connects once without password and client certificate and asks how many keys there are. PING alone would prove little: health checks are
/// often allowed to send it. `None` where neither an answer nor a refusal came.
pub async fn lets_anybody_in(profile: &RedisProfile, limit: Duration) -> Option<bool> {
    let bare = RedisProfile { user: String::new(), cert_file: None, key_file: None, ..profile.clone() };
    // A server that asks for a certificate ends the handshake; with TLS 1.3, the connection right after it.
    let cut_off = profile.cert_file.is_some().then_some(false);
    let addresses = resolve(&bare, limit).await.ok()?;
    let (tcp, address) = connect(&bare, &addresses, limit).await.ok()?;
    let mut opened = if bare.is_tls {
        match encrypt(&bare, tcp, limit).await {
            Ok((stream, _)) => drive(stream, address.ip(), limit).await.ok()?,
            Err(e) => return cut_off.filter(|_| e.kind != OpenErrorKind::TimedOut),
        }
    } else {
        drive(tcp, address.ip(), limit).await.ok()?
    };
    match ask(&mut opened, &redis::cmd("DBSIZE")).await {
        Ok(_) => Some(true),
        Err(Refusal::NotSignedIn | Refusal::NoPermission(_)) => Some(false),
        Err(Refusal::Certificate(_) | Refusal::Dropped) => cut_off,
        // Protected mode: only the server's own machine is let in without a password.
        Err(Refusal::Other(words)) if words.starts_with("DENIED") => Some(false),
        // A command that is switched off is refused before anybody is asked for a password.
        Err(_) => None,
    }
}
