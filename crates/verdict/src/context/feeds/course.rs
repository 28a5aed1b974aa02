//! A series over time, and whether a value of it is as usual.

use faultline_record::{Point, Series};

use super::{FeedWord, Teller, is_demand, place_words};
use crate::context::ControlState;
use crate::context::key::{HOUR_MS, Hour, hour};

/// Days over which what is usual at an hour of the day is told (Cloudflare Radar's own method looks at 28), and how many of them
/// must have a value.
const DAYS: i64 = 28;
const KNOWN: usize = 7;
/// A value fell if it is below this share of the usual one (the sample of IODA's own alarms, watchtower-sentry: 0.8 of a moving median)
const FELL: f64 = 0.8;
/// and, where what is usual is told by its own past, further below it than so many scaled median deviations (Hampel 1974): signals
/// that always jump say nothing by jumping.
const DEVIATIONS: f64 = 3.0 * 1.4826;
/// Demand is told of from this many times the usual one on.
const ROSE: f64 = 2.0;
/// More than this many times is not told apart: over small numbers any ratio can be reached.
const MANY: f64 = 100.0;
/// The longest step from one value to the next.
const LONGEST: Hour = 168;

/// A series, by hour.
#[derive(Clone, Debug)]
pub struct Course {
    of: Series,
    teller: Teller,
    /// Hour, median of its values, and what the source compares the last of them with.
    hours: Vec<(Hour, f64, Option<f64>)>,
    /// For how long a value holds, hours.
    step: Hour,
}

impl Course {
    /// Of these values.
    pub fn new(of: &Series, points: &[Point], teller: Teller) -> Self {
        let mut points: Vec<(Hour, f64, Option<f64>)> =
            points.iter().map(|point| (hour(point.at), point.value, point.baseline)).collect();
        points.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let of_hour = |same: &[(Hour, f64, Option<f64>)]| (same[0].0, same[same.len() / 2].1, same[same.len() - 1].2);
        let hours: Vec<_> = points.chunk_by(|a, b| a.0 == b.0).map(of_hour).collect();
        let told = of.step_ms.map(|ms| ms.div_euclid(HOUR_MS));
        let step = told.or_else(|| hours.windows(2).map(|pair| pair[1].0 - pair[0].0).min());
        Self { of: of.clone(), teller, hours, step: step.unwrap_or(1).clamp(1, LONGEST) }
    }

    /// The value that holds in an hour: when it was taken, how high it is, and what the source compares it with.
    fn at(&self, wanted: Hour) -> Option<(Hour, f64, Option<f64>)> {
        let after = self.hours.partition_point(|(hour, ..)| *hour <= wanted);
        let last = *self.hours.get(after.checked_sub(1)?)?;
        (wanted - last.0 < self.step).then_some(last)
    }

    /// What is usual at an hour of the day, and how far values may be off: by the source's own word, or by the days before.
    fn usual(&self, at: Hour, told: Option<f64>) -> Option<(f64, f64)> {
        if let Some(told) = told.filter(|told| *told > 0.0) {
            return Some((told, 0.0));
        }
        let mut before: Vec<f64> = (1..=DAYS).filter_map(|day| Some(self.at(at - 24 * day)?.1)).collect();
        let usual = median(&mut before).filter(|_| before.len() >= KNOWN)?;
        let mut off: Vec<f64> = before.iter().map(|value| (value - usual).abs()).collect();
        (usual > 0.0).then_some((usual, median(&mut off)? * DEVIATIONS))
    }

    /// Whether it is low beside the same hour of the same day in the weeks before, too: people rest weekly.
    fn is_low_for_the_weekday(&self, at: Hour, value: f64) -> bool {
        let mut weeks: Vec<f64> = (1..=DAYS / 7).filter_map(|week| Some(self.at(at - 168 * week)?.1)).collect();
        median(&mut weeks).is_none_or(|usual| value < FELL * usual)
    }

    /// What it says of an hour, if it covers it.
    pub fn word(&self, at: Hour) -> Option<FeedWord> {
        if is_demand(&self.of) { self.demand(at) } else { self.connectivity(at) }
    }

