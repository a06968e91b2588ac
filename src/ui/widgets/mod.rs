//! The components: one module a family. Everything takes ready-made words.

pub mod button;
pub mod card;
pub mod chart;
mod chart_hover;
pub mod chart_parts;
mod chart_plot;
pub mod choice;
pub mod code;
pub mod field;
pub mod gauge;
pub mod highlight;
pub mod marks;
pub mod overlay;
pub mod paint;
pub mod rows;
pub mod shell;
pub mod sql_lines;
pub mod state;
pub mod table;
pub mod toast;

pub use button::*;
pub use card::*;
pub use chart::*;
pub use chart_parts::*;
pub use choice::*;
pub use code::*;
pub use field::*;
pub use gauge::*;
pub use marks::*;
pub use overlay::*;
pub use rows::*;
pub use shell::*;
pub use sql_lines::*;
pub use state::*;
pub use table::*;
pub use toast::*;

#[cfg(test)]
mod tests;
