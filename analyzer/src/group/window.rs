//! What is put together, and over which time.

use std::str::FromStr;

use faultline_record::{Measurement, RunId, Timestamp};
use serde::Serialize;

/// By what verdicts are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// By service, and by what services have in common.
    Service,
    /// By what authorities have said of their providers.
    Registration,
}

impl FromStr for By {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "service" => Ok(Self::Service),
            "label:registration" => Ok(Self::Registration),
            _ => Err("service or label:registration was expected"),
        }
    }
}

/// The time over which they are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// So many milliseconds, counted from 1970-01-01T00:00:00Z.
    Span(i64),
    /// Each run of a probe apart.
    Run,
}

/// One window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum When {
    /// From then on.
    From(Timestamp),
    /// This run.
    Run(RunId),
}

impl Window {
    /// An hour.
    pub const HOUR: Self = Self::Span(3_600_000);

    /// The window that a measurement falls into.
    pub(super) fn of(self, measurement: &Measurement) -> When {
        match self {
            Self::Run => When::Run(measurement.run),
            Self::Span(ms) => {
                let begin = measurement.started_at.as_millisecond().div_euclid(ms).saturating_mul(ms);
                When::From(Timestamp::from_millisecond(begin))
            }
        }
    }
}

impl FromStr for Window {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "run, or a time such as 15m, 1h or 1d was expected";
        if text == "run" {
            return Ok(Self::Run);
        }
        let at = text.find(|c: char| !c.is_ascii_digit()).ok_or(EXPECTED)?;
        let (count, unit) = text.split_at(at);
        let unit = match unit {
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(EXPECTED),
        };
        let span = count.parse::<i64>().ok().and_then(|count| count.checked_mul(unit));
        span.filter(|&span| span > 0).map(Self::Span).ok_or(EXPECTED)
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Run => f.write_str("run"),
            Self::Span(ms) => write!(f, "{}s", ms / 1_000),
        }
    }
}

impl When {
    /// In words.
    pub(super) fn words(self) -> String {
        match self {
            Self::From(begin) => begin.to_string().get(..16).map_or_else(String::new, |text| text.replace('T', " ")),
            Self::Run(run) => format!("run {run}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_a_run_or_a_time() {
        assert_eq!("run".parse(), Ok(Window::Run));
        assert_eq!("1h".parse(), Ok(Window::HOUR));
        assert_eq!("90s".parse(), Ok(Window::Span(90_000)));
        for wrong in ["", "0h", "h", "1", "1w", "-1h", "99999999999999999d"] {
            assert!(wrong.parse::<Window>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_put_together_is_named() {
        assert_eq!("service".parse(), Ok(By::Service));
        assert_eq!("label:registration".parse(), Ok(By::Registration));
        assert!("label:colour".parse::<By>().is_err());
    }
}
