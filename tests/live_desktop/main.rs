//! The live tests of what a desktop offers: keychain, folders, a user's own files.

#![cfg(target_os = "linux")]

#[path = "../common/stage.rs"]
mod stage;

mod files;
mod keychain;
