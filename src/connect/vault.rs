//! The operating system's keychain: Secret Service, Keychain or Credential Manager.
//!
//! A keychain may stop to ask for its password and may never answer: every call is made on a thread of its own and waited for no longer
//! than a named time, so that neither the window nor closing it waits with it.

#[cfg(any(target_os = "macos", windows))]
mod native;
#[cfg(all(unix, not(target_os = "macos")))]
mod secret_service;

use std::time::Duration;

#[cfg(any(target_os = "macos", windows))]
use self::native::Session;
#[cfg(all(unix, not(target_os = "macos")))]
use self::secret_service::Session;

use super::profile::{PostgresProfile, Profile, RedisProfile, Secrets};
use crate::secret::Secret;

/// Every entry is found by it; a store's account stands beside.
const SERVICE: &str = "medusa-advisor";
/// For finding out whether there is a keychain: nobody is asked for a password.
const OPENING_MAX: Duration = Duration::from_secs(5);
/// For reading and keeping: a locked keychain asks a person first.
const PROMPT_MAX: Duration = Duration::from_secs(60);

/// Why the keychain did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error("This system offers no keychain: no Secret Service is running.")]
    NoKeychain,
    #[error("The keychain is locked and was not unlocked.")]
    Locked,
    #[error("The keychain did not answer within {0} s. A window of its own may be waiting for a password.")]
    Silent(u64),
    #[error("The keychain refused: {0}.")]
    Refused(String),
}

/// Whether secrets can be kept here at all; a keychain that is locked counts.
pub async fn is_available() -> bool {
    within(OPENING_MAX, || Session::open().map(drop)).await.is_ok()
}

/// The secrets kept for a store; those that are not there are absent.
pub async fn read(profile: &Profile) -> Result<Secrets, VaultError> {
    let accounts = accounts(profile);
    let kept = within(PROMPT_MAX, move || {
        let session = Session::open()?;
        accounts.iter().map(|account| session.get(account)).collect::<Result<Vec<_>, _>>()
    });
    let mut kept = kept.await?.into_iter();
    let postgres_password = profile.postgres.as_ref().and_then(|_| kept.next().flatten());
    let nodes = profile.postgres.as_ref().map_or(0, |p| p.nodes.len());
    Ok(Secrets {
        postgres_password,
        node_passwords: kept.by_ref().take(nodes).collect(),
        redis_passwords: kept.by_ref().take(profile.redis.len()).collect(),
        sentinel_passwords: profile.redis.iter().map(|r| r.sentinel.as_ref().and_then(|_| kept.next().flatten())).collect(),
        cloudflare_token: profile.cloudflare.as_ref().and_then(|_| kept.next().flatten()),
    })
}

/// Keeps what was typed. Of the store as it was `before`, what was not typed anew stays, also at a changed address; what belongs to no
/// service any more is forgotten.
pub async fn keep(profile: &Profile, typed: &Secrets, before: Option<&Profile>) -> Result<(), VaultError> {
    let steps = steps(profile, typed, before);
    if steps.is_empty() {
        return Ok(());
    }
    within(PROMPT_MAX, move || {
        let session = Session::open()?;
        steps.iter().try_for_each(|step| match step {
            Step::Set(account, secret) => session.set(account, secret),
            Step::Move { from, to } => session.get(from)?.map_or(Ok(()), |secret| session.set(to, &secret)),
            Step::Forget(account) => session.forget(account),
        })
    })
    .await
}

/// Forgets a store's secrets; forgetting what is not there is no error.
pub async fn forget(profile: &Profile) -> Result<(), VaultError> {
    let accounts = accounts(profile);
    within(PROMPT_MAX, move || {
        let session = Session::open()?;
        accounts.iter().try_for_each(|account| session.forget(account))
    })
    .await
}

/// Runs `work` on a thread that nobody has to wait for. What it was asked for may still happen after its time is up.
async fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> Result<T, VaultError> + Send + 'static) -> Result<T, VaultError> {
    let (answer, heard) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("keychain".to_owned()).spawn(move || answer.send(work()).is_ok());
    thread.map_err(|e| VaultError::Refused(e.to_string()))?;
    match tokio::time::timeout(limit, heard).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(VaultError::Refused("it ended without an answer".to_owned())),
        Err(_) => Err(VaultError::Silent(limit.as_secs())),
    }
}

