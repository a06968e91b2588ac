//! The components: one module a family. Everything takes ready-made words.

pub mod button;
pub mod card;
pub mod choice;
pub mod code;
pub mod field;
pub mod highlight;
pub mod marks;
pub mod overlay;
pub mod paint;

pub use button::*;
pub use card::*;
pub use choice::*;
pub use code::*;
pub use field::*;
pub use marks::*;
pub use overlay::*;
