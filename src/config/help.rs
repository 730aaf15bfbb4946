//! The help of `holdfast server`, written from the table.

use std::fmt::Write as _;

use super::flag::{Flag, State};
use super::table;

/// Every flag: those that are served with their meaning, the others by name with the reason.
pub fn usage(program: &str) -> String {
    let mut text = format!(
        "Start one member of a cluster.\n\nUsage: {program} [flags]\n\n\
         Flags are etcd's; each can be given as a variable instead, such as ETCD_DATA_DIR for\n\
         --data-dir, but not both. One dash or two, `--flag value` or `--flag=value`.\n"
    );
    for section in table::SECTIONS {
        let served: Vec<_> = flags_where(section.flags, |s| s == State::Served).collect();
        if !served.is_empty() {
            let _ = write!(text, "\n{}:\n", section.title);
        }
        for flag in served {
            let _ = writeln!(text, "  --{} '{}'", flag.name, flag.default);
            let _ = writeln!(text, "        {}", flag.help);
        }
    }
    text.push_str("\nAccepted without effect, with a line in the log:\n");
    list(&mut text, |state| matches!(state, State::Noted(_)));
    text.push_str("\nNot served; refused unless set to the default:\n");
    list(&mut text, |state| matches!(state, State::Refused(_)));
    text
}

fn list(text: &mut String, wanted: impl Fn(State) -> bool) {
    for section in table::SECTIONS {
        for flag in flags_where(section.flags, &wanted) {
            if let State::Noted(reason) | State::Refused(reason) = flag.state {
                let _ = writeln!(text, "  --{}: {reason}", flag.name);
            }
        }
    }
}

fn flags_where(
    flags: &'static [Flag],
    wanted: impl Fn(State) -> bool,
) -> impl Iterator<Item = &'static Flag> {
    flags.iter().filter(move |flag| wanted(flag.state))
}
