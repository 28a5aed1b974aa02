//! Feeds in the shapes that their publishers give them, with numbers of our own.

use super::*;

fn hints() -> Hints {
    Hints { kind: SeriesKind::Connectivity, source: None, place: Place::default(), unit: None }
}

fn of(code: &str) -> Hints {
    Hints { place: Place { country: Some(code.into()), ..Place::default() }, ..hints() }
}

fn read_with(text: &str, hints: &Hints) -> FeedRead {
    read(text.as_bytes(), hints).unwrap()
}

fn refusal(text: &str, hints: &Hints) -> String {
    read(text.as_bytes(), hints).unwrap_err().to_string()
}

#[test]
fn the_dashboards_table_is_a_series_a_column_of_the_country_that_is_given() {
    let text = "\"Time (UTC)\",\"BGP (#Visible /24s)\",\"Mozilla (City Count)\"\n\
                \"2025-12-01 00:00:00\",99.6,15\n\"2025-12-01 00:30:00\",99.7,\n";
    let read = read_with(text, &of("IR"));
    let [(bgp, points), (mozilla, one)] = read.feed.series.as_slice() else { panic!() };
    assert_eq!((bgp.source.as_str(), bgp.signal.as_str(), bgp.unit.as_deref()), ("ioda", "BGP", Some("#Visible /24s")));
    assert_eq!(points[1], Point { at: "2025-12-01T00:30:00Z".parse().unwrap(), value: 99.7, baseline: None });
    assert_eq!((mozilla.signal.as_str(), one.len(), points.len()), ("Mozilla", 1, 2));
    assert_eq!(bgp.place.country.as_deref(), Some("IR"));
    assert!(refusal(text, &hints()).contains("--country"));
}

#[test]
fn signals_events_and_alerts_of_ioda_are_read() {
    let signal = r#"{"type": "signals", "data": [[{"entityType": "country", "entityCode": "PK", "entityFqid": "geo.provider.AS.PK",
        "datasource": "bgp", "from": 1706745600, "until": 1706746500, "step": 300, "values": [10, null, 12.5]}]]}"#;
    let read = read_with(signal, &hints());
    let (series, points) = &read.feed.series[0];
    assert_eq!((series.step_ms, series.place.country.as_deref()), (Some(300_000), Some("PK")));
    assert_eq!(
        points.iter().map(|point| point.at.to_string()).collect::<Vec<_>>(),
        ["2024-02-01T00:00:00.000Z", "2024-02-01T00:10:00.000Z"]
    );
    let events = r#"{"data": [{"location": "asn/17557", "location_name": "x", "start": 1706745600, "duration": 3600, "score": 1200.5, "datasource": "bgp"},
        {"location": "country/PK", "start": null, "duration": 1}]}"#;
    let read = read_with(events, &of("PK"));
    let one = &read.feed.announcements[0];
    assert_eq!((one.place.asn, one.place.country.as_deref(), one.score), (Some(17557), Some("PK"), Some(1200.5)));
    assert_eq!(one.to.unwrap().as_millisecond() - one.from.as_millisecond(), 3_600_000);
    let alert = r#"{"data": [{"datasource": "merit-nt", "entity": {"code": "3577", "name": "Sindh", "type": "region", "attrs": {"fqid": "geo.provider.AS.PK.3577"}},
        "time": 1706745600, "level": "critical", "value": 1, "historyValue": 40}]}"#;
    let read = read_with(alert, &hints());
    let place = &read.feed.announcements[0].place;
    assert_eq!((place.country.as_deref(), place.region.as_deref()), (Some("PK"), Some("Sindh")));
}