#[derive(Debug, PartialEq)]
enum Step {
    Set(String, Secret<String>),
    Move { from: String, to: String },
    Forget(String),
}

/// Nothing is forgotten before everything else is kept.
fn steps(profile: &Profile, typed: &Secrets, before: Option<&Profile>) -> Vec<Step> {
    let now = accounts(profile);
    let set: Vec<Step> = now.iter().zip(in_order(profile, typed)).filter_map(|(a, s)| Some(Step::Set(a.clone(), s?))).collect();
    let Some(before) = before else { return set };
    let was = accounts(before);
    let is_set = |account: &str| set.iter().any(|s| matches!(s, Step::Set(a, _) if a == account));
    let moved = moved(profile, before).into_iter().filter(|(from, to)| !now.contains(from) && !was.contains(to) && !is_set(to));
    let moves: Vec<Step> = moved.map(|(from, to)| Step::Move { from, to }).collect();
    let forget = was.into_iter().filter(|a| !now.contains(a)).map(Step::Forget);
    set.into_iter().chain(moves).chain(forget).collect()
}

/// Where an address may have been changed in its place: as many there as before, so each stands where it stood.
fn moved(profile: &Profile, before: &Profile) -> Vec<(String, String)> {
    fn pairs(was: Vec<String>, now: Vec<String>) -> Vec<(String, String)> {
        if was.len() == now.len() { was.into_iter().zip(now).collect() } else { Vec::new() }
    }
    let mut all = pairs(node_accounts(before), node_accounts(profile));
    all.extend(pairs(redis_accounts(before), redis_accounts(profile)));
    all.extend(pairs(sentinel_accounts(before), sentinel_accounts(profile)));
    all
}

fn in_order(profile: &Profile, secrets: &Secrets) -> Vec<Option<Secret<String>>> {
    fn padded(secrets: &[Option<Secret<String>>], to: usize) -> impl Iterator<Item = Option<Secret<String>>> {
        (0..to).map(|i| secrets.get(i).cloned().flatten())
    }
    let mut all = Vec::new();
    if let Some(postgres) = &profile.postgres {
        all.push(secrets.postgres_password.clone());
        all.extend(padded(&secrets.node_passwords, postgres.nodes.len()));
    }
    all.extend(padded(&secrets.redis_passwords, profile.redis.len()));
    let of_sentinels = padded(&secrets.sentinel_passwords, profile.redis.len()).zip(&profile.redis);
    all.extend(of_sentinels.filter(|(_, redis)| redis.sentinel.is_some()).map(|(secret, _)| secret));
    if profile.cloudflare.is_some() {
        all.push(secrets.cloudflare_token.clone());
    }
    all
}

/// The names of a store's secrets: `northwind-1/postgres`, `northwind-1/postgres-db2:5432`, `northwind-1/redis-cache:6379`,
/// `northwind-1/sentinels-shop@cache:26379`, `northwind-1/cloudflare`. By address, so that taking one out leaves the others their own.
fn accounts(profile: &Profile) -> Vec<String> {
    let mut all: Vec<String> = profile.postgres.iter().map(|_| format!("{}/postgres", profile.id)).collect();
    all.extend(node_accounts(profile));
    all.extend(redis_accounts(profile));
    all.extend(sentinel_accounts(profile));
    all.extend(profile.cloudflare.iter().map(|_| format!("{}/cloudflare", profile.id)));
    all
}

fn node_accounts(profile: &Profile) -> Vec<String> {
    let name = |node: &PostgresProfile| format!("{}/postgres-{}", profile.id, node.address());
    profile.postgres.iter().flat_map(|p| &p.nodes).map(name).collect()
}

/// A password is a user's of an instance, whichever of its databases is read.
fn redis_accounts(profile: &Profile) -> Vec<String> {
    let name = |r: &RedisProfile| match r.user.as_str() {
        "" => format!("{}/redis-{}:{}", profile.id, r.host, r.port),
        user => format!("{}/redis-{user}@{}:{}", profile.id, r.host, r.port),
    };
    profile.redis.iter().map(name).collect()
}

