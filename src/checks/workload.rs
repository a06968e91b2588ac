//! Which counters count: the window where it saw enough, else since the last reset.