#[test]
fn annotations_anomalies_and_series_of_radar_are_read() {
    let outages = r#"{"success": true, "result": {"annotations": [{"id": "1", "asns": [17557, 9541], "locations": ["PK"], "eventType": "OUTAGE",
        "outage": {"outageCause": "CABLE_CUT", "outageType": "NATIONWIDE"}, "startDate": "2024-08-15T04:00:00Z", "endDate": null, "scope": null}]}}"#;
    let read = read_with(outages, &hints());
    let asns: Vec<_> = read.feed.announcements.iter().map(|one| one.place.asn).collect();
    assert_eq!(asns, [Some(17557), Some(9541)]);
    let one = &read.feed.announcements[0];
    assert_eq!((one.source.as_str(), one.cause.as_deref(), one.to), ("cloudflare-radar", Some("CABLE_CUT"), None));
    let anomalies = r#"{"result": {"trafficAnomalies": [{"asnDetails": {"asn": "17557", "locations": {"code": "PK"}}, "startDate": "2024-08-15T04:00:00Z",
        "endDate": "2024-08-15T06:00:00Z", "status": "VERIFIED"}]}}"#;
    assert_eq!(read_with(anomalies, &hints()).feed.announcements[0].place.asn, Some(17557));
    let series = r#"{"result": {"meta": {"normalization": "PERCENTAGE_CHANGE"}, "serie_0": {"timestamps": ["2024-08-15T04:00:00Z", "2024-08-15T05:00:00Z"],
        "values": ["0.5", "0.75"]}}}"#;
    let read = read_with(series, &of("PK"));
    assert_eq!(
        (read.feed.series[0].1[1].value, read.feed.series[0].0.unit.as_deref()),
        (0.75, Some("PERCENTAGE_CHANGE"))
    );
    assert!(refusal(r#"{"success": false, "errors": []}"#, &hints()).contains("error"));
}

#[test]
fn demand_is_a_dated_series_with_its_baseline_as_a_table_or_as_rows() {
    let demand =
        Hints { kind: SeriesKind::Demand, source: Some("proton".into()), unit: Some("sign-ups".into()), ..hints() };
    let table = "date;country;signups;baseline\n2024-11-10;PK;4500;1000\n2024-11-11;pk;2000;1000\n";
    let rows = r#"[{"date": "2024-11-10", "country": "PK", "signups": 4500, "baseline": 1000},
                   {"date": "2024-11-11", "country": "PK", "signups": 2000, "baseline": 1000}]"#;
    let [one, other] = [table, rows].map(|text| read_with(text, &demand).feed);
    assert_eq!(one, other);
    let (series, points) = &one.series[0];
    assert_eq!(
        (series.kind, series.signal.as_str(), series.unit.as_deref()),
        (SeriesKind::Demand, "signups", Some("sign-ups"))
    );
    assert_eq!((points[0].value, points[0].baseline), (4500.0, Some(1000.0)));
    assert!(refusal(table, &Hints { source: None, ..demand }).contains("--source"));
}

#[test]
fn a_table_of_regions_in_seconds_and_three_letters_wants_the_country() {
    let text = "iso,id_1,name_1,time_e,lat,lon,connectivity\nVEN,2,Anz,1563580800,10.1,-64.7,100\nVEN,3,Apure,1563580800,7,-68,97.5\n";
    let given = Hints { source: Some("x".into()), ..hints() };
    assert!(refusal(text, &given).contains("--country"));
    let read = read_with(text, &Hints { source: Some("x".into()), ..of("VE") });
    let regions: Vec<_> = read.feed.series.iter().map(|(series, _)| series.place.region.clone().unwrap()).collect();
    assert_eq!(regions, ["Anz", "Apure"]);
    assert_eq!(read.feed.series[0].1[0].at.to_string(), "2019-07-20T00:00:00.000Z");
}

#[test]
fn a_table_with_beginnings_is_one_of_events() {
    let text =
        "start,end,country,asn,cause,description\n2024-11-10 06:00,2024-11-10 09:30,PK,AS17557,maintenance,\"a, b\"\n";
    let given = Hints { source: Some("pta".into()), ..hints() };
    let one = read_with(text, &given).feed.announcements.remove(0);
    assert_eq!(
        (one.place.asn, one.cause.as_deref(), one.words.as_deref()),
        (Some(17557), Some("maintenance"), Some("a, b"))
    );
    assert_eq!(one.to.unwrap().to_string(), "2024-11-10T09:30:00.000Z");
}

#[test]
fn what_is_no_feed_is_refused_in_words_and_odd_cells_are_counted() {
    let given = Hints { source: Some("x".into()), ..of("PK") };
    for text in [
        "",
        "hello",
        "a,b\n1,2\n",
        "date,name\n2024-01-01,x\n",
        "{}",
        "[]",
        "[1, 2]",
        "{\"data\": []}",
        "{\"a\"",
        "date,v\nnever,1\n",
    ] {
        assert!(read(text.as_bytes(), &given).is_err(), "{text:?}");
    }
    let read = read_with("date,v\nnever,1\n2024-01-01,2\n2024-01-01,3\n", &given);
    assert_eq!((read.feed.series[0].1[0].value, read.oddities.count()), (3.0, 2));
}

#[test]
fn no_cut_and_no_flipped_byte_makes_it_panic() {
    let texts = [
        "date,country,v,baseline\n2024-11-10,PK,4500,1000\n2024-11-11,PK,1e5,\n",
        r#"{"data": [[{"entityType": "asn", "entityCode": "1-PK", "datasource": "bgp", "from": 1706745600, "step": 300, "values": [1, 2]}]]}"#,
    ];
    let given = Hints { source: Some("x".into()), ..of("PK") };
    for text in texts {
        for place in 0..text.len() {
            let _ = read(&text.as_bytes()[..place], &given);
            for bit in [1, 4, 32, 128] {
                let mut flipped = text.as_bytes().to_vec();
                flipped[place] ^= bit;
                let _ = read(&flipped, &hints());
            }
        }
    }
}
