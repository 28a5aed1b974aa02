use std::sync::Arc;

use super::*;

fn row<'a>(scope: &'a str, location: &'a str, kind: &'a str, pattern: &'a str, countries: &'a str) -> Row<'a> {
    Row { name: "t", scope, location_found: location, pattern_type: kind, pattern, expected_countries: countries }
}

fn fingerprint(row: &Row<'_>) -> Fingerprint {
    Fingerprint::new(row, no_regexps).unwrap()
}

fn page(body: &str, headers: &[(&str, &str)]) -> Http {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Http { status: Some(200), body: Some(Arc::from(body.as_bytes())), headers, ..Http::default() }
}

#[test]
fn each_pattern_type_is_compared_in_its_own_way() {
    let http = page("before blocked by order after", &[("server", "filter/2"), ("location", "http://b.example/x")]);
    let matches = |location, kind, pattern| fingerprint(&row("nat", location, kind, pattern, "PK")).is_of_page(&http);
    assert!(matches("body", "contains", "blocked by order") && !matches("body", "contains", "Blocked"));
    assert!(matches("body", "prefix", "before ") && !matches("body", "prefix", "blocked"));
    assert!(matches("body", "full", "before blocked by order after") && !matches("body", "full", "before"));
    assert!(matches("header.server", "full", "filter/2") && !matches("header.server", "full", "filter"));
    assert!(matches("header.Location", "prefix", "http://b.example/"));
    assert!(matches("header.location", "contains", "b.example") && !matches("header.via", "contains", "b.example"));
    assert!(!matches("dns", "contains", "blocked"), "an answer's pattern is not looked for in pages");
    let upper = |text: &str| -> Result<Matches, String> {
        let text = text.to_uppercase();
        Ok(Box::new(move |page| page.to_uppercase().contains(&text)))
    };
    let compiled = Fingerprint::new(&row("nat", "body", "regexp", "By Order", "PK"), upper).unwrap();
    assert!(compiled.is_of_page(&http), "by whatever was compiled");
}

#[test]
fn an_answer_is_an_address_however_it_is_written_or_an_alias() {
    let address = |text: &str| DnsRecord::Address(text.parse().unwrap());
    let of = |pattern, record: &DnsRecord| fingerprint(&row("nat", "dns", "full", pattern, "")).is_of_answer(record);
    assert!(of("192.0.2.7", &address("192.0.2.7")) && !of("192.0.2.7", &address("192.0.2.77")));
    assert!(of("2001:db8:0:0::7", &address("2001:DB8::7")));
    assert!(of("block.example", &DnsRecord::Cname("Block.Example.".into())));
    assert!(!of("block.example", &DnsRecord::Empty));
}

#[test]
fn only_a_countrys_or_a_providers_own_settles_and_only_at_home() {
    let meaning =
        |scope, countries, at: Option<&str>| fingerprint(&row(scope, "body", "contains", "x", countries)).meaning(at);
    for scope in ["nat", "isp", "national", "isp"] {
        assert_eq!(meaning(scope, "PK, ir", Some("IR")), Meaning::Settles);
        assert_eq!(meaning(scope, "PK,IR", Some("IT")), Meaning::Resembles, "another country's");
        assert_eq!(meaning(scope, "PK,IR", None), Meaning::Resembles, "nobody knows where we are");
        assert_eq!(meaning(scope, "ZZ", Some("ZZ")), Meaning::Resembles, "anywhere is no country");
        assert_eq!(meaning(scope, "", Some("IR")), Meaning::Resembles);
    }
    for scope in ["prod", "inst", "vbw", "injb", "prov", "product", "institution"] {
        assert_eq!(meaning(scope, "IR", Some("IR")), Meaning::Resembles, "{scope}");
    }
    assert_eq!(meaning("fp", "IR", Some("IR")), Meaning::Benign);
}

#[test]
fn of_several_matches_the_one_that_says_most_counts_and_a_known_false_positive_outdoes_all() {
    let mut all = Fingerprints::default();
    let http = page("denied by the ministry", &[]);
    let meaning = |all: &Fingerprints| all.of_page(&http, Some("PK")).map(|(_, meaning)| meaning);
    assert_eq!(meaning(&all), None);
    for (scope, then) in [("vbw", Meaning::Resembles), ("nat", Meaning::Settles), ("prod", Meaning::Settles)] {
        all.push(fingerprint(&row(scope, "body", "contains", "denied", "PK")));
        assert_eq!(meaning(&all), Some(then), "{scope}");
    }
    all.push(fingerprint(&row("fp", "body", "prefix", "denied by", "")));
    assert_eq!(meaning(&all), Some(Meaning::Benign));
}

