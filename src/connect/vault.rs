//! The operating system's keychain: Secret Service, Keychain or Credential Manager.

use super::profile::PostgresProfile;
use crate::secret::Secret;

const SERVICE: &str = "medusa-advisor";

/// Why the keychain did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error("This system offers no keychain (no Secret Service is running). Choose \"Ask each time\" or the environment.")]
    NoKeychain,
    #[error("The keychain refused: {0}. Unlock it, or choose \"Ask each time\".")]
    Refused(String),
}

/// Whether secrets can be kept here at all.
pub fn is_available() -> bool {
    keyring::Entry::store_status().is_ok()
}

/// Part of an account's name for one more Postgres node. By its address, so that taking a node out leaves the others their own.
pub fn node_part(node: &PostgresProfile) -> String {
    format!("postgres-{}", node.address())
}

/// Name of one store's secret: `northwind-1/postgres`, `northwind-1/postgres-db2:5432`, `northwind-1/redis-0`, `northwind-1/cloudflare`.
pub fn account(store: &str, part: &str) -> String {
    format!("{store}/{part}")
}

/// The secret kept under `account`; `None` when there is none.
pub fn get(account: &str) -> Result<Option<Secret<String>>, VaultError> {
    match entry(account)?.get_password() {
        Ok(text) => Ok(Some(Secret::new(text))),
        Err(keyring::Error::NoEntry) => Ok(None),
        Err(e) => Err(refused(&e)),
    }
}

/// Keeps or replaces a secret.
pub fn set(account: &str, secret: &Secret<String>) -> Result<(), VaultError> {
    entry(account)?.set_password(secret.expose()).map_err(|e| refused(&e))
}

/// Forgets a secret; forgetting one that is not there is no error.
pub fn delete(account: &str) -> Result<(), VaultError> {
    match entry(account)?.delete_credential() {
        Ok(()) | Err(keyring::Error::NoEntry) => Ok(()),
        Err(e) => Err(refused(&e)),
    }
}

fn entry(account: &str) -> Result<keyring::Entry, VaultError> {
    keyring::Entry::new(SERVICE, account).map_err(|e| refused(&e))
}

fn refused(e: &keyring::Error) -> VaultError {
    match e {
        keyring::Error::NoDefaultStore | keyring::Error::NoStorageAccess(_) => VaultError::NoKeychain,
        // The error's own text could carry the secret's bytes (BadEncoding): only its kind is told.
        keyring::Error::BadEncoding(_) => VaultError::Refused("the stored entry is not text".to_owned()),
        other => VaultError::Refused(crate::secret::redact(&other.to_string())),
    }
}
