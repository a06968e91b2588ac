//! Keychain on macOS, Credential Manager on Windows.

use super::{SERVICE, VaultError};
use crate::secret::{Secret, redact};

pub struct Session(());

impl Session {
    pub fn open() -> Result<Self, VaultError> {
        keyring::Entry::store_status().as_ref().map(|()| Self(())).map_err(told)
    }

    pub fn get(&self, account: &str) -> Result<Option<Secret<String>>, VaultError> {
        match entry(account)?.get_password() {
            Ok(text) => Ok(Some(Secret::new(text))),
            Err(keyring::Error::NoEntry) => Ok(None),
            Err(e) => Err(told(&e)),
        }
    }

    pub fn set(&self, account: &str, secret: &Secret<String>) -> Result<(), VaultError> {
        entry(account)?.set_password(secret.expose()).map_err(|e| told(&e))
    }

    pub fn forget(&self, account: &str) -> Result<(), VaultError> {
        match entry(account)?.delete_credential() {
            Ok(()) | Err(keyring::Error::NoEntry) => Ok(()),
            Err(e) => Err(told(&e)),
        }
    }
}

fn entry(account: &str) -> Result<keyring::Entry, VaultError> {
    keyring::Entry::new(SERVICE, account).map_err(|e| told(&e))
}

fn told(e: &keyring::Error) -> VaultError {
    match e {
        keyring::Error::NoDefaultStore => VaultError::NoKeychain,
        keyring::Error::NoStorageAccess(_) => VaultError::Locked,
        // The error's own text could carry the secret's bytes (BadEncoding): only its kind is told.
        keyring::Error::BadEncoding(_) => VaultError::Refused("the stored entry is not text".to_owned()),
        other => VaultError::Refused(redact(&other.to_string())),
    }
}
