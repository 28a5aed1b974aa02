//! Service files: parsed and checked as a whole, everything wrong with one named with its line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use faultline_record::{Availability, Endpoint};
use serde::Deserialize;
use toml::Spanned;

use super::{Rule, Service, ServiceEndpoint, ServiceKind};

/// One thing wrong with a service file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceProblem {
    /// The file.
    pub file: String,
    /// The line it is on, from 1; `None` when the file as a whole is at fault.
    pub line: Option<u64>,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for ServiceProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.reason),
            None => write!(f, "{}: {}", self.file, self.reason),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Spanned<u32>,
    service: Spanned<String>,
    title: String,
    category_code: Option<String>,
    #[serde(default)]
    kind: ServiceKind,
    #[serde(default)]
    availability: Availability,
    // A row without provenance is refused, though nothing here reads it.
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "date")]
    _date: String,
    #[serde(default)]
    endpoint: Vec<FileEndpoint>,
    #[serde(default)]
    rule: Vec<Spanned<Rule>>,
    #[serde(default)]
    protocol: Vec<FileProtocol>,
}

/// What a provider offers besides its endpoints: for a reader, and for those who write lists of servers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileProtocol {
    name: Spanned<String>,
    #[serde(default)]
    ports: Vec<u16>,
    // As with a file: nothing without provenance.
    #[serde(rename = "source")]
    _source: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileEndpoint {
    role: Spanned<String>,
    endpoint: Spanned<Inputs>,
    #[serde(rename = "source")]
    _source: Option<String>,
    #[serde(default)]
    private_ca: bool,
}

/// One endpoint, or several that can stand in for each other.
#[derive(Deserialize)]
#[serde(untagged)]
enum Inputs {
    One(String),
    Many(Vec<String>),
}

impl Inputs {
    fn all(&self) -> &[String] {
        match self {
            Self::One(input) => std::slice::from_ref(input),
            Self::Many(inputs) => inputs,
        }
    }
}

/// Parses a service file.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(file: &str, bytes: &[u8]) -> Result<Service, Vec<ServiceProblem>> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| vec![ServiceProblem { file: file.into(), line: None, reason: "not UTF-8".into() }])?;
    let mut checker = Checker { file, text, problems: Vec::new() };
    let parsed: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| line_of(text, span.start));
        vec![ServiceProblem { file: file.into(), line, reason: error.message().to_owned() }]
    })?;
    checker.header(&parsed);
    checker.rules(&parsed);
    checker.protocols(&parsed.protocol);
    let endpoints = checker.endpoints(&parsed.endpoint);
    if !checker.problems.is_empty() {
        return Err(checker.problems);
    }
    Ok(Service {
        id: parsed.service.into_inner(),
        title: parsed.title,
        category: parsed.category_code.map(|code| code.to_ascii_uppercase()),
        kind: parsed.kind,
        availability: parsed.availability,
        endpoints,
        rules: parsed.rule.into_iter().map(Spanned::into_inner).collect(),
        ports: parsed.protocol.into_iter().map(|own| (own.name.into_inner(), own.ports)).collect(),
    })
}

struct Checker<'a> {
    file: &'a str,
    text: &'a str,
    problems: Vec<ServiceProblem>,
}

impl Checker<'_> {
    fn complain<T>(&mut self, about: &Spanned<T>, reason: impl Into<String>) {
        let line = line_of(self.text, about.span().start);
        self.problems.push(ServiceProblem { file: self.file.into(), line: Some(line), reason: reason.into() });
    }

    fn header(&mut self, file: &File) {
        if *file.version.get_ref() != 1 {
            self.complain(&file.version, format!("version {} is not known here: 1 is", file.version.get_ref()));
        }
        if !is_id(file.service.get_ref()) {
            self.complain(&file.service, not_an_id("service", file.service.get_ref()));
        }
    }

    fn endpoints(&mut self, endpoints: &[FileEndpoint]) -> Vec<ServiceEndpoint> {
        let mut seen = BTreeSet::new();
        let mut parsed = Vec::new();
        for entry in endpoints {
            let role = entry.role.get_ref();
            if !is_id(role) {
                self.complain(&entry.role, not_an_id("role", role));
            }
            if !seen.insert(role) {
                self.complain(&entry.role, format!("role {role:?} occurs twice"));
            }
            if entry.endpoint.get_ref().all().is_empty() {
                self.complain(&entry.role, format!("role {role:?} has no endpoint"));
            }
            for input in entry.endpoint.get_ref().all() {
                match Endpoint::parse(input) {
                    Ok(endpoint) => parsed.push(ServiceEndpoint {
                        role: role.clone(),
                        input: input.clone(),
                        endpoint,
                        private_ca: entry.private_ca,
                    }),
                    Err(error) => self.complain(&entry.endpoint, error.to_string()),
                }
            }
        }
        parsed
    }

    fn protocols(&mut self, protocols: &[FileProtocol]) {
        for protocol in protocols {
            let name = protocol.name.get_ref();
            let is_known = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'+'));
            if name.is_empty() || !is_known {
                self.complain(&protocol.name, format!("protocol {name:?} is not the scheme of an endpoint"));
            }
            if protocol.ports.contains(&0) {
                self.complain(&protocol.name, "0 is no port");
            }
        }
    }

    fn rules(&mut self, file: &File) {
        let mut uses: BTreeMap<&str, usize> =
            file.endpoint.iter().map(|endpoint| (endpoint.role.get_ref().as_str(), 0)).collect();
        for rule in &file.rule {
            for role in &rule.get_ref().roles {
                match uses.get_mut(role.as_str()) {
                    Some(count) => *count += 1,
                    None => self.complain(rule, format!("role {role:?} of this rule has no endpoint")),
                }
            }
        }
        for endpoint in &file.endpoint {
            let role = endpoint.role.get_ref();
            match uses.get(role.as_str()) {
                Some(1) => {}
                Some(0) | None => self.complain(&endpoint.role, format!("role {role:?} is in no rule")),
                Some(_) => self.complain(&endpoint.role, format!("role {role:?} is in more than one rule")),
            }
        }
    }
}

