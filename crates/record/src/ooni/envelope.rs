//! What stands around a measurement's keys (df-000): who measured, when, from which network, with which test.

use jiff::civil::DateTime;

use crate::model::{MeasurementId, Network, NetworkKind, Origin, Run, RunId, Timestamp, hex, sha256};

use crate::foreign::stable_id;

use super::json::Json;
use super::oddities::Oddities;

/// No measurement of OONI's is older, milliseconds since the epoch (2012-01-01).
const OLDEST: i64 = 1_325_376_000_000;

/// The longest input that is taken, bytes: URLs of test lists are far shorter.
const LONGEST: usize = 8_192;

/// The envelope.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    pub(super) test: String,
    pub(super) input: Option<String>,
    pub(super) started_at: Timestamp,
    pub(super) offset_ms: f64,
    pub(super) runtime_ms: f64,
    pub(super) network: Network,
    pub(super) run: Run,
    pub(super) origin: Origin,
    /// Address of the test helper, where there is one.
    pub(super) helper: Option<String>,
}

impl Envelope {
    /// Reads it; `Err` says what is missing.
    pub(super) fn read(json: &Json<'_>, raw: [u8; 32], odd: &mut Oddities) -> Result<Self, String> {
        let word = |key: &str| json.get(key).word().map(str::to_owned);
        let test = word("test_name").ok_or("it has no test_name")?;
        let begun = word("test_start_time").and_then(|text| time(&text, odd)).or_else(|| epoch(json));
        let started = word("measurement_start_time").and_then(|text| time(&text, odd)).or(begun);
        let started = started.ok_or("it does not say when it was made")?;
        if started < OLDEST || started > Timestamp::now().as_millisecond() + 86_400_000 {
            odd.note("time that cannot be", &Timestamp::from_millisecond(started).to_string());
        }
        let begun = begun.filter(|&begun| begun <= started).unwrap_or(started);
        let origin = Origin {
            format: "ooni".into(),
            test_name: test.clone(),
            test_version: word("test_version"),
            report: word("report_id"),
            uid: word("measurement_uid"),
            sha256: raw,
        };
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of one report")]
        let offset_ms = (started - begun) as f64;
        let backend = json.get("test_helpers").get("backend");
        Ok(Self {
            input: input(json, odd),
            started_at: Timestamp::from_millisecond(started),
            offset_ms,
            runtime_ms: json.get("test_runtime").milliseconds().unwrap_or(0.0),
            network: network(json, odd),
            run: run(json, &origin, begun),
            origin,
            helper: backend.get("address").word().or(backend.word()).map(str::to_owned),
            test,
        })
    }

    /// The id of the part of it that is of one target: the same whenever and wherever it is imported.
    pub(super) fn id_of(&self, part: &str) -> MeasurementId {
        MeasurementId::from_bytes(self.id(&format!("measurement {part}")))
    }

    /// An id for something of this measurement's.
    pub(super) fn id(&self, what: &str) -> [u8; 16] {
        let of = self.origin.uid.clone().unwrap_or_else(|| hex(&self.origin.sha256));
        stable_id(self.started_at.as_millisecond(), &format!("ooni {of} {what}"))
    }
}

/// `YYYY-MM-DD HH:MM:SS` in UTC, with or without a zone.
fn time(text: &str, odd: &mut Oddities) -> Option<i64> {
    let Ok(bare) = text.trim_end_matches('Z').replacen(' ', "T", 1).parse::<DateTime>() else {
        odd.note("no time", text);
        return None;
    };
    bare.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp().as_millisecond())
}

/// The start in seconds since the epoch that ooni-probe 1 wrote.
fn epoch(json: &Json<'_>) -> Option<i64> {
    let seconds = json.get("test_keys").get("start_time").number().or(json.get("start_time").number())?;
    #[expect(clippy::cast_possible_truncation, reason = "clamped to what a time can be")]
    let ms = (seconds * 1_000.0).clamp(0.0, 1.0e14) as i64;
    Some(ms)
}

/// The input: a text, or the only one of a list.
fn input(json: &Json<'_>, odd: &mut Oddities) -> Option<String> {
    let input = json.get("input");
    let text = input.word().or_else(|| input.elements().first().and_then(Json::word))?;
    if text.len() > LONGEST {
        odd.note("input longer than any real one", text);
        return None;
    }
    Some(text.to_owned())
}

fn network(json: &Json<'_>, odd: &mut Oddities) -> Network {
    let asn = json.get("probe_asn");
    let number =
        asn.word().map(|text| text.trim_start_matches(['A', 'S', 'a', 's'])).and_then(|text| text.parse().ok());
    let number = number.or_else(|| asn.whole()).filter(|&number| number != 0);
    if number.is_none() {
        odd.note("network not known", asn.text().unwrap_or(asn.kind()));
    }
    let country = json.get("probe_cc").word().map(str::to_ascii_uppercase);
    let is_country = |code: &String| code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase()) && code != "ZZ";
    Network {
        asn: number,
        as_name: json.get("probe_network_name").word().map(str::to_owned),
        country: country.filter(is_country),
        kind: match json.get("annotations").get("network_type").text() {
            Some("wifi") => NetworkKind::Wifi,
            Some("mobile" | "cellular") => NetworkKind::Mobile,
            Some("wired" | "wired_ethernet" | "ethernet") => NetworkKind::Wired,
            _ => NetworkKind::Unknown,
        },
    }
}

/// The run that stands for the report: one for each distinct content, so that two imports never contradict each other.
fn run(json: &Json<'_>, origin: &Origin, begun: i64) -> Run {
    let annotations = json.get("annotations");
    let word = |value: &Json<'_>| value.word().unwrap_or("unknown").to_owned();
    let (name, version) = (word(json.get("software_name")), word(json.get("software_version")));
    let platform = [annotations.get("platform").word(), annotations.get("architecture").word()];
    let platform = platform.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let platform = if platform.is_empty() { "unknown".to_owned() } else { platform };
    let report = origin.report.clone().or_else(|| origin.uid.clone()).unwrap_or_else(|| hex(&origin.sha256));
    let content = format!("run {begun}\0{report}\0{name}\0{version}\0{platform}");
    Run {
        id: RunId::from_bytes(stable_id(begun, &content)),
        started_at: Timestamp::from_millisecond(begun),
        software_name: name,
        software_version: version,
        platform,
        lists_sha256: sha256(b""),
        plan_sha256: sha256(b""),
        consent: "given to the tool that measured".into(),
        planned: 0,
        left_out: 0,
        tls_fingerprint: "unknown".into(),
    }
}