#[test]
fn what_cannot_be_used_says_why() {
    let error = |row: Row<'_>| Fingerprint::new(&row, no_regexps).unwrap_err().to_string();
    assert_eq!(error(Row { name: "", ..row("nat", "dns", "full", "x", "") }), "the name is empty");
    assert_eq!(error(row("country", "dns", "full", "x", "")), "unknown scope \"country\"");
    assert!(error(row("nat", "header.", "full", "x", "")).starts_with("unknown location \"header.\""));
    assert!(error(row("nat", "dns", "glob", "x", "")).starts_with("unknown pattern type \"glob\""));
    assert_eq!(error(row("nat", "body", "contains", " ", "")), "the pattern is empty");
    assert_eq!(error(row("nat", "dns", "full", "x", "PK,Iran")), "\"Iran\" is not a country code of two letters");
    assert!(error(row("nat", "body", "regexp", "x", "")).starts_with("the regular expression cannot be used"));
}

const HEADER: &str =
    "name,scope,other_names,location_found,pattern_type,pattern,confidence_no_fp,expected_countries,source";

fn read(text: &str) -> Result<Fingerprints, Vec<FingerprintProblem>> {
    Fingerprints::read("t.csv", text.as_bytes(), no_regexps)
}

#[test]
fn a_file_reads_by_the_names_of_its_columns_with_mark_quotes_and_blanks() {
    let text = format!("\u{feff}{HEADER}\r\na,nat,,body,contains,\" a \"\"b\"\", c\",5,\"PK, IR\",s\r\n");
    let all = read(&text).unwrap();
    assert_eq!(all.len(), 1);
    let (found, meaning) = all.of_page(&page("x a \"b\", c", &[]), Some("IR")).unwrap();
    assert_eq!((found.name(), meaning, found.expected_in().as_str()), ("a", Meaning::Settles, "IR, PK"));
    assert!(all.of_page(&page("xa \"b\", c", &[]), Some("IR")).is_none(), "blanks of a pattern count");
    let shuffled = "pattern,PATTERN_TYPE,scope,name,location_found\n192.0.2.7,full,prod,b,dns\n";
    assert_eq!(read(shuffled).unwrap().len(), 1, "countries may be left out");
}

#[test]
fn every_bad_row_is_named_with_its_line() {
    let text = format!(
        "{HEADER}\na,nat,,body,contains,x,,,\n,nat,,body,contains,\"two\nlines\",,,\nb,no,,dns,full,x,,,\nc,nat\n"
    );
    let problems: Vec<String> = read(&text).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "t.csv:3: the name is empty",
            "t.csv:5: unknown scope \"no\"",
            "t.csv:6: 2 columns where the first line has 9",
        ]
    );
    let crlf = format!("{HEADER}\r\n\r\na,nat,,body,contains,x,,,\r\n,nat,,body,contains,x,,,\r\n");
    assert_eq!(read(&crlf).unwrap_err()[0].line, 4);
    let missing = read("name,scope\n").unwrap_err();
    assert!(missing[0].to_string().starts_with("t.csv:1: the column `location_found` is missing"), "{missing:?}");
    assert!(Fingerprints::read("t.csv", b"\xff\xfe", no_regexps).is_err());
}

#[test]
fn our_own_facts_have_a_source_and_a_date_each_and_need_no_regular_expressions() {
    let bytes = include_bytes!("../../../../test-lists/fingerprints.csv");
    let mut reader = csv::Reader::from_reader(&bytes[..]);
    let header = reader.headers().unwrap().clone();
    let column = |name| header.iter().position(|column| column == name).unwrap();
    let (source, date, name) = (column("source"), column("date_added"), column("name"));
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    for row in &rows {
        assert!(row[source].len() > 10 && row[date].len() == 10 && row[name].starts_with("faultline."), "{row:?}");
    }
    assert_eq!(Fingerprints::built_in().len(), rows.len());
}
