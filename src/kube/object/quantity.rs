//! `resource.Quantity`: numbers with a suffix, in the form that Kubernetes writes them.
//!
//! A text that is canonical already is kept to the letter; anything else is written anew with the largest
//! suffix of its family that leaves no fraction. Finer than nano is rounded up, away from zero.

use std::borrow::Cow;
use std::cmp::Ordering;

/// Why a text is no quantity, in the release's words.
pub type QuantityError = &'static str;

const WRONG_FORMAT: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const WRONG_SUFFIX: &str = "unable to parse quantity's suffix";

/// Go would compute ten to any `int32`; numbers beyond this are no amounts of anything.
const MAX_EXPONENT: i64 = 1000;
/// The finest amount there is.
const NANO: i32 = -9;
/// Digits that surely fit an `int64`.
const FAST_DIGITS: usize = 18;

/// The family of suffixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// `1e3`
    Exponent,
    /// `k`, `M`
    Decimal,
    /// `Ki`, `Mi`
    Binary,
}

/// An amount: `digits` times ten to `scale`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity {
    negative: bool,
    /// Decimal digits without leading zeros; none for zero.
    digits: Vec<u8>,
    scale: i32,
    format: Format,
    /// The text, where it is canonical as it is.
    text: Option<String>,
}

/// The canonical form of a quantity.
///
/// # Errors
/// The text is no quantity.
pub fn canonical(text: &str) -> Result<Cow<'_, str>, QuantityError> {
    // Nearly all there is: few digits, perhaps a suffix.
    if let Some(kept) = plain(text) {
        return Ok(kept.into());
    }
    let quantity = Quantity::parse(text)?;
    Ok(match &quantity.text {
        Some(kept) if kept == text => text.into(),
        _ => quantity.to_string().into(),
    })
}

/// Short whole numbers that are surely in canonical form.
fn plain(text: &str) -> Option<&str> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, suffix) = text.split_at_checked(end)?;
    let value: u32 = if end <= 9 {
        digits.parse().ok()?
    } else {
        return None;
    };
    let kept = match suffix {
        "" | "m" | "k" | "M" | "G" => value % 1000 != 0 && !digits.starts_with('0'),
        "Ki" | "Mi" | "Gi" => end <= 4 && value % 8 != 0,
        _ => false,
    };
    (kept || text == "0").then_some(text)
}

struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    suffix: &'a str,
}

fn digits_of(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// Splits as the release's scanner does, which is laxer than its regular expression.
fn split(text: &str) -> Result<Parts<'_>, QuantityError> {
    let negative = text.starts_with('-');
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, rest) = digits_of(unsigned.trim_start_matches('0'));
    let (fraction, suffix) = rest.strip_prefix('.').map_or(("", rest), digits_of);
    let exponent = suffix.trim_start_matches(|one| "eEinumkKMGTP".contains(one));
    let (_, rest) = digits_of(exponent.strip_prefix(['-', '+']).unwrap_or(exponent));
    if !rest.is_empty() {
        return Err(WRONG_FORMAT);
    }
    Ok(Parts {
        negative,
        whole: if whole.is_empty() { "0" } else { whole },
        fraction,
        suffix,
    })
}

/// The family of a suffix and its exponent, of two or of ten.
fn suffix(text: &str) -> Result<(Format, i32), QuantityError> {
    Ok(match text {
        "" => (Format::Decimal, 0),
        "n" => (Format::Decimal, -9),
        "u" => (Format::Decimal, -6),
        "m" => (Format::Decimal, -3),
        "k" => (Format::Decimal, 3),
        "M" => (Format::Decimal, 6),
        "G" => (Format::Decimal, 9),
        "T" => (Format::Decimal, 12),
        "P" => (Format::Decimal, 15),
        "E" => (Format::Decimal, 18),
        "Ki" => (Format::Binary, 10),
        "Mi" => (Format::Binary, 20),
        "Gi" => (Format::Binary, 30),
        "Ti" => (Format::Binary, 40),
        "Pi" => (Format::Binary, 50),
        "Ei" => (Format::Binary, 60),
        _ => {
            let digits = text.strip_prefix(['e', 'E']).ok_or(WRONG_SUFFIX)?;
            let exponent: i64 = digits.parse().map_err(|_| WRONG_SUFFIX)?;
            if exponent.abs() > MAX_EXPONENT {
                return Err(WRONG_SUFFIX);
            }
            (Format::Exponent, i32::try_from(exponent).unwrap_or(0))
        }
    })
}

