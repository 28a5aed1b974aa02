//! Service files: the endpoints that make a service, each with a role, and the rules that join them.

use std::collections::{BTreeMap, BTreeSet};

use faultline_record::{Availability, Endpoint};
use serde::Deserialize;
use toml::Spanned;

use super::problem::ListProblem;

/// A service, parsed and checked.
#[derive(Clone, Debug)]
pub struct Service {
    /// Stable id, the first half of every target's name.
    pub id: String,
    /// For a reader.
    pub title: String,
    /// Category code.
    pub category: Option<String>,
    /// What a failure to answer is worth.
    pub availability: Availability,
    /// Its endpoints.
    pub endpoints: Vec<ServiceEndpoint>,
    /// How they make the service; every role occurs in exactly one.
    pub rules: Vec<Rule>,
}

impl Service {
    /// What a failure of one endpoint to answer is worth. Where another endpoint can stand in its place (`any_of`), an
    /// operator may let one go without anybody noticing: the service is seldom down, its single hosts are not.
    pub fn availability_of(&self, role: &str) -> Availability {
        let replaceable = |rule: &&Rule| rule.kind == RuleKind::AnyOf && rule.roles.len() > 1;
        let is_replaceable = self.rules.iter().filter(replaceable).any(|rule| rule.roles.iter().any(|own| own == role));
        if is_replaceable { Availability::Unknown } else { self.availability }
    }
}

/// One endpoint of a service.
#[derive(Clone, Debug)]
pub struct ServiceEndpoint {
    /// Its part in the service, the second half of the target's name.
    pub role: String,
    /// As it was written.
    pub input: String,
    /// What it means.
    pub endpoint: Endpoint,
    /// Its chain is not anchored in the public roots.
    pub private_ca: bool,
}

/// How some endpoints together make a part of the service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name of the part.
    pub name: String,
    /// How many are needed.
    pub kind: RuleKind,
    /// Which endpoints.
    pub roles: Vec<String>,
}

/// How many endpoints of a rule are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// One suffices.
    AnyOf,
    /// Every one.
    AllOf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Spanned<u32>,
    service: Spanned<String>,
    title: String,
    category_code: Option<String>,
    #[serde(default)]
    availability: Availability,
    // A row without provenance is refused, though nothing here reads it.
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "date")]
    _date: String,
    endpoint: Vec<FileEndpoint>,
    rule: Vec<Spanned<Rule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileEndpoint {
    role: Spanned<String>,
    endpoint: Spanned<String>,
    #[serde(rename = "source")]
    _source: Option<String>,
    #[serde(default)]
    private_ca: bool,
}

/// Parses a service file; everything wrong with it is a problem.
pub fn parse(file: &str, bytes: &[u8]) -> Result<Service, Vec<ListProblem>> {
    let text = std::str::from_utf8(bytes).map_err(|_| vec![ListProblem::of_file(file, "not UTF-8")])?;
    let mut checker = Checker { file, text, problems: Vec::new() };
    let parsed: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| line_of(text, span.start));
        vec![ListProblem { file: file.into(), line, reason: error.message().to_owned() }]
    })?;
    checker.header(&parsed);
    checker.rules(&parsed);
    let endpoints = checker.endpoints(&parsed.endpoint);
    if !checker.problems.is_empty() {
        return Err(checker.problems);
    }
    Ok(Service {
        id: parsed.service.into_inner(),
        title: parsed.title,
        category: parsed.category_code.map(|code| code.to_ascii_uppercase()),
        availability: parsed.availability,
        endpoints,
        rules: parsed.rule.into_iter().map(Spanned::into_inner).collect(),
    })
}

struct Checker<'a> {
    file: &'a str,
    text: &'a str,
    problems: Vec<ListProblem>,
}

impl Checker<'_> {
    fn complain<T>(&mut self, about: &Spanned<T>, reason: impl Into<String>) {
        let line = line_of(self.text, about.span().start);
        self.problems.push(ListProblem::at(self.file, line, reason));
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
            let input = entry.endpoint.get_ref();
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
        parsed
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
fn is_id(text: &str) -> bool {
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
        ] {
            let found = problems(from, to);
            assert!(found.contains(problem), "{problem:?} is not in {found:?}");
        }
    }
}
