//! Values of options: parsed once, the same on the command line, in the environment and in the configuration file.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

/// A length of time: `90s`, `10m`, `2h`, `500ms`, or several together as in `1h30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub Duration);

/// An amount of data: `20MB`, `512KiB`, `1GB`, or bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Size(pub u64);

/// New connections a second; 0 sets no limit.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Rate(f64);

/// Targets measured at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct Parallel(u16);

/// An autonomous system number, with or without `AS` before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "u32")]
pub struct Asn(pub u32);

/// An ISO 3166-1 alpha-2 code.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Country(pub String);

const DURATIONS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
const SIZES: [(&str, u64); 8] = [
    ("", 1),
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a length of time: write it like 90s, 10m or 1h30m");
        let mut total = 0_u64;
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (digits, after) = split(rest, |c| c.is_ascii_digit());
            let (unit, after) = split(after, |c| c.is_ascii_alphabetic());
            let ms = scaled(digits, unit, &DURATIONS).ok_or_else(wrong)?;
            total = total.checked_add(ms).ok_or_else(wrong)?;
            rest = after;
        }
        if total == 0 { Err(wrong()) } else { Ok(Self(Duration::from_millis(total))) }
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, unit) = split(text.trim(), |c| c.is_ascii_digit());
        match scaled(digits, unit.trim(), &SIZES) {
            None | Some(0) => Err(format!("{text:?} is not an amount of data: write it like 20MB or 512KiB")),
            Some(bytes) => Ok(Self(bytes)),
        }
    }
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

fn scaled(digits: &str, unit: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (_, factor) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    digits.parse::<u64>().ok()?.checked_mul(*factor)
}

impl Rate {
    /// The limit, if there is one.
    pub fn limit(self) -> Option<f64> {
        (self.0 > 0.0).then_some(self.0)
    }
}

impl TryFrom<f64> for Rate {
    type Error = String;

    fn try_from(rate: f64) -> Result<Self, String> {
        if rate == 0.0 || (0.01..=1e6).contains(&rate) {
            Ok(Self(rate))
        } else {
            Err(format!("{rate} is not a rate: connections a second, from 0.01 to 1000000, or 0 for no limit"))
        }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("{text:?} is not a number")).and_then(|rate: f64| Self::try_from(rate))
    }
}

impl Parallel {
    /// How many.
    pub fn count(self) -> usize {
        self.0.into()
    }
}

impl TryFrom<u64> for Parallel {
    type Error = String;

    fn try_from(count: u64) -> Result<Self, String> {
        match u16::try_from(count) {
            Ok(count @ 1..=1024) => Ok(Self(count)),
            _ => Err(format!("{count} targets at a time: choose from 1 to 1024")),
        }
    }
}

impl FromStr for Parallel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("{text:?} is not a whole number")).and_then(|count: u64| Self::try_from(count))
    }
}

impl From<u32> for Asn {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

impl FromStr for Asn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("AS").or_else(|| text.strip_prefix("as")).unwrap_or(text);
        digits.parse().map(Self).map_err(|_| format!("{text:?} is not an autonomous system number, as in 17557"))
    }
}

impl FromStr for Country {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            Ok(Self(text.to_ascii_uppercase()))
        } else {
            Err(format!("{text:?} is not a country code of two letters, as in PK"))
        }
    }
}

macro_rules! try_from_string {
    ($($type:ident),*) => {
        $(impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        })*
    };
}
try_from_string!(Span, Size, Country);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, ms) in [("90s", 90_000), ("10m", 600_000), ("1h30m", 5_400_000), ("500ms", 500), (" 2H ", 7_200_000)]
        {
            assert_eq!(text.parse::<Span>().unwrap().0, Duration::from_millis(ms), "{text}");
        }
        for text in ["", "10", "m", "-1s", "1d", "0s", "1.5h", "99999999999999999h", "1s 1s"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_decimal_or_binary() {
        for (text, bytes) in [("20MB", 20_000_000), ("512KiB", 524_288), ("7", 7), ("1 gb", 1_000_000_000)] {
            assert_eq!(text.parse::<Size>().unwrap().0, bytes, "{text}");
        }
        for text in ["", "MB", "20XB", "-1", "0", "99999999999GB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        assert_eq!("0".parse::<Rate>().unwrap().limit(), None);
        assert_eq!("2.5".parse::<Rate>().unwrap().limit(), Some(2.5));
        for text in ["-1", "nan", "inf", "fast", "1e9"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_vantage_is_declared_in_either_spelling() {
        assert_eq!("AS17557".parse::<Asn>().unwrap(), "17557".parse().unwrap());
        assert_eq!("pk".parse::<Country>().unwrap().0, "PK");
        assert!("Pakistan".parse::<Country>().is_err());
        assert!("0x45".parse::<Asn>().is_err());
    }

    #[test]
    fn nothing_and_too_much_at_a_time_are_refused() {
        assert_eq!("16".parse::<Parallel>().unwrap().count(), 16);
        assert!("0".parse::<Parallel>().is_err() && "1025".parse::<Parallel>().is_err());
    }
}