impl Quantity {
    /// Reads a quantity as `resource.ParseQuantity` does.
    ///
    /// # Errors
    /// The text is no quantity.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        if text.is_empty() {
            return Err(WRONG_FORMAT);
        }
        let parts = split(text)?;
        let (format, exponent) = suffix(parts.suffix)?;
        let shifted = [parts.whole, parts.fraction].concat();
        let places = i32::try_from(parts.fraction.len()).unwrap_or(i32::MAX);
        let mut quantity = Self {
            negative: parts.negative,
            digits: shifted.bytes().map(|digit| digit - b'0').collect(),
            scale: places.saturating_neg(),
            format,
            text: None,
        };
        quantity.trim();
        if format == Format::Binary {
            quantity.double(exponent);
        } else {
            quantity.scale = quantity.scale.saturating_add(exponent);
        }
        if quantity.short(&parts, exponent) {
            if quantity.kept(&shifted, text) {
                quantity.text = Some(text.to_owned());
            }
        } else {
            quantity.bound();
        }
        if quantity.digits.is_empty() {
            quantity.scale = 0;
            quantity.negative = false;
        }
        Ok(quantity)
    }

    /// Whether the release computes it in an `int64`, where nothing is rounded.
    fn short(&self, parts: &Parts<'_>, exponent: i32) -> bool {
        if self.format != Format::Binary {
            let digits = parts.whole.len() + parts.fraction.len();
            return digits <= FAST_DIGITS && self.scale >= NANO;
        }
        let spent = usize::try_from(exponent * 3 / 10).unwrap_or(0);
        parts.fraction.is_empty() && parts.whole.len() + spent + 1 <= 15
    }

    /// Whether the text is taken for canonical.
    fn kept(&self, shifted: &str, text: &str) -> bool {
        if text == "0" {
            return true;
        }
        if self.format == Format::Binary {
            // The last three bits of the number in front of the suffix.
            let value: u64 = shifted.parse().unwrap_or(0);
            return value % 8 != 0;
        }
        self.scale % 3 == 0 && !shifted.ends_with("000") && !shifted.starts_with('0')
    }

    fn trim(&mut self) {
        let zeros = self.digits.iter().take_while(|digit| **digit == 0).count();
        self.digits.drain(..zeros);
    }

    /// Times two to `exponent`, a multiple of ten.
    fn double(&mut self, exponent: i32) {
        for _ in 0..exponent / 10 {
            let mut carry = 0u32;
            for digit in self.digits.iter_mut().rev() {
                let product = u32::from(*digit) * 1024 + carry;
                *digit = (product % 10) as u8;
                carry = product / 10;
            }
            let mut front = Vec::new();
            while carry > 0 {
                front.push((carry % 10) as u8);
                carry /= 10;
            }
            front.reverse();
            self.digits.splice(0..0, front);
        }
    }

    /// Rounds up to nano and, with a binary suffix, caps at the largest `int64`.
    fn bound(&mut self) {
        if self.scale < NANO {
            let drop = usize::try_from(NANO - self.scale).unwrap_or(usize::MAX);
            let keep = self.digits.len().saturating_sub(drop);
            let lost = self.digits.split_off(keep).iter().any(|digit| *digit != 0);
            self.scale = NANO;
            if lost {
                self.increment();
            }
        }
        if self.format != Format::Binary {
            return;
        }
        let most = i64::MAX.to_string();
        if self.order(&most) == Ordering::Greater {
            self.digits = most.bytes().map(|digit| digit - b'0').collect();
            self.scale = 0;
        } else if self.order("1") == Ordering::Less && !self.digits.is_empty() {
            self.format = Format::Decimal;
        }
    }

    fn increment(&mut self) {
        for digit in self.digits.iter_mut().rev() {
            if *digit < 9 {
                *digit += 1;
                return;
            }
            *digit = 0;
        }
        self.digits.insert(0, 1);
    }

    /// Digits in front of the decimal point.
    fn magnitude(&self) -> i64 {
        self.digits.len() as i64 + i64::from(self.scale)
    }

    /// The amount without its sign against a whole number.
    fn order(&self, whole: &str) -> Ordering {
        let other: Vec<u8> = whole.bytes().map(|digit| digit - b'0').collect();
        magnitudes(
            (&self.digits, self.magnitude()),
            (&other, other.len() as i64),
        )
    }

    /// -1, 0 or 1.
    pub fn sign(&self) -> i32 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    /// The amount in units of ten to `scale`, rounded away from zero (`Value` at 0, `MilliValue` at -3,
    /// without their limit); none if it does not fit.
    pub fn scaled(&self, scale: i32) -> Option<i128> {
        let mut at = self.clone();
        if at.scale < scale {
            let keep = usize::try_from(scale - at.scale).unwrap_or(usize::MAX);
            let keep = at.digits.len().saturating_sub(keep);
            let lost = at.digits.split_off(keep).iter().any(|digit| *digit != 0);
            at.scale = scale;
            if lost {
                at.increment();
            }
        }
        let mut value: i128 = 0;
        for digit in &at.digits {
            value = value.checked_mul(10)?.checked_add(i128::from(*digit))?;
        }
        if value != 0 {
            for _ in scale..at.scale {
                value = value.checked_mul(10)?;
            }
        }
        Some(if self.negative { -value } else { value })
    }

    /// The whole number if it is one.
    fn whole(&self) -> Option<i128> {
        let exact = match usize::try_from(-i64::from(self.scale)) {
            Ok(places) => {
                let zeros = self.digits.iter().rev().take_while(|digit| **digit == 0);
                places <= zeros.count()
            }
            Err(_) => true,
        };
        exact.then(|| self.scaled(0)).flatten()
    }

    fn write_binary(&self, f: &mut std::fmt::Formatter<'_>, value: i128) -> std::fmt::Result {
        let mut rest = value;
        let mut steps = 0;
        while rest.abs() >= 1024 && rest % 1024 == 0 && steps < 6 {
            rest /= 1024;
            steps += 1;
        }
        let suffix = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
        write!(f, "{rest}{}", suffix.get(steps).unwrap_or(&""))
    }

    fn write_decimal(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut digits: String = self
            .digits
            .iter()
            .map(|digit| char::from(b'0' + digit))
            .collect();
        let mut exponent = self.scale;
        while digits.len() > 1 && digits.ends_with('0') {
            digits.pop();
            exponent += 1;
        }
        for _ in 0..exponent.rem_euclid(3) {
            digits.push('0');
            exponent -= 1;
        }
        if self.negative {
            f.write_str("-")?;
        }
        f.write_str(&digits)?;
        match (self.format, exponent) {
            (_, 0) => Ok(()),
            (Format::Exponent, exponent) => write!(f, "e{exponent}"),
            // Beyond the last suffix the release writes none.
            (_, exponent) => f.write_str(match exponent {
                -9 => "n",
                -6 => "u",
                -3 => "m",
                3 => "k",
                6 => "M",
                9 => "G",
                12 => "T",
                15 => "P",
                18 => "E",
                _ => "",
            }),
        }
    }
}

