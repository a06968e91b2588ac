//! Reads statement texts: which tables and columns a statement filters, joins and sorts by.