/// Lower-case ASCII letters, digits and hyphens.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn not_an_id(what: &str, text: &str) -> String {
    format!("{what} {text:?} may hold only lower-case letters, digits and hyphens")
}

/// The line of a byte offset, from 1.
fn line_of(text: &str, offset: usize) -> u64 {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::super::RuleKind;
    use super::*;

    const GOOD: &str = r#"version = 1
service = "chat"
title = "Chat"
category_code = "comt"
availability = "high"
source = "operator"
date = "2026-11-22"
[[endpoint]]
role = "web"
endpoint = "https://chat.example/"
[[endpoint]]
role = "data"
endpoint = "tls://data.chat.example:443"
private_ca = true
[[rule]]
name = "all"
kind = "all_of"
roles = ["web", "data"]
"#;

    fn problems(from: &str, to: &str) -> String {
        assert!(GOOD.contains(from));
        let problems = parse("chat.toml", GOOD.replacen(from, to, 1).as_bytes()).unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_good_file_gives_its_endpoints_and_rules() {
        let service = parse("chat.toml", GOOD.as_bytes()).unwrap();
        assert_eq!(service.category.as_deref(), Some("COMT"));
        assert_eq!(service.availability, Availability::High);
        assert_eq!(service.endpoints.iter().map(|endpoint| endpoint.private_ca).collect::<Vec<_>>(), [false, true]);
        assert_eq!(service.rules[0].kind, RuleKind::AllOf);
    }

    #[test]
    fn an_endpoint_that_another_can_stand_in_for_may_be_let_go_unnoticed() {
        let any_of = GOOD.replace("all_of", "any_of");
        let alone = any_of
            .replace("[\"web\", \"data\"]", "[\"web\"]\n[[rule]]\nname=\"data\"\nkind=\"any_of\"\nroles=[\"data\"]");
        for (text, availability) in
            [(GOOD, Availability::High), (&any_of, Availability::Unknown), (&alone, Availability::High)]
        {
            assert_eq!(parse("chat.toml", text.as_bytes()).unwrap().availability_of("data"), availability, "{text}");
        }
    }

    #[test]
    fn a_role_may_have_many_servers_and_a_provider_says_its_protocols() {
        let many = GOOD.replace(
            "\"tls://data.chat.example:443\"",
            "[\"wireguard://a.example:51820\", \"wireguard://b.example:51820\"]",
        ) + "[[protocol]]\nname = \"wireguard\"\nports = [51820, 53]\n";
        let service = parse("vpn.toml", many.replace("version = 1", "version = 1\nkind = \"vpn\"").as_bytes()).unwrap();
        assert_eq!(service.kind, ServiceKind::Vpn);
        assert_eq!(service.endpoints.iter().filter(|endpoint| endpoint.role == "data").count(), 2);
        assert_eq!(service.ports_of("wireguard"), [51_820, 53]);
        // Two servers can stand in for each other, whatever the rule says of their role.
        assert_eq!(service.availability_of("data"), Availability::Unknown);
        assert_eq!(service.availability_of("web"), Availability::High);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (from, to, problem) in [
            ("version = 1", "version = 2", "chat.toml:1: version 2 is not known"),
            ("service = \"chat\"", "service = \"Chat\"", "chat.toml:2: service \"Chat\" may hold only"),
            ("https://chat", "htps://chat", "chat.toml:10: unknown scheme \"htps\""),
            ("role = \"data\"", "role = \"web\"", "chat.toml:12: role \"web\" occurs twice"),
            ("roles = [\"web\", \"data\"]", "roles = [\"web\"]", "chat.toml:12: role \"data\" is in no rule"),
            ("[\"web\", \"data\"]", "[\"web\", \"data\", \"web\"]", "chat.toml:9: role \"web\" is in more than one"),
            ("[\"web\", \"data\"]", "[\"web\", \"data\", \"voice\"]", "role \"voice\" of this rule has no endpoint"),
            ("kind = \"all_of\"", "kind = \"some_of\"", "chat.toml:17: unknown variant"),
            ("source = \"operator\"\n", "", "missing field `source`"),
            ("private_ca", "privat_ca", "chat.toml:14: unknown field"),
            ("private_ca = true", "[[protocol]]\nname = \"Wire Guard\"", "is not the scheme of an endpoint"),
            ("\"tls://data.chat.example:443\"", "[]", "role \"data\" has no endpoint"),
            ("availability = \"high\"", "kind = \"shop\"", "chat.toml:5: unknown ServiceKind"),
        ] {
            let found = problems(from, to);
            assert!(found.contains(problem), "{problem:?} is not in {found:?}");
        }
    }
}
