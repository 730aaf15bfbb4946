//! The text of an expression, and what is wrong with it.

use std::fmt::Write;

/// Longer lines are not shown with an error.
const MAX_SNIPPET: usize = 16_384;
/// More errors than this are only counted.
const MAX_ISSUES: usize = 100;

/// A text by characters, which is what places in it count.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) chars: Vec<char>,
    /// Where each line begins.
    lines: Vec<usize>,
}

/// Something that is wrong at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Characters from the start; None without a place.
    pub offset: Option<usize>,
    pub message: String,
}

impl Source {
    pub(super) fn new(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let starts = chars.iter().enumerate().filter(|(_, c)| **c == '\n');
        let lines = std::iter::once(0)
            .chain(starts.map(|(at, _)| at + 1))
            .collect();
        Self { chars, lines }
    }

    /// Line from 1, column from 0, and the line's start.
    fn locate(&self, offset: usize) -> (usize, usize, usize) {
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        (line, offset - start, start)
    }

    /// `ERROR: <input>:1:5: message` with the line and a mark under the place.
    fn shown(&self, issue: &Issue) -> String {
        let Some(offset) = issue.offset else {
            return format!("ERROR: <input>:-1:0: {}", issue.message);
        };
        let (line, column, start) = self.locate(offset);
        let mut shown = format!("ERROR: <input>:{line}:{}: {}", column + 1, issue.message);
        let end = self
            .lines
            .get(line)
            .map_or(self.chars.len(), |next| next - 1);
        let text = self.chars.get(start..end).unwrap_or_default();
        if self.chars.is_empty() || text.iter().map(|c| c.len_utf8()).sum::<usize>() > MAX_SNIPPET {
            return shown;
        }
        let text: Vec<char> = text
            .iter()
            .map(|c| if *c == '\t' { ' ' } else { *c })
            .collect();
        let _ = write!(shown, "\n | {}\n | ", text.iter().collect::<String>());
        let wide = |at: usize| text.get(at).is_some_and(|c| !c.is_ascii());
        for at in 0..column.min(text.len()) {
            shown.push(if wide(at) { '\u{ff0e}' } else { '.' });
        }
        shown.push(if wide(column) { '\u{ff3e}' } else { '^' });
        shown
    }

    /// All issues in the order of their places, a line break between them.
    pub(super) fn show(&self, issues: &[Issue]) -> String {
        let mut shown: Vec<&Issue> = issues.iter().take(MAX_ISSUES).collect();
        shown.sort_by_key(|issue| {
            issue.offset.map(|offset| {
                let (line, column, _) = self.locate(offset);
                (line, column)
            })
        });
        let mut text: Vec<String> = shown.iter().map(|issue| self.shown(issue)).collect();
        if issues.len() > MAX_ISSUES {
            let more = issues.len() - MAX_ISSUES;
            text.push(format!("{more} more errors were truncated"));
        }
        text.join("\n")
    }
}
