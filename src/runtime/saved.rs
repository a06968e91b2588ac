//! Saved stores and their secrets: listing, saving, deleting.

use std::future::poll_fn;
use std::path::PathBuf;
use std::pin::pin;
use std::task::Poll;

use tokio::sync::OwnedMutexGuard;

use super::Shared;
use crate::app::{DEMO, Event, StoreEntry};
use crate::audit;
use crate::connect::profile::{KeepSecrets, Profile, Secrets};
use crate::connect::{stores, vault};
use crate::demo;
use crate::history::{self, Entry, Summary};
use crate::plan;
use crate::secret::Secret;

pub fn load(shared: &Shared) {
    shared.send(Event::Stores(listed(shared)));
}

fn listed(shared: &Shared) -> Result<Vec<StoreEntry>, String> {
    let mut entries = Vec::new();
    if let Some(places) = &shared.places {
        let listing = stores::list(places).map_err(|e| format!("The saved stores could not be read: {e}."))?;
        for problem in listing.unreadable {
            shared.problem(format!("A saved store could not be read and was left out. {problem}"));
        }
        for profile in listing.profiles {
            let audits = history::list(&places.audits(&profile.id)).unwrap_or_else(|e| {
                shared.problem(format!("The audits of {} could not be listed: {e}.", profile.name));
                Vec::new()
            });
            entries.push(StoreEntry { profile, audits });
        }
    }
    entries.push(demo_entry());
    Ok(entries)
}

fn demo_entry() -> StoreEntry {
    let snapshot = demo::snapshot();
    let plan = plan::build(&snapshot, &[], |_| true);
    let summary = Summary::of(&snapshot, &plan);
    StoreEntry { profile: demo::profile(DEMO), audits: vec![Entry { path: PathBuf::new(), summary }] }
}

/// The store as it is saved now.
fn stored(shared: &Shared, id: &str) -> Option<Profile> {
    stores::list(shared.places.as_ref()?).ok()?.profiles.into_iter().find(|p| p.id == id)
}

/// Saves the store at once; the keychain, which may ask for its password first, gets its secrets after that. `turn` keeps those who read
/// them waiting.
pub async fn save(shared: &Shared, profile: Profile, typed: Secrets, turn: Option<OwnedMutexGuard<()>>) {
    let before = stored(shared, &profile.id);
    // In the queue before anybody hears that the store is saved: who then asks for its secrets stands behind.
    let mut queue = pin!(shared.keychain.clone().lock_owned());
    let turn = match turn {
        Some(turn) => Poll::Ready(turn),
        None => poll_fn(|cx| Poll::Ready(queue.as_mut().poll(cx))).await,
    };
    if !write(shared, &profile) {
        return;
    }
    let _turn = match turn {
        Poll::Ready(turn) => turn,
        Poll::Pending => queue.await,
    };
    let was_kept = before.as_ref().is_some_and(|b| b.keep_secrets == KeepSecrets::Keychain);
    match (profile.keep_secrets, before) {
        (KeepSecrets::Keychain, before) => {
            if let Err(e) = vault::keep(&profile, &typed, before.as_ref()).await {
                ask_instead(shared, profile, &e);
            }
        }
        (_, Some(before)) if was_kept => {
            if let Err(e) = vault::forget(&before).await {
                shared.problem(left_behind(&format!("{} is saved", profile.name), &e));
            }
        }
        _ => {}
    }
}

/// Says whether the file is written.
fn write(shared: &Shared, profile: &Profile) -> bool {
    let problem = put(shared, profile).err();
    let is_saved = problem.is_none();
    shared.send(Event::StoreSaved { id: profile.id.clone(), problem });
    is_saved
}

fn put(shared: &Shared, profile: &Profile) -> Result<(), String> {
    let saved = shared.places().and_then(|places| stores::save(places, profile).map_err(|e| e.to_string()));
    saved.map_err(|e| format!("{} could not be saved: {e}", profile.name))
}

/// A store whose secrets could not be kept asks for them: it must not look as if they were.
fn ask_instead(shared: &Shared, profile: Profile, e: &vault::VaultError) {
    let asking = Profile { keep_secrets: KeepSecrets::AskEachTime, ..profile };
    let name = &asking.name;
    match put(shared, &asking) {
        Ok(()) => shared.problem(format!(
            "{name} is saved, but its secrets are not. {e} They are asked for when an audit starts, until you choose the keychain again."
        )),
        Err(problem) => shared.problem(format!("The secrets of {name} are not kept. {e} {problem}")),
    }
    load(shared);
}

