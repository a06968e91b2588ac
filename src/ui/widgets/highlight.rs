//! Code in the theme's colours.

use egui::Color32;
use egui::text::LayoutJob;

use super::paint;
use crate::text::highlight::{Language, Token, tokens};
use crate::ui::fonts::Type;
use crate::ui::theme::Theme;

/// `text` in mono with its colours; never wrapped.
pub fn highlight(text: &str, language: Language, theme: &Theme) -> LayoutJob {
    let mut job = LayoutJob { break_on_newline: true, ..LayoutJob::default() };
    job.wrap.max_width = f32::INFINITY;
    for (token, piece) in tokens(text, language) {
        job.append(piece, 0.0, paint::format(Type::Mono, color(theme, token)));
    }
    job
}

fn color(theme: &Theme, token: Token) -> Color32 {
    match token {
        Token::Keyword => theme.code_keyword,
        Token::String => theme.code_string,
        Token::Name => theme.code_name,
        Token::Comment => theme.code_comment,
        Token::Other => theme.text,
    }
}
