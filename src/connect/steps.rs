//! What testing one connection told: the steps taken and what the account may see. Shared by all services.

/// How one step ended.
#[derive(Debug, Clone, PartialEq)]
pub enum StepState {
    Done,
    /// One sentence that says what to do; holds no secret.
    Failed(String),
    /// An earlier step failed.
    NotRun,
}

/// One step of a connection test: "Name resolved", "Signed in" …
#[derive(Debug, Clone, PartialEq)]
pub struct TestStep {
    pub name: String,
    /// What was found: "10.20.4.17", "1.3, issued by …". Empty when the step failed or was not run.
    pub detail: String,
    /// Milliseconds this step took; `None` when it was not run.
    pub ms: Option<f64>,
    pub state: StepState,
}

/// Whether the account may see something.
#[derive(Debug, Clone, PartialEq)]
pub enum CapabilityState {
    Granted,
    /// `grant` is the exact text to run or set.
    Missing {
        grant: String,
    },
    /// Never read, whatever the account may do.
    Never,
}

/// One thing an account may or may not see.
#[derive(Debug, Clone, PartialEq)]
pub struct Capability {
    pub name: String,
    pub detail: String,
    pub state: CapabilityState,
}

/// The whole test of one service.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TestReport {
    pub steps: Vec<TestStep>,
    /// Empty when signing in failed.
    pub capabilities: Vec<Capability>,
}

impl TestReport {
    /// Every step is done.
    pub fn is_connected(&self) -> bool {
        !self.steps.is_empty() && self.steps.iter().all(|s| s.state == StepState::Done)
    }

    /// Sum of the steps' times, milliseconds.
    pub fn total_ms(&self) -> f64 {
        self.steps.iter().filter_map(|s| s.ms).sum()
    }
}
