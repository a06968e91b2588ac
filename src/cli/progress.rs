//! Progress on standard error: a bar on a terminal, lines otherwise.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::collect::run::Note;

pub struct Progress {
    quiet: bool,
    bar: Option<ProgressBar>,
    window: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last_line: String,
}

impl Progress {
    pub fn new(quiet: bool, window: Duration) -> Arc<Self> {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(window.as_millis() as u64);
            let style = ProgressStyle::with_template("{spinner} {msg} {wide_bar} {elapsed}").unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style);
            bar.enable_steady_tick(Duration::from_millis(200));
            bar.set_message("Connecting");
            bar
        });
        Arc::new(Self { quiet, bar, window, state: Mutex::new(State::default()) })
    }

    pub fn hear(&self, note: &Note) {
        if self.quiet {
            return;
        }
        match note {
            Note::Reading { layer, what, .. } => {
                if let Some(bar) = &self.bar {
                    bar.set_message(format!("{}: {what}", layer.name()));
                }
            }
            Note::Activity { layer, text, is_gap } => self.line(&format!("{}{}: {text}", if *is_gap { "! " } else { "  " }, layer.name())),
            Note::WindowOpened => self.line(&format!("  Observing for {}", crate::text::seconds(self.window.as_secs_f64()))),
            Note::WindowClosed => self.line("  Reading again"),
            Note::Live { at_s, .. } => {
                if let Some(bar) = &self.bar {
                    bar.set_position((at_s * 1e3) as u64);
                    bar.set_message("Observing");
                }
            }
            Note::LayerDone { layer, failed: Some(why) } => self.line(&format!("! {}: {why}", layer.name())),
            Note::Cost { .. } | Note::LayerDone { .. } | Note::Finished => {}
        }
    }

    fn line(&self, text: &str) {
        let mut state = self.state.lock().expect("no holder of the state panics");
        if state.last_line == text {
            return;
        }
        text.clone_into(&mut state.last_line);
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
