//! Public resolvers that could never be asked over HTTPS: what blocks them is not about the targets, and is said once.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use faultline_record::{Engine, Failure, Filter, Measurement, Observation, Purpose, Reader, RecordError};

/// Measurements in which a resolver must have failed before it is said: one or two are chance.
const TIMES: u32 = 3;

/// A resolver that never answered over HTTPS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unheard {
    /// Its name in rows.
    pub resolver: String,
    /// In how many measurements it was asked.
    pub asked: u32,
    /// How the way there failed most often.
    pub failure: Failure,
}

/// Those among a run's measurements.
pub fn unheard(reader: &Reader, filter: &Filter) -> Result<Vec<Unheard>, RecordError> {
    let mut count = Count::default();
    let _: Option<()> = reader.for_each(filter, |witnessed| {
        count.add(&witnessed.measurement);
        ControlFlow::Continue(())
    })?;
    Ok(count.unheard())
}

/// For each resolver over HTTPS: in how many measurements it was asked and answered, and how often it failed in what way.
#[derive(Default)]
struct Count(BTreeMap<String, (u32, u32, BTreeMap<Failure, u32>)>);

impl Count {
    /// Counts a measurement, unless nobody answered at all: then the network is at fault.
    fn add(&mut self, measurement: &Measurement) {
        let answered = |row: &Observation| row.dns().is_some_and(|dns| dns.replies > 0);
        if !measurement.observations.iter().any(answered) {
            return;
        }
        let mut seen: BTreeMap<&str, (bool, Option<Failure>)> = BTreeMap::new();
        for row in measurement.observations.iter().filter(|row| row.purpose == Purpose::Comparison) {
            let Some(dns) = row.dns().filter(|dns| dns.engine == Engine::Doh) else { continue };
            if row.outcome.not_run().is_none() {
                let (spoke, failure) = seen.entry(&dns.resolver).or_default();
                *spoke |= answered(row);
                *failure = failure.or(row.outcome.failure());
            }
        }
        for (resolver, (spoke, failure)) in seen {
            let (asked, heard, failures) = self.0.entry(resolver.to_owned()).or_default();
            *asked += 1;
            *heard += u32::from(spoke);
            if let Some(failure) = failure {
                *failures.entry(failure).or_default() += 1;
            }
        }
    }

    fn unheard(self) -> Vec<Unheard> {
        let of = |(resolver, (asked, heard, failures)): (String, (u32, u32, BTreeMap<Failure, u32>))| {
            let failure = failures.into_iter().max_by_key(|&(_, times)| times)?.0;
            (heard == 0 && asked >= TIMES).then_some(Unheard { resolver, asked, failure })
        };
        self.0.into_iter().filter_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use faultline_record::{
        Availability, Dns, Endpoint, MeasurementId, Network, Outcome, QueryType, RunId, StepData, Target, Timestamp,
    };

    use super::*;

    fn asked((engine, resolver): (Engine, &str), outcome: Outcome) -> Observation {
        let dns = Dns {
            engine,
            resolver: resolver.into(),
            hostname: "x.example".into(),
            query_type: QueryType::A,
            rcode: None,
            answers: Vec::new(),
            replies: u16::from(outcome.is_ok()),
        };
        Observation {
            seq: 1,
            hop: 0,
            purpose: Purpose::Comparison,
            connection: None,
            t0_ms: 0.0,
            t_ms: 1.0,
            outcome,
            detail: None,
            address: None,
            port: None,
            ttl: None,
            data: StepData::Dns(dns),
        }
    }

    fn measured(udp: Outcome, doh: Outcome) -> Measurement {
        let target = Target {
            input: "https://x.example/".into(),
            name: "x".into(),
            endpoint: Endpoint::parse("https://x.example/").unwrap(),
            category: None,
            list: None,
            availability: Availability::Unknown,
            private_ca: false,
        };
        Measurement {
            id: MeasurementId::new(),
            run: RunId::new(),
            target,
            started_at: Timestamp::now(),
            offset_ms: 0.0,
            duration_ms: 1.0,
            network: Network::default(),
            observations: vec![asked((Engine::Udp, "one"), udp), asked((Engine::Doh, "two"), doh)],
        }
    }

    fn of(measurements: &[(Outcome, Outcome)]) -> Vec<Unheard> {
        let mut count = Count::default();
        for &(udp, doh) in measurements {
            count.add(&measured(udp, doh));
        }
        count.unheard()
    }

    const RESET: Outcome = Outcome::Failed(Failure::ConnectionReset);

    #[test]
    fn a_resolver_that_never_answers_where_others_do_is_said_once_with_its_failure() {
        let unheard = Unheard { resolver: "two".into(), asked: 3, failure: Failure::ConnectionReset };
        assert_eq!(of(&[(Outcome::Ok, RESET); 3]), [unheard]);
    }

    #[test]
    fn one_answer_two_failures_or_a_network_that_is_down_are_nothing_to_say() {
        assert_eq!(of(&[(Outcome::Ok, RESET), (Outcome::Ok, RESET), (Outcome::Ok, Outcome::Ok)]), []);
        assert_eq!(of(&[(Outcome::Ok, RESET); 2]), []);
        assert_eq!(of(&[(RESET, RESET); 5]), []);
    }
}
