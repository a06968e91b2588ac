//! Why something is not known, and what every part of the evidence has for it.

use serde::{Deserialize, Serialize};

use super::Section;

/// Something read from a service, or why it could not be.
pub type Seen<T> = Result<T, Gap>;

/// Why something is not known. Never shown as a pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    pub section: Section,
    pub cause: Cause,
    /// One sentence for a reader: what happened. Holds no secret.
    pub detail: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Cause {
    NotConfigured,
    Unreachable,
    /// `grant` is the exact text to run or set.
    Denied {
        grant: String,
    },
    /// `remedy` is the exact text or step that would make it present.
    Absent {
        feature: String,
        remedy: String,
    },
    TooOld {
        have: String,
        need: String,
    },
    /// Counters have not run long enough.
    TooYoung {
        have_s: f64,
        need_s: f64,
    },
    /// Too few observations: `have` of `need` `what`.
    TooFew {
        have: u64,
        need: u64,
        what: String,
    },
    TimedOut {
        limit_ms: u32,
    },
    Unreadable,
    CheckPanicked,
}

impl Cause {
    /// The stable id in the JSON report.
    pub fn id(&self) -> &'static str {
        match self {
            Cause::NotConfigured => "not_configured",
            Cause::Unreachable => "unreachable",
            Cause::Denied { .. } => "denied",
            Cause::Absent { .. } => "absent",
            Cause::TooOld { .. } => "too_old",
            Cause::TooYoung { .. } | Cause::TooFew { .. } => "too_young",
            Cause::TimedOut { .. } => "timed_out",
            Cause::Unreadable => "unreadable",
            Cause::CheckPanicked => "check_panicked",
        }
    }

    /// What would close the gap, when something would.
    pub fn remedy(&self) -> Option<&str> {
        match self {
            Cause::Denied { grant } => Some(grant),
            Cause::Absent { remedy, .. } if !remedy.is_empty() => Some(remedy),
            _ => None,
        }
    }
}

impl Gap {
    pub fn new(section: Section, cause: Cause, detail: impl Into<String>) -> Self {
        Self { section, cause, detail: detail.into() }
    }

    pub fn not_configured(section: Section) -> Self {
        Self::new(section, Cause::NotConfigured, format!("{} is not set up for this store.", capital(section.name())))
    }
}

fn capital(s: &str) -> String {
    let mut chars = s.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

/// Gives a struct of `Seen` fields its accessors (`?` on them is the whole missing-evidence policy), `withhold` and `gaps`.
macro_rules! sections {
    ($owner:ty { $($field:ident : $ty:ty => $section:ident),+ $(,)? }) => {
        impl $owner {
            $(
                #[doc = concat!("The `", stringify!($section), "` section, or its gap.")]
                pub fn $field(&self) -> Result<&$ty, $crate::evidence::Gap> {
                    self.$field.as_ref().map_err(Clone::clone)
                }
            )+

            pub(crate) fn withhold(&mut self, section: $crate::evidence::Section, gap: &$crate::evidence::Gap) {
                match section {
                    $($crate::evidence::Section::$section => self.$field = Err(gap.clone()),)+
                    _ => {}
                }
            }

            /// The gaps of this part.
            pub fn gaps(&self) -> Vec<$crate::evidence::Gap> {
                let mut gaps = Vec::new();
                $(if let Err(gap) = &self.$field { gaps.push(gap.clone()); })+
                gaps
            }
        }
    };
}
pub(crate) use sections;
