//! `medusa-advisor compare`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::{Ended, output};
use crate::connect::stores::write_whole;
use crate::history::{self, compare};
use crate::plan;

pub fn perform(before: &Path, after: &Path, out: &[PathBuf], fail_on_regression: bool) -> anyhow::Result<Ended> {
    for path in out {
        if !path.extension().is_some_and(|e| e == "md" || e == "json") {
            bail!("{}: a comparison is written as .md or .json", path.display());
        }
    }
    let (before, after) = (history::open(before)?, history::open(after)?);
    let (plan_before, plan_after) = (plan::build(&before, &[], |_| true), plan::build(&after, &[], |_| true));
    let comparison = compare::compare((&before, &plan_before), (&after, &plan_after));
    let text = compare::markdown(&comparison);
    output::print(&text);
    for path in out {
        let bytes =
            if path.extension().is_some_and(|e| e == "json") { compare::as_json(&comparison).into_bytes() } else { text.clone().into_bytes() };
        write_whole(path, &bytes).with_context(|| format!("{} could not be written", path.display()))?;
    }
    Ok(if fail_on_regression && comparison.has_regressed() { Ended::Found } else { Ended::Well })
}
