//! Points in time and durations, as Go has them.

use std::fmt;

use crate::kube::object::{duration, time::Moment};

/// A point in time from year 1 to 9999, and the zone that it was said in.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    pub(super) seconds: i64,
    pub(super) nanos: u32,
    /// Seconds east of Greenwich; nothing but its text depends on it.
    offset: i32,
}

impl PartialEq for Time {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

const MIN: i64 = -62_135_596_800;
const MAX: i64 = 253_402_300_799;
const BILLION: i128 = 1_000_000_000;
const TOO_FAR: &str = "timestamp overflow";

impl Time {
    pub(super) fn key(&self) -> (i64, u32) {
        (self.seconds, self.nanos)
    }

    /// # Errors
    /// Beyond the years that there are.
    pub(super) fn at(seconds: i64, nanos: u32) -> Result<Self, &'static str> {
        if !(MIN..=MAX).contains(&seconds) {
            return Err(TOO_FAR);
        }
        Ok(Self {
            seconds,
            nanos,
            offset: 0,
        })
    }

    /// RFC 3339; None if it is not.
    pub(super) fn parse(text: &str) -> Option<Result<Self, &'static str>> {
        let moment = Moment::parse(text).ok()?;
        let offset = offset_of(text);
        let time = Self::at(moment.seconds, moment.nanos);
        Some(time.map(|time| Self { offset, ..time }))
    }

    /// As the format `date-time` of schemas: RFC 3339, or without a zone.
    pub(super) fn formatted(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self {
                seconds: 0,
                nanos: 0,
                offset: 0,
            });
        }
        let local = format!("{text}Z");
        let moment = Moment::parse(text).or_else(|error| {
            // Of several layouts the one without a zone is tried last.
            let told = |_| error.replace("15:04:05Z07:00", "15:04:05");
            Moment::parse(&local).map_err(told)
        })?;
        Ok(Self {
            seconds: moment.seconds,
            nanos: moment.nanos,
            offset: offset_of(text),
        })
    }

    /// `2020-01-02`, its first moment.
    pub(super) fn date(text: &str) -> Result<Self, String> {
        let moment = Moment::parse(&format!("{text}T00:00:00Z"))?;
        Ok(Self {
            seconds: moment.seconds,
            nanos: 0,
            offset: 0,
        })
    }

    fn total(self) -> i128 {
        i128::from(self.seconds) * BILLION + i128::from(self.nanos)
    }

    /// # Errors
    /// Beyond the years that there are.
    pub(super) fn plus(self, nanos: i128) -> Result<Self, &'static str> {
        let total = self.total() + nanos;
        let seconds = i64::try_from(total.div_euclid(BILLION)).map_err(|_| TOO_FAR)?;
        let nanos = u32::try_from(total.rem_euclid(BILLION)).map_err(|_| TOO_FAR)?;
        Ok(Self {
            offset: self.offset,
            ..Self::at(seconds, nanos)?
        })
    }

    /// # Errors
    /// If it is more than a duration holds.
    pub(super) fn minus(self, other: Self) -> Result<i64, &'static str> {
        i64::try_from(self.total() - other.total()).map_err(|_| "integer overflow")
    }

    /// A part of it as seen in a zone; None if there is no such part.
    pub(super) fn part(self, name: &str, offset: i32) -> Option<i64> {
        let local = self.seconds + i64::from(offset);
        let (days, seconds) = (local.div_euclid(86_400), local.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        Some(match name {
            "getFullYear" => year,
            "getMonth" => month - 1,
            "getDate" => day,
            "getDayOfMonth" => day - 1,
            "getDayOfWeek" => (days + 4).rem_euclid(7),
            "getDayOfYear" => days - days_from(year),
            "getHours" => seconds / 3600,
            "getMinutes" => seconds / 60 % 60,
            "getSeconds" => seconds % 60,
            "getMilliseconds" => i64::from(self.nanos / 1_000_000),
            _ => return None,
        })
    }

    /// Seconds east of Greenwich in a zone at this time: `+01:30`, or a name of the time zone database.
    ///
    /// # Errors
    /// In Go's words.
    pub(super) fn offset_in(self, zone: &str) -> Result<i32, String> {
        if let Some((hours, minutes)) = zone.split_once(':') {
            let wrong = |text: &str| format!("strconv.Atoi: parsing {text:?}: invalid syntax");
            let number = |text: &str| text.parse::<i32>().map_err(|_| wrong(text));
            let (hours, minutes) = (number(hours)?, number(minutes)?);
            let east = hours.saturating_mul(60);
            let east = if zone.starts_with('-') {
                east.saturating_sub(minutes)
            } else {
                east.saturating_add(minutes)
            };
            return Ok(east.clamp(-1_000_000, 1_000_000) * 60);
        }
        if matches!(zone, "" | "UTC") {
            return Ok(0);
        }
        let unknown = |_| format!("unknown time zone {zone}");
        let found = jiff::tz::TimeZone::get(zone).map_err(unknown)?;
        let at = jiff::Timestamp::from_second(self.seconds).map_err(unknown)?;
        Ok(found.to_offset(at).seconds())
    }
}

