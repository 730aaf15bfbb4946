//! In which style go-yaml writes a string.

use super::resolve::is_plain_string;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

/// How the emitter writes a string, given what plain text would be taken for.
pub(super) fn style(text: &str, key: bool) -> Style {
    let seen = Analysis::of(text);
    if text.contains('\n') {
        return if seen.block && !key {
            Style::Literal
        } else {
            Style::Double
        };
    }
    if !is_plain_string(text) {
        return Style::Double;
    }
    match (seen.plain, seen.single) {
        (true, _) => Style::Plain,
        (false, true) => Style::Single,
        (false, false) => Style::Double,
    }
}

/// Which styles a text can have.
struct Analysis {
    plain: bool,
    single: bool,
    block: bool,
}

impl Analysis {
    fn of(text: &str) -> Self {
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let (mut breaks, mut special) = (false, false);
        let (mut break_space, mut space_break) = (false, false);
        let mut before: Option<char> = None;
        let mut rest = text.chars().peekable();
        while let Some(one) = rest.next() {
            let blank_follows = rest.peek().is_none_or(|next| matches!(next, ' ' | '\t'));
            let blank_before =
                before.is_none_or(|before| matches!(before, ' ' | '\t') || is_break(before));
            indicators |= match one {
                ':' => blank_follows,
                '#' => blank_before,
                '-' | '?' if before.is_none() => blank_follows,
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
                | '@' | '`' => before.is_none(),
                _ => false,
            };
            special |= !is_printable(one);
            break_space |= one == ' ' && before.is_some_and(is_break);
            space_break |= is_break(one) && before == Some(' ');
            breaks |= is_break(one);
            before = Some(one);
        }
        let edge = |one: Option<char>| one.is_some_and(|one| one == ' ' || is_break(one));
        let edges = edge(text.chars().next()) || edge(before);
        let spoilt = space_break || special;
        Self {
            plain: !(indicators || breaks || edges || break_space || spoilt),
            single: !(break_space || spoilt),
            block: !text.is_empty() && before != Some(' ') && !spoilt,
        }
    }
}

pub(super) fn is_break(one: char) -> bool {
    matches!(one, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What go-yaml leaves as it is: nothing beyond U+FFFF, no tab.
pub(super) fn is_printable(one: char) -> bool {
    matches!(one, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

pub(super) fn escape(one: char) -> String {
    let short = match one {
        '\0' => "\\0",
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\t' => "\\t",
        '\n' => "\\n",
        '\u{b}' => "\\v",
        '\u{c}' => "\\f",
        '\r' => "\\r",
        '\u{1b}' => "\\e",
        '"' => "\\\"",
        '\\' => "\\\\",
        '\u{85}' => "\\N",
        '\u{2028}' => "\\L",
        '\u{2029}' => "\\P",
        _ => "",
    };
    match u32::from(one) {
        _ if !short.is_empty() => short.into(),
        code @ 0..=0xff => format!("\\x{code:02X}"),
        code @ 0x100..=0xffff => format!("\\u{code:04X}"),
        code => format!("\\U{code:08X}"),
    }
}
