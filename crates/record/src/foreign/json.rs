//! JSON as it comes: read leniently, borrowed from the text where it can be.
//!
//! A typed reading would refuse a whole measurement for one value of an odd type; fifteen years of OONI's data have many.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Flag(bool),
    Number(f64),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// What a missing key gives.
static NULL: Json<'static> = Json::Null;

impl<'a> Json<'a> {
    /// The value of a key; null if there is none, or if this is no object.
    pub(crate) fn get(&self, key: &str) -> &Json<'a> {
        self.members().iter().find(|(name, _)| name == key).map_or(&NULL, |(_, value)| value)
    }

    /// The members of an object.
    pub(crate) fn members(&self) -> &[(Cow<'a, str>, Json<'a>)] {
        if let Self::Object(members) = self { members } else { &[] }
    }

    /// The elements of a list.
    pub(crate) fn elements(&self) -> &[Json<'a>] {
        if let Self::List(elements) = self { elements } else { &[] }
    }

    /// A text.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// A text with something in it.
    pub(crate) fn word(&self) -> Option<&str> {
        self.text().map(str::trim).filter(|text| !text.is_empty())
    }

    /// A finite number, also where it is written as a text.
    pub(crate) fn number(&self) -> Option<f64> {
        let number = match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.filter(|number| number.is_finite())
    }

    /// Seconds, as milliseconds: none below zero, and none beyond thirty years.
    pub(crate) fn milliseconds(&self) -> Option<f64> {
        self.number().map(|seconds| (seconds * 1_000.0).clamp(0.0, 1.0e12))
    }

    /// A whole number that fits.
    pub(crate) fn whole<T: TryFrom<i64>>(&self) -> Option<T> {
        let number = self.number().filter(|number| number.fract() == 0.0 && number.abs() < 9.0e15)?;
        #[expect(clippy::cast_possible_truncation, reason = "whole and small: checked above")]
        let whole = number as i64;
        T::try_from(whole).ok()
    }

    /// Yes or no.
    pub(crate) fn flag(&self) -> Option<bool> {
        if let Self::Flag(flag) = self { Some(*flag) } else { None }
    }

    /// Whether there is nothing here.
    pub(crate) fn is_null(&self) -> bool {
        *self == Self::Null
    }

    /// Bytes: a text, or `{"format": "base64", "data": ...}` (df-001).
    pub(crate) fn bytes(&self) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text.as_bytes())),
            Self::Object(_) => self.get("data").text().and_then(base64_bytes).map(Cow::Owned),
            _ => None,
        }
    }

    /// What kind of value it is, in a word.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Flag(_) => "a truth value",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// The bytes of a base64 text (RFC 4648, section 4).
pub(crate) fn base64_bytes(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text.trim()).ok()
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Flag(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "every number of the format is a float or far below 2^53")]
    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "every number of the format is a float or far below 2^53")]
    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json<'de>, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element()? {
            elements.push(element);
        }
        Ok(Json::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some((Name(name), value)) = map.next_entry::<Name<'de>, Json<'de>>()? {
            members.push((name, value));
        }
        Ok(Json::Object(members))
    }
}

/// The name of a member.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Json::deserialize(deserializer)? {
            Json::Text(name) => Ok(Self(name)),
            other => Err(serde::de::Error::custom(format!("a name was expected, not {}", other.kind()))),
        }
    }
}

/// Replaces the halves of surrogate pairs that stand alone (`\ud800`): Python's writers leave them, and no text has them
/// (RFC 8259, section 8.2).
pub(crate) fn without_lone_surrogates(text: &str) -> String {
    let mut mended = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find('\\') {
        let (before, escape) = rest.split_at(place);
        mended.push_str(before);
        let taken = match (surrogate(escape), escape.get(6..).and_then(surrogate)) {
            (Some(Half::High), Some(Half::Low)) => 12,
            (Some(_), _) => 0,
            (None, _) => escape.char_indices().nth(2).map_or(escape.len(), |(next, _)| next),
        };
        if taken == 0 {
            mended.push_str("\\ufffd");
            rest = &escape[6..];
        } else {
            mended.push_str(&escape[..taken]);
            rest = &escape[taken..];
        }
    }
    mended.push_str(rest);
    mended
}

#[derive(Clone, Copy)]
enum Half {
    High,
    Low,
}

/// Which half of a pair the escape at the beginning of a text is.
fn surrogate(text: &str) -> Option<Half> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    match u16::from_str_radix(digits, 16).ok()? {
        0xd800..=0xdbff => Some(Half::High),
        0xdc00..=0xdfff => Some(Half::Low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Json<'_> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_nothing_and_no_error() {
        let json = parse(r#"{"a": [1, "2", true], "b": {"c": null}, "d": 1e400}"#.replace("1e400", "3").leak());
        assert_eq!(json.get("a").elements()[1].number(), Some(2.0));
        assert_eq!(json.get("a").elements()[2].number(), None);
        assert!(json.get("b").get("c").is_null() && json.get("a").get("c").is_null() && json.get("x").is_null());
        assert_eq!(json.get("d").whole::<u16>(), Some(3));
        assert_eq!(parse("70000").whole::<u16>(), None);
        assert_eq!(parse("0.5").whole::<u16>(), None);
    }

    #[test]
    fn bytes_are_a_text_or_base64() {
        assert_eq!(parse(r#"{"format": "base64", "data": "AAE="}"#).bytes().as_deref(), Some([0, 1].as_slice()));
        assert_eq!(parse(r#""ab""#).bytes().as_deref(), Some(b"ab".as_slice()));
        assert_eq!(parse(r#"{"data": "!"}"#).bytes(), None);
    }

    #[test]
    fn half_a_surrogate_pair_is_replaced_and_a_whole_one_kept() {
        let text = r#"{"a": "\ud83d\ude00 \ud800 \\ud800 \udc00x"}"#;
        assert!(serde_json::from_str::<Json<'_>>(text).is_err());
        let mended = without_lone_surrogates(text);
        assert_eq!(mended, r#"{"a": "\ud83d\ude00 \ufffd \\ud800 \ufffdx"}"#);
        assert_eq!(parse(&mended).get("a").text(), Some("\u{1f600} \u{fffd} \\ud800 \u{fffd}x"));
        for text in ["\\", "\\u", "\\ud8", "\\ud800\\u", "ä\\"] {
            without_lone_surrogates(text);
        }
    }
}