/// The Sentinels' own: of the master that they name, at the first of their addresses.
fn sentinel_accounts(profile: &Profile) -> Vec<String> {
    let name = |r: &RedisProfile| r.sentinel.as_ref().map(|s| format!("{}/sentinels-{}@{}:{}", profile.id, s.master, r.host, r.port));
    profile.redis.iter().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::profile::{Environment, KeepSecrets, Limits, parse_postgres, parse_redis};

    fn profile(postgres: Option<&str>, redis: &[&str]) -> Profile {
        Profile {
            id: "s".into(),
            name: "S".into(),
            environment: Environment::Staging,
            postgres: postgres.map(|url| parse_postgres(url).unwrap().0),
            redis: redis.iter().map(|url| parse_redis(url).unwrap().0).collect(),
            cloudflare: None,
            cloudfront: None,
            shop: None,
            keep_secrets: KeepSecrets::Keychain,
            limits: Limits::default(),
        }
    }

    fn secret(text: &str) -> Option<Secret<String>> {
        Some(Secret::new(text.to_owned()))
    }

    #[test]
    fn only_what_was_typed_is_kept() {
        let p = profile(Some("postgres://u@h/d"), &["redis://a", "redis://b:7000/2"]);
        let typed = Secrets { redis_passwords: vec![None, secret("typed")], ..Secrets::default() };
        assert_eq!(steps(&p, &typed, Some(&p)), [Step::Set("s/redis-b:7000".into(), Secret::new("typed".into()))]);
        assert_eq!(steps(&p, &Secrets::default(), None), []);
    }

    #[test]
    fn an_instance_taken_out_leaves_the_others_their_own() {
        let (before, now) = (profile(None, &["redis://a", "redis://b"]), profile(None, &["redis://b"]));
        assert_eq!(steps(&now, &Secrets::default(), Some(&before)), [Step::Forget("s/redis-a:6379".into())]);
    }

    #[test]
    fn a_changed_address_takes_its_password_along() {
        let (before, now) = (profile(None, &["redis://a", "redis://b"]), profile(None, &["redis://a", "redis://x@c/3"]));
        let moves = Step::Move { from: "s/redis-b:6379".into(), to: "s/redis-x@c:6379".into() };
        assert_eq!(steps(&now, &Secrets::default(), Some(&before)), [moves, Step::Forget("s/redis-b:6379".into())]);
        // Another database of the same instance has the same password; two that change places keep theirs.
        assert_eq!(steps(&profile(None, &["redis://a/5", "redis://b"]), &Secrets::default(), Some(&before)), []);
        assert_eq!(steps(&profile(None, &["redis://b", "redis://a"]), &Secrets::default(), Some(&before)), []);
    }

    #[test]
    fn sentinels_have_a_secret_of_their_own() {
        let p = profile(None, &["redis://a", "redis+sentinel://b/shop"]);
        let typed = Secrets { sentinel_passwords: vec![None, secret("theirs")], ..Secrets::default() };
        assert_eq!(steps(&p, &typed, None), [Step::Set("s/sentinels-shop@b:26379".into(), Secret::new("theirs".into()))]);
        let now = profile(None, &["redis://a", "redis+sentinel://c/shop"]);
        let moved = |kind: &str| Step::Move { from: format!("s/{kind}b:26379"), to: format!("s/{kind}c:26379") };
        let found = steps(&now, &Secrets::default(), Some(&p));
        assert!(found.contains(&moved("redis-")) && found.contains(&moved("sentinels-shop@")), "{found:?}");
    }

    #[test]
    fn a_service_that_is_gone_is_forgotten() {
        let (before, now) = (profile(Some("postgres://u@h/d"), &["redis://a"]), profile(None, &["redis://a"]));
        assert_eq!(steps(&now, &Secrets::default(), Some(&before)), [Step::Forget("s/postgres".into())]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_keychain_that_never_answers_is_not_waited_for() {
        let (_never, waits) = std::sync::mpsc::sync_channel::<()>(1);
        let asked = within(PROMPT_MAX, move || waits.recv().map_err(|_| VaultError::NoKeychain));
        assert_eq!(asked.await, Err(VaultError::Silent(60)));
    }
}
