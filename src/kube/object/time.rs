//! Times and durations as Go reads and writes them.

use std::fmt::Write as _;

use super::go::quote;

/// A moment: seconds since 1970 and nanoseconds behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    pub seconds: i64,
    pub nanos: u32,
}

/// Go's zero time, the year 1, is what `null` stands for.
const ZERO: i64 = -62_135_596_800;

const SECONDS: &str = "2006-01-02T15:04:05Z07:00";
const MICROS: &str = "2006-01-02T15:04:05.000000Z07:00";

impl Moment {
    /// Reads RFC 3339; a fraction is taken and more than the form has of it is dropped when it is written.
    ///
    /// # Errors
    /// In the words of Go's `time.Parse`.
    pub fn parse(text: &str) -> Result<Self, String> {
        Parser::new(text, SECONDS).read()
    }

    /// Reads RFC 3339 with exactly six decimals.
    ///
    /// # Errors
    /// In the words of Go's `time.Parse`.
    pub fn parse_micro(text: &str) -> Result<Self, String> {
        Parser::new(text, MICROS).read()
    }

    pub fn is_zero(self) -> bool {
        self.seconds == ZERO && self.nanos == 0
    }

    /// `2006-01-02T15:04:05Z`.
    pub fn rfc3339(self) -> String {
        self.written(None)
    }

    /// `2006-01-02T15:04:05.000000Z`.
    pub fn rfc3339_micro(self) -> String {
        self.written(Some(self.nanos / 1000))
    }

    fn written(self, micros: Option<u32>) -> String {
        let days = self.seconds.div_euclid(86_400);
        let second = self.seconds.rem_euclid(86_400);
        let (year, month, day) = civil(days);
        let mut text = String::with_capacity(27);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let sign = if year < 0 { "-" } else { "" };
        let year = year.abs();
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{sign}{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        );
        if let Some(micros) = micros {
            let _ = write!(text, ".{micros:06}");
        }
        text.push('Z');
        text
    }
}

/// Days since 1970 of a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date of a day since 1970.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

pub(super) fn days_in(month: i64, year: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

struct Parser<'a> {
    whole: &'a str,
    rest: &'a str,
    layout: &'static str,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, layout: &'static str) -> Self {
        Self {
            whole: text,
            rest: text,
            layout,
        }
    }

    fn wrong(&self, rest: &str, part: &str) -> String {
        format!(
            "parsing time {} as {}: cannot parse {} as {}",
            quote(self.whole),
            quote(self.layout),
            quote(rest),
            quote(part)
        )
    }

    fn out_of_range(&self, what: &str) -> String {
        format!("parsing time {}: {what} out of range", quote(self.whole))
    }

    fn literal(&mut self, part: &str) -> Result<(), String> {
        match self.rest.strip_prefix(part) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None => Err(self.wrong(self.rest, part)),
        }
    }

    /// `count` digits; an hour may have one.
    fn digits(&mut self, count: usize, part: &str) -> Result<i64, String> {
        let digits = self.rest.bytes().take(count);
        let found = digits.take_while(u8::is_ascii_digit).count();
        if found < count && !(part == "15" && found == 1) {
            return Err(self.wrong(self.rest, part));
        }
        let (digits, rest) = self.rest.split_at_checked(found).unwrap_or_default();
        self.rest = rest;
        Ok(digits.parse().unwrap_or(0))
    }

    fn bounded(&mut self, part: &str, most: i64, what: &str) -> Result<i64, String> {
        let value = self.digits(2, part)?;
        if value > most {
            return Err(self.out_of_range(what));
        }
        Ok(value)
    }

    fn read(mut self) -> Result<Moment, String> {
        let year = self.digits(4, "2006")?;
        self.literal("-")?;
        let month = self.bounded("01", 12, "month")?;
        if month == 0 {
            return Err(self.out_of_range("month"));
        }
        self.literal("-")?;
        let day = self.digits(2, "02")?;
        self.literal("T")?;
        let hour = self.bounded("15", 23, "hour")?;
        self.literal(":")?;
        let minute = self.bounded("04", 59, "minute")?;
        self.literal(":")?;
        let second = self.bounded("05", 59, "second")?;
        let nanos = self.fraction()?;
        let offset = self.offset()?;
        if !self.rest.is_empty() {
            let extra = quote(self.rest);
            return Err(format!(
                "parsing time {}: extra text: {extra}",
                quote(self.whole)
            ));
        }
        if day < 1 || day > days_in(month, year) {
            return Err(self.out_of_range("day"));
        }
        let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
        Ok(Moment { seconds, nanos })
    }

    /// Nanoseconds.
    fn fraction(&mut self) -> Result<u32, String> {
        let found = self.rest.strip_prefix(['.', ',']).unwrap_or_default();
        let count = found.bytes().take_while(u8::is_ascii_digit).count();
        if self.layout == MICROS && count < 6 {
            return Err(self.wrong(self.rest, ".000000"));
        }
        if count == 0 {
            return Ok(0);
        }
        let count = if self.layout == MICROS { 6 } else { count };
        let (digits, rest) = found.split_at_checked(count).unwrap_or_default();
        self.rest = rest;
        let nine: String = digits.chars().chain("000000000".chars()).take(9).collect();
        Ok(nine.parse().unwrap_or(0))
    }

    /// Seconds east of Greenwich.
    fn offset(&mut self) -> Result<i64, String> {
        const PART: &str = "Z07:00";
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Ok(0);
        }
        let start = self.rest;
        let bad = |this: &Self| this.wrong(start, PART);
        let sign = match start.bytes().next() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Err(bad(&self)),
        };
        self.rest = start.get(1..).unwrap_or_default();
        let hours = self.digits(2, PART).map_err(|_| bad(self))?;
        self.literal(":").map_err(|_| bad(self))?;
        let minutes = self.digits(2, PART).map_err(|_| bad(self))?;
        if hours > 24 {
            return Err(self.out_of_range("time zone offset hour"));
        }
        if minutes > 60 {
            return Err(self.out_of_range("time zone offset minute"));
        }
        Ok(sign * (hours * 3600 + minutes * 60))
    }
}
