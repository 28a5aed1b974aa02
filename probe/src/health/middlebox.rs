//! Whether somebody passes plain HTTP on: a fact about the vantage, which says nothing of any target.
//!
//! A proxy signs what it passes on (`Via`; RFC 9110, 7.6.3). So do content networks before a site, each with a name of its
//! own. The same signature under the known answers of operators that share nothing is somebody's on this side of them. It costs
//! no packet: the answers are those of the captive-portal checks. What does not sign is not seen.

use std::collections::BTreeSet;

use faultline_record::{HealthSignal, Http, Outcome, SignalKind};

/// Operators whose answers must bear the same signature. Two can have bought the same content network; all of three that were
/// chosen for sharing nothing have not.
const OPERATORS_WANTED: usize = 3;
/// The signal's stable name.
const NAME: &str = "middlebox/via";

/// The signatures under one known answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Whose answer it is.
    pub provider: String,
    /// Who signed it: names or pseudonyms without protocol versions and comments, in lower case.
    pub by: BTreeSet<String>,
}

impl Signed {
    /// Of an answer.
    pub fn of(provider: &str, http: &Http) -> Self {
        let values = http.headers.iter().filter(|(name, _)| name == "via").map(|(_, value)| value.as_str());
        Self {
            provider: provider.to_owned(),
            by: values.flat_map(|value| value.split(',')).filter_map(signer).collect(),
        }
    }
}

/// `1.1 proxy.example (squid)` is signed by `proxy.example`.
fn signer(element: &str) -> Option<String> {
    element.split_whitespace().nth(1).map(str::to_ascii_lowercase)
}

/// One signal, where enough operators answered to tell: value 1 if all their answers bear the same signature, else 0.
pub fn signal(answers: &[Signed]) -> Option<HealthSignal> {
    let operators: BTreeSet<&str> = answers.iter().map(|answer| answer.provider.as_str()).collect();
    if operators.len() < OPERATORS_WANTED {
        return None;
    }
    let common = answers.iter().map(|answer| answer.by.clone()).reduce(|common, by| &common & &by).unwrap_or_default();
    let names: Vec<String> = common.into_iter().collect();
    Some(HealthSignal {
        kind: SignalKind::Middlebox,
        name: NAME.to_owned(),
        provider: None,
        family: None,
        address: None,
        outcome: Outcome::Ok,
        value: Some(if names.is_empty() { 0.0 } else { 1.0 }),
        duration_ms: 0.0,
        detail: (!names.is_empty()).then(|| format!("signed by {}", names.join(", "))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(provider: &str, via: &[&str]) -> Signed {
        let headers = via.iter().map(|via| ("via".to_owned(), (*via).to_owned())).collect();
        Signed::of(provider, &Http { headers, ..Http::default() })
    }

    fn told(answers: &[Signed]) -> Option<(f64, Option<String>)> {
        signal(answers).map(|signal| (signal.value.unwrap_or_default(), signal.detail))
    }

    #[test]
    fn the_same_signature_under_the_answers_of_all_operators_is_a_proxys_on_the_way() {
        let by_all = [
            signed("a", &["1.1 varnish, 1.1 Gate.isp.example (squid/6)"]),
            signed("b", &["1.0 gate.isp.example"]),
            signed("c", &["1.1 gate.isp.example, 1.1 x"]),
        ];
        assert_eq!(told(&by_all), Some((1.0, Some("signed by gate.isp.example".to_owned()))));
        let two_lines =
            [signed("a", &["1.1 google", "HTTP/1.1 gate"]), signed("b", &["1.1 gate"]), signed("c", &["1.1 gate"])];
        assert_eq!(told(&two_lines), Some((1.0, Some("signed by gate".to_owned()))));
    }

    #[test]
    fn content_networks_sign_for_their_own_customers_only() {
        let own = [signed("a", &["1.1 varnish"]), signed("b", &["1.1 google"]), signed("c", &["1.1 google"])];
        assert_eq!(told(&own), Some((0.0, None)));
        let one_without = [signed("a", &["1.1 varnish"]), signed("b", &["1.1 varnish"]), signed("c", &[])];
        assert_eq!(told(&one_without), Some((0.0, None)), "one of them came without");
    }

    #[test]
    fn two_operators_words_tell_nothing() {
        assert_eq!(told(&[]), None);
        let gate = |provider| signed(provider, &["1.1 gate"]);
        assert_eq!(told(&[gate("a"), gate("b"), gate("b")]), None);
        assert_eq!(
            told(&[signed("a", &["", "1.1"]), signed("b", &[" , "]), signed("c", &["gate"])]),
            Some((0.0, None)),
            "nonsense is nobody's"
        );
    }
}
