//! What to draw, never how.