/// RFC 3339 with as many decimals as there are.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.seconds + i64::from(self.offset);
        let (days, seconds) = (local.div_euclid(86_400), local.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        if self.nanos > 0 {
            let decimals = format!("{:09}", self.nanos);
            write!(f, ".{}", decimals.trim_end_matches('0'))?;
        }
        if self.offset == 0 {
            return f.write_str("Z");
        }
        let sign = if self.offset < 0 { '-' } else { '+' };
        let minutes = self.offset.abs() / 60;
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// Of a text that was found to be RFC 3339.
fn offset_of(text: &str) -> i32 {
    let tail = text
        .len()
        .checked_sub(6)
        .and_then(|at| text.get(at..))
        .unwrap_or_default();
    let parsed = || {
        let (hours, minutes) = tail.get(1..)?.split_once(':')?;
        let east = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
        match tail.as_bytes().first()? {
            b'+' => Some(east),
            b'-' => Some(-east),
            _ => None,
        }
    };
    parsed().unwrap_or(0)
}

/// Year, month and day of a day counted from 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    // Years that begin in March have the leap day at their end.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// The first day of a year, counted from 1970-01-01.
fn days_from(year: i64) -> i64 {
    let before = year - 1;
    let leaps = before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400);
    before * 365 + leaps - 719_162
}

/// Nanoseconds of the format `duration` of schemas: Go's durations, and `3 days`.
pub(super) fn formatted_duration(text: &str) -> Result<i64, String> {
    let error = match duration::parse(text) {
        Ok(nanos) => return Ok(nanos),
        Err(error) => error,
    };
    let mut rest = text.trim();
    let mut total: i64 = 0;
    let mut any = false;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits).unwrap_or_default();
        let after = after.trim_start();
        let letters = after
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(letters).unwrap_or_default();
        let (Ok(number), Some(unit)) = (number.parse::<i64>(), long_unit(unit)) else {
            return Err(error);
        };
        let Some(sum) = number
            .checked_mul(unit)
            .and_then(|part| total.checked_add(part))
        else {
            return Err(error);
        };
        total = sum;
        any = true;
        rest = after.trim_start();
    }
    if any { Ok(total) } else { Err(error) }
}

fn long_unit(name: &str) -> Option<i64> {
    Some(match name.to_lowercase().as_str() {
        "ns" | "nanos" | "nanosecond" | "nanoseconds" => 1,
        "us" | "µs" | "micros" | "microsecond" | "microseconds" => 1_000,
        "ms" | "millis" | "millisecond" | "milliseconds" => 1_000_000,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000_000_000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000_000_000,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000_000_000,
        "d" | "day" | "days" => 86_400_000_000_000,
        "w" | "wk" | "wks" | "week" | "weeks" => 604_800_000_000_000,
        _ => return None,
    })
}
