//! `medusa-advisor checks`.

use std::fmt::Write;

use anyhow::bail;

use super::{Ended, output};
use crate::checks::{self, registry};
use crate::evidence::Layer;

pub fn print(id: Option<&str>) -> anyhow::Result<Ended> {
    match id {
        None => output::print(&list()),
        Some(id) => output::print(&one(id)?),
    }
    Ok(Ended::Well)
}

fn list() -> String {
    let mut out = String::new();
    for layer in Layer::ALL {
        let of_layer: Vec<_> = registry::ALL.iter().filter(|c| c.layer == layer).collect();
        if of_layer.is_empty() {
            continue;
        }
        let _ = writeln!(out, "{} ({})", layer.name(), of_layer.len());
        for check in of_layer {
            let _ = writeln!(out, "  {:<32} {}", check.id, check.title);
        }
    }
    out
}

fn one(id: &str) -> anyhow::Result<String> {
    let Some(check) = checks::find(id) else {
        let near: Vec<&str> = registry::ALL.iter().map(|c| c.id).filter(|c| c.contains(id)).collect();
        let hint = if near.is_empty() { "`medusa-advisor checks` lists them".to_owned() } else { format!("did you mean {}?", near.join(", ")) };
        bail!("no check named {id}: {hint}");
    };
    let mut out = format!("{}  {}\n\n{}\n\nHow it decides\n{}\n\nWhat to do\n{}\n", check.id, check.title, check.why, check.method, check.remedy);
    let needs: Vec<&str> = check.needs.iter().map(|s| s.name()).collect();
    if !needs.is_empty() {
        let _ = writeln!(out, "\nNeeds: {} of {}", needs.join(", "), check.layer.name());
    }
    for reference in check.references {
        let _ = writeln!(out, "Read: {reference}");
    }
    Ok(out)
}
