//! What testing a connection showed, step by step: plain data for the Connect page.

/// How a step of a connection test ended.
#[derive(Debug, Clone, PartialEq)]
pub enum StepState {
    Done,
    /// With a sentence: what happened, what to do.
    Failed(String),
    /// An earlier step failed.
    NotRun,
}

/// One step: "Name resolved", "10.20.4.17", 2 ms.
#[derive(Debug, Clone, PartialEq)]
pub struct TestStep {
    pub name: String,
    pub detail: String,
    pub ms: Option<f64>,
    pub state: StepState,
}

/// Whether the role or token may see something.
#[derive(Debug, Clone, PartialEq)]
pub enum CapabilityState {
    Granted,
    /// `grant` is the exact text that unlocks it.
    Missing {
        grant: String,
    },
    /// Never read, by design: rows of the store's tables.
    Never,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Capability {
    pub name: String,
    pub detail: String,
    pub state: CapabilityState,
}

/// A finished test.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TestReport {
    pub steps: Vec<TestStep>,
    pub capabilities: Vec<Capability>,
}

impl TestReport {
    /// Every step was done.
    pub fn is_connected(&self) -> bool {
        !self.steps.is_empty() && self.steps.iter().all(|s| s.state == StepState::Done)
    }

    /// Milliseconds of all steps.
    pub fn total_ms(&self) -> f64 {
        self.steps.iter().filter_map(|s| s.ms).sum()
    }
}
