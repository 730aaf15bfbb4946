//! How Go prints strings in quotes and floats.

/// `strconv.Quote` without the quotes: what cannot be printed is escaped.
pub(super) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '"' => shown.push_str("\\\""),
            '\\' => shown.push_str("\\\\"),
            '\u{7}' => shown.push_str("\\a"),
            '\u{8}' => shown.push_str("\\b"),
            '\u{c}' => shown.push_str("\\f"),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            '\u{b}' => shown.push_str("\\v"),
            ' '..='~' => shown.push(one),
            '\0'..='\x1f' | '\x7f' => shown.push_str(&format!("\\x{:02x}", u32::from(one))),
            // Rust escapes what Unicode says cannot be printed, as Go does.
            other if other.escape_debug().len() == 1 => shown.push(other),
            other if u32::from(other) > 0xffff => {
                shown.push_str(&format!("\\U{:08x}", u32::from(other)));
            }
            other => shown.push_str(&format!("\\u{:04x}", u32::from(other))),
        }
    }
    shown
}

/// `strconv.Quote`.
pub(crate) fn quote(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

/// A finite float as Go's JSON encoder writes it: exponents have a sign, whole numbers no point.
pub(super) fn float(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return format!("{value}");
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => text,
    }
}

/// A string as Go's package `time` quotes it: bytes that are no printable ASCII are escaped one by one.
pub(super) fn quote_bytes(text: &str) -> String {
    let mut shown = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => shown.extend(['\\', char::from(byte)]),
            b' '..=b'~' | 0x7f => shown.push(char::from(byte)),
            _ => shown.push_str(&format!("\\x{byte:02x}")),
        }
    }
    shown.push('"');
    shown
}
