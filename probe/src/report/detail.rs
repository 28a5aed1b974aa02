//! One measurement in full, for a person: every step, then the verdict and what it rests on.

use std::io::{self, Write};

use faultline_record::{Dns, DnsRecord, Http, Observation, Outcome, StepData, Tls, Witnessed};
use faultline_verdict::{Verdict, local_health, state_words, summary_sentence};

use super::clean;

/// Prints a measurement with its verdict.
pub fn print(witnessed: &Witnessed, verdict: &Verdict, out: &mut impl Write) -> io::Result<()> {
    head(witnessed, out)?;
    writeln!(out, "\nsteps")?;
    for row in &witnessed.measurement.observations {
        step(row, out)?;
    }
    judgement(verdict, out)?;
    out.flush()
}

fn head(witnessed: &Witnessed, out: &mut impl Write) -> io::Result<()> {
    let measurement = &witnessed.measurement;
    let network = &measurement.network;
    let asn = network.asn.map_or_else(|| "network not declared".into(), |asn| format!("AS{asn}"));
    writeln!(out, "measurement {} of run {}", measurement.id, measurement.run)?;
    writeln!(out, "target      {} ({})", clean(&measurement.target.name), clean(&measurement.target.input))?;
    writeln!(out, "started     {}, took {:.0} ms", measurement.started_at, measurement.duration_ms)?;
    writeln!(
        out,
        "vantage     {asn}, {}, {}",
        network.country.as_deref().unwrap_or("country not declared"),
        network.kind
    )?;
    for (word, check) in [("before", &witnessed.witness.before), ("after", &witnessed.witness.after)] {
        match check.as_ref().map(local_health) {
            Some(health) => {
                let (ok, tried) = (health.controls_ok, health.controls_tried);
                writeln!(out, "health      {word}: {}, {ok} of {tried} controls answered", health.state)?;
            }
            None => writeln!(out, "health      {word}: not checked")?,
        }
    }
    Ok(())
}

fn step(row: &Observation, out: &mut impl Write) -> io::Result<()> {
    let end = match row.outcome {
        Outcome::Ok => "ok".to_owned(),
        Outcome::Failed(failure) => failure.to_string(),
        Outcome::NotRun(reason) => format!("not run: {reason}"),
    };
    let place = match (row.address, row.port) {
        (Some(address), Some(port)) => std::net::SocketAddr::new(address, port).to_string(),
        (Some(address), None) => address.to_string(),
        _ => String::new(),
    };
    let (step, purpose) = (row.step(), row.purpose);
    write!(out, "{:>4}  {:>8.1} ms  {step:<4}  {purpose:<12}  {end}", row.seq, row.t0_ms)?;
    for part in [place, format!("{:.1} ms", row.t_ms - row.t0_ms), seen(&row.data)] {
        if !part.is_empty() {
            write!(out, ", {}", clean(&part))?;
        }
    }
    match &row.detail {
        Some(detail) => writeln!(out, ", {}", clean(detail)),
        None => writeln!(out),
    }
}

fn seen(data: &StepData) -> String {
    match data {
        StepData::Dns(dns) => answers(dns),
        StepData::Tcp => String::new(),
        StepData::Tls(tls) => handshake(tls),
        StepData::Http(http) => response(http),
    }
}

fn answers(dns: &Dns) -> String {
    let record = |record: &DnsRecord| match record {
        DnsRecord::Address(address) => address.to_string(),
        DnsRecord::Cname(name) => format!("alias {name}"),
        DnsRecord::Empty => "nothing".into(),
    };
    let all: Vec<String> = dns
        .answers
        .iter()
        .map(|answer| match answer.reply {
            0 => record(&answer.record),
            reply => format!("{} in reply {} after {} ms", record(&answer.record), reply + 1, answer.after_ms),
        })
        .collect();
    format!("{} {} from {}: {}", dns.hostname, dns.query_type, dns.resolver, all.join(" "))
}

fn handshake(tls: &Tls) -> String {
    let mut parts = vec![format!("server name {}", tls.sni.as_deref().unwrap_or("not sent"))];
    parts.extend(tls.version.clone());
    parts.extend(tls.first_bytes.filter(|_| tls.version.is_none()).map(|first| format!("first bytes: {first}")));
    parts.extend(tls.chain.first().map(|leaf| format!("certificate {:?} by {:?}", leaf.subject, leaf.issuer)));
    parts.join(", ")
}

fn response(http: &Http) -> String {
    let status = http.status.map_or_else(|| "no response".to_owned(), |status| format!("status {status}"));
    let cut = if http.body_truncated { ", cut" } else { "" };
    format!("{}: {status}, {} bytes{cut}", http.url, http.body_length)
}

fn judgement(verdict: &Verdict, out: &mut impl Write) -> io::Result<()> {
    let p = verdict.p;
    writeln!(out, "\nverdict     {}: {}", state_words(verdict.state), clean(&summary_sentence(verdict)))?;
    writeln!(out, "cause       {}", verdict.cause)?;
    if !verdict.mechanisms.is_empty() {
        writeln!(out, "mechanism   {}", verdict.mechanisms.join(" "))?;
    }
    writeln!(out, "probable    ok {:.2}, down {:.2}, blocked {:.2}", p.ok, p.down, p.blocked)?;
    writeln!(out, "\nevidence (rules {})", verdict.ruleset)?;
    for evidence in &verdict.evidence {
        let rows: Vec<String> = evidence.observations.iter().map(ToString::to_string).collect();
        let steps = if rows.is_empty() { String::new() } else { format!(" [steps {}]", rows.join(" ")) };
        writeln!(out, "{:>+6.2}  {}: {}{steps}", evidence.weight, evidence.rule, clean(&evidence.text))?;
    }
    Ok(())
}
