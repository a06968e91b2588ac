//! The Secret Service of Linux and its kin: GNOME Keyring, KWallet, KeePassXC.
//!
//! A session is opened anew each time: the service may have been started, or started again, since.

use std::collections::HashMap;

use secret_service::blocking::{Collection, Item, SecretService};
use secret_service::{EncryptionType, Error};
use zbus::DBusError;

use super::{SERVICE, VaultError};
use crate::secret::{Secret, redact};

/// Where no default keyring exists it is made under the name that libsecret's programs give it.
const NEW_KEYRING: &str = "Default keyring";
const CONTENT: &str = "text/plain";

pub struct Session(SecretService<'static>);

impl Session {
    pub fn open() -> Result<Self, VaultError> {
        SecretService::connect(EncryptionType::Dh).map(Self).map_err(|e| told(&e))
    }

    pub fn get(&self, account: &str) -> Result<Option<Secret<String>>, VaultError> {
        let Some(item) = self.items(account)?.into_iter().next() else { return Ok(None) };
        let bytes = item.get_secret().map_err(|e| told(&e))?;
        // The bytes are the secret: the error tells its kind only.
        String::from_utf8(bytes).map(|text| Some(Secret::new(text))).map_err(|_| VaultError::Refused("the stored entry is not text".to_owned()))
    }

    pub fn set(&self, account: &str, secret: &Secret<String>) -> Result<(), VaultError> {
        let bytes = secret.expose().as_bytes();
        if let Some(item) = self.items(account)?.into_iter().next() {
            return item.set_secret(bytes, CONTENT).map_err(|e| told(&e));
        }
        let keyring = self.keyring().map_err(|e| told(&e))?;
        let label = format!("Medusa Advisor: {account}");
        keyring.create_item(&label, attributes(account), bytes, true, CONTENT).map(drop).map_err(|e| told(&e))
    }

    pub fn forget(&self, account: &str) -> Result<(), VaultError> {
        self.items(account)?.iter().try_for_each(|item| item.delete()).map_err(|e| told(&e))
    }

    /// The entries of an account, unlocked.
    fn items(&self, account: &str) -> Result<Vec<Item<'_>>, VaultError> {
        let found = self.0.search_items(attributes(account)).map_err(|e| told(&e))?;
        let mut items = found.unlocked;
        for item in found.locked {
            item.unlock().map_err(|e| told(&e))?;
            items.push(item);
        }
        Ok(items)
    }

    fn keyring(&self) -> Result<Collection<'_>, Error> {
        let keyring = match self.0.get_default_collection() {
            Err(Error::NoResult) => self.0.create_collection(NEW_KEYRING, "default")?,
            other => other?,
        };
        if keyring.is_locked()? {
            keyring.unlock()?;
        }
        Ok(keyring)
    }
}

fn attributes(account: &str) -> HashMap<&str, &str> {
    HashMap::from([("service", SERVICE), ("username", account)])
}

fn told(e: &Error) -> VaultError {
    match e {
        Error::Unavailable => VaultError::NoKeychain,
        Error::Locked | Error::Prompt | Error::PromptDisconnected => VaultError::Locked,
        Error::Zbus(e) => told_by_bus(e),
        Error::ZbusFdo(e) => told_by_name(e.name().as_str(), e),
        other => VaultError::Refused(redact(&other.to_string())),
    }
}

fn told_by_bus(e: &zbus::Error) -> VaultError {
    use zbus::Error as Bus;
    match e {
        Bus::MethodError(name, ..) => told_by_name(name.as_str(), e),
        Bus::FDO(inner) => told_by_name(inner.name().as_str(), inner.as_ref()),
        Bus::Address(_) | Bus::Connection(..) | Bus::InputOutput(_) | Bus::Handshake(_) | Bus::Unsupported => VaultError::NoKeychain,
        other => VaultError::Refused(redact(&other.to_string())),
    }
}

/// A service that is not there, or that the bus could not start; the Secret Service's own name for "locked"; anything else as it was told.
fn told_by_name(name: &str, e: &dyn std::fmt::Display) -> VaultError {
    match name.strip_prefix("org.freedesktop.").unwrap_or(name) {
        "DBus.Error.ServiceUnknown" | "DBus.Error.NameHasNoOwner" => VaultError::NoKeychain,
        spawn if spawn.starts_with("DBus.Error.Spawn") => VaultError::NoKeychain,
        "Secret.Error.IsLocked" => VaultError::Locked,
        _ => VaultError::Refused(redact(&e.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_that_knows_no_keychain_is_told_from_one_that_refuses() {
        let of = |name: &str| told_by_name(name, &"as told");
        assert_eq!(of("org.freedesktop.DBus.Error.ServiceUnknown"), VaultError::NoKeychain);
        assert_eq!(of("org.freedesktop.DBus.Error.Spawn.ChildExited"), VaultError::NoKeychain);
        assert_eq!(of("org.freedesktop.Secret.Error.IsLocked"), VaultError::Locked);
        assert_eq!(of("org.freedesktop.Secret.Error.NoSuchObject"), VaultError::Refused("as told".into()));
        assert_eq!(told(&Error::Prompt), VaultError::Locked);
        assert_eq!(told(&Error::Zbus(zbus::Error::Address("x".into()))), VaultError::NoKeychain);
    }
}
