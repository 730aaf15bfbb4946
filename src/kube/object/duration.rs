//! Go durations: `1h30m`, `1.5s`.

/// Nanoseconds of a unit.
fn unit(name: &str) -> Option<u64> {
    Some(match name {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// Reads nanoseconds as `time.ParseDuration` does.
///
/// # Errors
/// In Go's words.
pub fn parse(text: &str) -> Result<i64, String> {
    let quoted = super::go::quote(text);
    let invalid = || format!("time: invalid duration {quoted}");
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let negative = text.starts_with('-');
    if unsigned == "0" {
        return Ok(0);
    }
    if unsigned.is_empty() {
        return Err(invalid());
    }
    let mut rest = unsigned;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = after.strip_prefix('.').map_or(("", after), digits);
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let end = after.find(|one: char| one == '.' || one.is_ascii_digit());
        let (name, after) = after.split_at(end.unwrap_or(after.len()));
        if name.is_empty() {
            return Err(format!("time: missing unit in duration {quoted}"));
        }
        let Some(unit) = unit(name) else {
            let name = super::go::quote(name);
            return Err(format!("time: unknown unit {name} in duration {quoted}"));
        };
        let whole: u64 = match whole {
            "" => 0,
            whole => whole.parse().map_err(|_| invalid())?,
        };
        let part = whole
            .checked_mul(unit)
            .and_then(|whole| whole.checked_add(share(fraction, unit)));
        total = part
            .and_then(|part| total.checked_add(part))
            .filter(|total| *total <= 1 << 63)
            .ok_or_else(invalid)?;
        rest = after;
    }
    let signed = if negative {
        -i128::from(total)
    } else {
        i128::from(total)
    };
    i64::try_from(signed).map_err(|_| invalid())
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// The part of a unit that decimals stand for.
fn share(decimals: &str, unit: u64) -> u64 {
    let mut scale = 1u64;
    let mut value = 0u64;
    // More decimals than an hour has nanoseconds make no difference.
    for digit in decimals.bytes().take(18) {
        value = value * 10 + u64::from(digit - b'0');
        scale *= 10;
    }
    let share = u128::from(value) * u128::from(unit) / u128::from(scale);
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// Writes nanoseconds as `Duration.String` does: `1h30m0s`, `1.5s`, `100ms`.
pub fn written(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let total = nanos.unsigned_abs();
    if total == 0 {
        return "0s".into();
    }
    for (unit, name, below) in [
        (1, "ns", 1_000),
        (1_000, "µs", 1_000_000),
        (1_000_000, "ms", 1_000_000_000),
    ] {
        if total < below {
            return format!("{sign}{}{name}", decimal(total, unit));
        }
    }
    let seconds = decimal(total % 60_000_000_000, 1_000_000_000);
    let minutes = total / 60_000_000_000;
    match minutes {
        0 => format!("{sign}{seconds}s"),
        1..60 => format!("{sign}{minutes}m{seconds}s"),
        _ => format!("{sign}{}h{}m{seconds}s", minutes / 60, minutes % 60),
    }
}

/// A number of units without trailing zeros behind the point.
fn decimal(value: u64, unit: u64) -> String {
    let (whole, rest) = (value / unit, value % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let places = unit.ilog10() as usize;
    let fraction = format!("{rest:0places$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}