    fn connectivity(&self, at: Hour) -> Option<FeedWord> {
        let (taken, value, told) = self.at(at)?;
        let (usual, off) = self.usual(at, told)?;
        let state = match value {
            value if value >= FELL * usual => ControlState::Disagrees,
            value if value < usual - off && self.is_low_for_the_weekday(at, value) => ControlState::Agrees,
            _ => ControlState::Absent,
        };
        let percent = (value / usual * 100.0).clamp(0.0, 100.0 * MANY);
        Some(self.say(state, at - taken, format!("{} at {percent:.0}% of what is usual", self.name())))
    }

    /// The most that was wanted in the hour or a day before or after it, if that is unusual. It is held against nobody.
    fn demand(&self, wanted: Hour) -> Option<FeedWord> {
        let ratios = (wanted - 24..=wanted + 24).filter_map(|at| {
            let (taken, value, told) = self.at(at)?;
            let (usual, _) = self.usual(at, told)?;
            Some(((1.0 + value) / (1.0 + usual), (wanted - taken).abs()))
        });
        let (ratio, age) = ratios.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(ratio, _)| *ratio >= ROSE)?;
        let times = if ratio > MANY { format!("more than {MANY:.0}") } else { format!("{ratio:.1}") };
        let text = format!("{} at {times} times what is usual, within a day", self.name());
        Some(self.say(ControlState::Absent, age, text))
    }

    fn name(&self) -> String {
        format!("{} of {}", crate::words::clean(&self.of.signal), place_words(&self.of.place))
    }

    fn say(&self, state: ControlState, age_hours: Hour, text: String) -> FeedWord {
        let (source, is_demand) = (self.of.source.clone(), is_demand(&self.of));
        FeedWord { source, state, age_hours, text, is_demand, teller: self.teller }
    }
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use faultline_record::{Place, SeriesKind, Timestamp};

    use super::*;
    use crate::context::Submitter;

    const TELLER: Teller = Teller { submitter: Submitter(1), is_vouched: false };

    fn course(kind: SeriesKind, value: impl Fn(i64) -> f64, hours: i64) -> Course {
        let of = Series {
            kind,
            source: "ioda".into(),
            signal: "bgp".into(),
            unit: None,
            step_ms: None,
            place: Place { country: Some("PK".into()), ..Place::default() },
        };
        let point = |at| Point { at: Timestamp::from_millisecond(at * HOUR_MS), value: value(at), baseline: None };
        Course::new(&of, &(0..hours).map(point).collect::<Vec<_>>(), TELLER)
    }

    fn state(course: &Course, at: Hour) -> Option<ControlState> {
        course.word(at).map(|word| word.state)
    }

    #[test]
    fn a_value_is_held_against_the_same_hour_of_days_before() {
        // Traffic that is low each night is as usual at night.
        let daily = |at: i64| if at % 24 < 6 { 10.0 } else { 100.0 };
        let fallen = course(SeriesKind::Connectivity, |at| if at >= 720 { 10.0 } else { daily(at) }, 760);
        assert_eq!(state(&fallen, 722), Some(ControlState::Disagrees), "night");
        assert_eq!(state(&fallen, 730), Some(ControlState::Agrees), "day");
        assert_eq!(state(&fallen, 800), None, "after the last value");
        assert_eq!(state(&fallen, 100), None, "too few days before");
        let weekly = course(SeriesKind::Connectivity, |at| if at / 24 % 7 == 5 { 60.0 } else { 100.0 }, 900);
        assert!((700..900).all(|at| state(&weekly, at) != Some(ControlState::Agrees)), "days of rest");
    }

    #[test]
    fn a_signal_that_always_jumps_says_nothing_by_jumping() {
        let jumping =
            course(SeriesKind::Connectivity, |at| f64::from(10 + (i32::try_from(at).unwrap() * 7919) % 90), 800);
        assert!((700..800).all(|at| state(&jumping, at) != Some(ControlState::Agrees)));
    }

    #[test]
    fn demand_is_told_with_a_bound_and_has_no_state_to_accuse_with() {
        let risen = course(SeriesKind::Demand, |at| if at == 720 { 9_999.0 } else { 0.0 }, 760);
        assert_eq!(risen.word(725), None, "nothing is usual where nothing was wanted");
        let risen = course(SeriesKind::Demand, |at| if at == 720 { 99_999.0 } else { 9.0 }, 760);
        let word = risen.word(725).unwrap();
        assert!(
            word.is_demand && word.state == ControlState::Absent && word.text.contains("more than 100 times"),
            "{word:?}"
        );
        assert_eq!(risen.word(650), None);
    }
}