/// Orders amounts by their digits and the places before the point.
fn magnitudes(one: (&[u8], i64), other: (&[u8], i64)) -> Ordering {
    match (one.0.is_empty(), other.0.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Less,
        (false, true) => return Ordering::Greater,
        (false, false) => {}
    }
    one.1.cmp(&other.1).then_with(|| {
        let length = one.0.len().max(other.0.len());
        let padded = |digits: &[u8]| -> Vec<u8> {
            let zeros = std::iter::repeat(0);
            digits.iter().copied().chain(zeros).take(length).collect()
        };
        padded(one.0).cmp(&padded(other.0))
    })
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.compare(other))
    }
}

impl Quantity {
    /// Orders by amount, whatever the suffixes.
    pub fn compare(&self, other: &Self) -> Ordering {
        self.sign().cmp(&other.sign()).then_with(|| {
            let order = magnitudes(
                (&self.digits, self.magnitude()),
                (&other.digits, other.magnitude()),
            );
            if self.negative {
                order.reverse()
            } else {
                order
            }
        })
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(text) = &self.text {
            return f.write_str(text);
        }
        if self.digits.is_empty() {
            return f.write_str("0");
        }
        if self.format == Format::Binary
            && self.order("1024") != Ordering::Less
            && let Some(value) = self.whole()
        {
            return self.write_binary(f, value);
        }
        let plain = Self {
            format: match self.format {
                Format::Binary => Format::Decimal,
                other => other,
            },
            ..self.clone()
        };
        plain.write_decimal(f)
    }
}
