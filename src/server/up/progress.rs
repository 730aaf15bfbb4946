//! What `holdfast up` shows while it waits.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::server::terminal::{complain, is_watched};

/// Between frames of the spinner.
const FRAME: Duration = Duration::from_millis(120);

/// A spinner on a terminal, nothing elsewhere.
pub(super) struct Progress {
    bar: ProgressBar,
    members: usize,
}

impl Progress {
    /// Begins to show that `members` members are starting.
    pub(super) fn start(members: usize) -> Self {
        let bar = if is_watched() {
            ProgressBar::new_spinner()
        } else {
            complain(format_args!("Starting {members} members..."));
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(FRAME);
        Self { bar, members }
    }

    /// Shows who is still awaited.
    pub(super) fn show<'a>(&self, waiting: impl Iterator<Item = &'a str>) {
        let waiting: Vec<_> = waiting.collect();
        self.bar.set_message(format!(
            "{} of {} members serve; waiting for {}",
            self.members - waiting.len(),
            self.members,
            waiting.join(", ")
        ));
    }

    /// Clears what was shown.
    pub(super) fn finish(self) {
        self.bar.finish_and_clear();
    }
}
