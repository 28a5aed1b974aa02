//! The reverse of the host differential: not another host at the target's address, but the target's host at another address.

use std::net::IpAddr;

use faultline_record::{Failure, Family, Observation, Purpose};
use url::Url;

use super::Experiment;
use super::answer::is_answered;

/// Where the host differential was made and the target's host was never answered. Where it fell silent, waiting costs time:
/// then only if the innocent host was not answered either, so that nothing is settled yet.
pub(super) fn host_anywhere(rows: &[&Observation]) -> Option<Experiment> {
    let address = requests(rows, Purpose::InnocentHost).next()?.address?;
    let at = |purpose| requests(rows, purpose).filter(move |row| row.address == Some(address));
    let own: Vec<&Observation> = at(Purpose::Main).chain(at(Purpose::Retry)).collect();
    let is_silent =
        own.iter().any(|row| matches!(row.outcome.failure(), Some(Failure::GenericTimeoutError | Failure::TimedOut)));
    let is_settled = at(Purpose::InnocentHost).any(is_answered);
    let is_wanted = own.len() > 1 && !own.iter().any(|row| is_answered(row)) && !(is_silent && is_settled);
    let is_named = own.iter().all(|row| has_a_name(row));
    (is_wanted && is_named).then(|| Experiment::HostAnywhere { family: Family::of(address) })
}

/// Requests in the clear that were made for that purpose.
fn requests<'a>(rows: &[&'a Observation], purpose: Purpose) -> impl Iterator<Item = &'a Observation> {
    let is_one = move |row: &&&Observation| {
        row.purpose == purpose
            && row.outcome.not_run().is_none()
            && row.http().is_some_and(|http| http.url.starts_with("http://"))
    };
    rows.iter().filter(is_one).copied()
}

/// A literal address is nobody's host.
fn has_a_name(row: &Observation) -> bool {
    let host = row.http().and_then(|http| Url::parse(&http.url).ok()).and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().is_err())
}

#[cfg(test)]
mod tests {
    use faultline_record::{Http, Outcome, StepData};

    use super::*;
    use crate::follow_up::rows;

    fn row(purpose: Purpose, url: &str, failure: Option<Failure>) -> Observation {
        let status = failure.is_none().then_some(404);
        let outcome = failure.map_or(Outcome::Ok, Outcome::Failed);
        let data = StepData::Http(Http { url: url.into(), status, ..Http::default() });
        Observation { purpose, ..rows::row(Some("203.0.113.9:80"), outcome, data) }
    }

    /// One round, the first request included.
    fn wants(url: &str, own: [Option<Failure>; 2], innocent: Option<Failure>) -> bool {
        let rows = [
            row(Purpose::Main, url, own[0]),
            row(Purpose::InnocentHost, "http://example.com/", innocent),
            row(Purpose::Retry, url, own[1]),
        ];
        let wanted = host_anywhere(&rows.iter().collect::<Vec<_>>());
        assert!(wanted.as_ref().is_none_or(|asks| *asks == Experiment::HostAnywhere { family: Family::V4 }));
        wanted.is_some()
    }

    const NAMED: &str = "http://x.example/";
    const RESET: Option<Failure> = Some(Failure::ConnectionReset);
    const SILENT: Option<Failure> = Some(Failure::GenericTimeoutError);

    #[test]
    fn a_host_that_is_never_answered_is_asked_for_elsewhere_whatever_an_innocent_one_met() {
        assert!(wants(NAMED, [RESET, RESET], None));
        assert!(wants(NAMED, [RESET, RESET], RESET));
        assert!(!wants(NAMED, [RESET, None], None), "it was answered once");
        assert!(!wants("http://203.0.113.9/", [RESET, RESET], None), "an address is nobody's host");
    }

    #[test]
    fn silence_is_waited_for_only_where_nothing_is_settled() {
        assert!(!wants(NAMED, [SILENT, SILENT], None));
        assert!(wants(NAMED, [SILENT, SILENT], SILENT));
    }

    #[test]
    fn without_the_differential_nothing_is_asked() {
        assert_eq!(host_anywhere(&[&row(Purpose::Main, NAMED, RESET), &row(Purpose::Retry, NAMED, RESET)]), None);
    }
}
