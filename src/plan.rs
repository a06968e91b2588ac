//! Outcomes to ranked steps.