fn left_behind(done: &str, e: &vault::VaultError) -> String {
    format!("{done}, but its secrets may still lie in the keychain. {e} Entries named medusa-advisor can be deleted there.")
}

/// The copy's secrets are the original's; a keychain that refuses leaves the copy without, and says so.
pub async fn duplicate(shared: &Shared, from: &str, profile: Profile) {
    if !write(shared, &profile) || profile.keep_secrets != KeepSecrets::Keychain {
        return;
    }
    let _turn = shared.keychain.clone().lock_owned().await;
    let original = Profile { id: from.to_owned(), ..profile.clone() };
    let copied = async {
        let secrets = vault::read(&original).await?;
        vault::keep(&profile, &secrets, None).await
    };
    if let Err(e) = copied.await {
        ask_instead(shared, profile, &e);
    }
}

pub async fn delete(shared: &Shared, id: &str) {
    let profile = stored(shared, id);
    let deleted = shared.places().and_then(|places| stores::delete(places, id).map_err(|e| e.to_string()));
    if let Err(e) = deleted {
        return shared.problem(format!("The store could not be deleted: {e}"));
    }
    let name = profile.as_ref().map_or_else(|| id.to_owned(), |p| p.name.clone());
    shared.send(Event::StoreDeleted { name: name.clone() });
    let Some(profile) = profile else { return };
    let _turn = shared.keychain.clone().lock_owned().await;
    match vault::forget(&profile).await {
        // A store that asks may have kept its secrets once; without a keychain there is nothing to forget.
        Err(e) if profile.keep_secrets == KeepSecrets::Keychain => shared.problem(left_behind(&format!("{name} is deleted"), &e)),
        _ => {}
    }
}

/// What was typed, and for the rest what is kept where the store says.
pub async fn secrets(shared: &Shared, profile: &Profile, typed: Option<Secrets>) -> Result<Secrets, String> {
    let kept = match profile.keep_secrets {
        KeepSecrets::AskEachTime => Secrets::default(),
        KeepSecrets::Environment => audit::secrets_of_environment(profile),
        KeepSecrets::Keychain => {
            // A store that is being saved is saved first.
            let _turn = shared.keychain.clone().lock_owned().await;
            vault::read(profile).await.map_err(|e| e.to_string())?
        }
    };
    Ok(typed.map_or_else(|| kept.clone(), |typed| merged(&typed, &kept)))
}

fn merged(typed: &Secrets, kept: &Secrets) -> Secrets {
    let each = |typed: &[Option<Secret<String>>], kept: &[Option<Secret<String>>]| {
        let at = |of: &[Option<Secret<String>>], i: usize| of.get(i).cloned().flatten();
        (0..typed.len().max(kept.len())).map(|i| at(typed, i).or_else(|| at(kept, i))).collect()
    };
    Secrets {
        postgres_password: typed.postgres_password.clone().or_else(|| kept.postgres_password.clone()),
        node_passwords: each(&typed.node_passwords, &kept.node_passwords),
        redis_passwords: each(&typed.redis_passwords, &kept.redis_passwords),
        sentinel_passwords: each(&typed.sentinel_passwords, &kept.sentinel_passwords),
        cloudflare_token: typed.cloudflare_token.clone().or_else(|| kept.cloudflare_token.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_wins_over_what_is_kept() {
        let secret = |s: &str| Some(Secret::new(s.to_owned()));
        let typed = Secrets { postgres_password: secret("new"), redis_passwords: vec![None, secret("typed")], ..Secrets::default() };
        let kept = Secrets {
            postgres_password: secret("old"),
            redis_passwords: vec![secret("kept")],
            cloudflare_token: secret("token"),
            ..Secrets::default()
        };
        let m = merged(&typed, &kept);
        let text = |s: &Option<Secret<String>>| s.as_ref().map(|s| s.expose().clone());
        assert_eq!(text(&m.postgres_password).as_deref(), Some("new"));
        assert_eq!(m.redis_passwords.iter().map(text).collect::<Vec<_>>(), [Some("kept".to_owned()), Some("typed".to_owned())]);
        assert_eq!(text(&m.cloudflare_token).as_deref(), Some("token"));
    }
}
