//! Censored Planet's raw data as rows of ours: Quack and Hyperquack v1 and v2 (Echo, Discard, HTTP, HTTPS), Satellite v1 to v2.2 (DNS).
//! The formats are those of its documentation (docs.censoredplanet.org, `http` and `dns`).
//!
//! It measures from outside: a machine in Michigan sends a name to a server inside a network that has nothing to do with that name, between
//! requests for innocent names. So the network is the server's, `address` is the server, and the target is the name; an answer means that the
//! name passed, not that its site works. What the data say of their own (`anomaly`, `Blocked`, `confidence`, ...) is not taken over.

mod hyperquack;
mod satellite;
mod scan;
#[cfg(test)]
mod tests;
mod trial;

use std::borrow::Cow;

use crate::foreign::json::{Json, without_lone_surrogates};
use crate::foreign::{Oddities, Read, Refusal};
use crate::model::sha256;

use scan::Scan;

/// What the text of one object is.
#[derive(Clone, Debug)]
pub enum Object {
    /// A measurement.
    Measurement(Box<Read>),
    /// Something that a scan's folder holds beside its measurements, in a few words.
    Beside(&'static str),
}

/// Reads the text of one object. `place` is the path it stood in: the oldest formats tell the time and the protocol only there
/// (`CP_Quack-echo-2020-08-23-06-01-02/results.json`).
pub fn read(text: &[u8], place: &str) -> Result<Object, Refusal> {
    let mut odd = Oddities::default();
    let text = text.trim_ascii();
    let lossy = String::from_utf8_lossy(text);
    if matches!(lossy, Cow::Owned(_)) {
        odd.note("text that is not UTF-8", "replaced");
    }
    let mended;
    let json = match serde_json::from_str::<Json<'_>>(&lossy) {
        Ok(json) => json,
        Err(error) => {
            mended = without_lone_surrogates(&lossy);
            odd.note("half of a surrogate pair", "replaced");
            serde_json::from_str(&mended).map_err(|_| Refusal(format!("no JSON: {error}")))?
        }
    };
    let scan = Scan { name: scan_name(place), sha256: sha256(text) };
    let has = |key: &str| !json.get(key).is_null();
    if let Some(what) = beside(&json) {
        return Ok(Object::Beside(what));
    }
    let import = match () {
        () if has("Server") && has("Results") => hyperquack::first(&json, &scan, &mut odd),
        () if has("vp") && has("service") => hyperquack::second(&json, &scan, &mut odd),
        () if has("resolver") && has("query") => satellite::first(&json, &scan, &mut odd),
        () if has("vp") && has("test_url") => satellite::second(&json, &scan, &mut odd),
        () if has("server_ip") && has("domain") => {
            Err("rows of Hyperquack that were taken apart are not read; import the scan's results.json".to_owned())
        }
        () => Err(format!("{} is no measurement of Censored Planet's", json.kind())),
    };
    let import = import.map_err(Refusal)?;
    Ok(Object::Measurement(Box::new(Read { import, oddities: odd, may_be_kept: true })))
}

/// Records of a scan's folder that are no measurements.
fn beside(json: &Json<'_>) -> Option<&'static str> {
    let has = |key: &str| !json.get(key).is_null();
    match () {
        () if has("saddr") => Some("an answer to the scan for resolvers"),
        () if has("resolver") && !has("query") || has("vp") && !has("test_url") && !has("service") => {
            Some("a vantage point's description")
        }
        () if has("vp") && has("service") && !has("test_url") => Some("a vantage point's own check"),
        () if has("vp") && has("data") || has("resolver") && has("data") => {
            Some("a raw answer, which is told again elsewhere")
        }
        () if has("ip") && has("keyword") => Some("a page fetched from an answer's address"),
        () if has("ip") || has("answer") || (has("response") && !has("vp")) => Some("an answer's address, described"),
        () => None,
    }
}

/// The scan's name in a path: the part that begins as Censored Planet names its folders and archives.
fn scan_name(place: &str) -> &str {
    let parts = place.split(['/', ':', '\\']);
    let part = parts.rev().find(|part| part.starts_with("CP_") || part.starts_with("CP-")).unwrap_or_default();
    [".tar.gz", ".tar", ".json.gz", ".json", ".gz"].iter().find_map(|end| part.strip_suffix(end)).unwrap_or(part)
}

/// The part of a path on which the reading of an object depends: what is to be kept with its text.
pub fn place_to_keep(place: &str) -> &str {
    scan_name(place)
}
