//! One measurement in full, for a person: every step, then the verdict and what it rests on.

use std::io::{self, Write};

use super::Told;
use faultline_record::{Endpoint, Witnessed};
use faultline_verdict::words::{self, clean};
use faultline_verdict::{Verdict, local_health, state_words, summary_sentence, tunnel_words};

/// Prints a measurement with its verdict.
pub fn print(witnessed: &Witnessed, verdict: &Verdict, told: Told, out: &mut impl Write) -> io::Result<()> {
    let mut sheet = Vec::new();
    head(witnessed, &mut sheet)?;
    writeln!(sheet, "\nsteps")?;
    for row in &witnessed.measurement.observations {
        writeln!(sheet, "  {}", words::row(row))?;
    }
    judgement(verdict, &mut sheet)?;
    let sheet = String::from_utf8_lossy(&sheet);
    out.write_all(told.withheld(&witnessed.measurement).text(&sheet).as_bytes())?;
    out.flush()
}

fn head(witnessed: &Witnessed, out: &mut impl Write) -> io::Result<()> {
    let measurement = &witnessed.measurement;
    writeln!(out, "measurement {} of run {}", measurement.id, measurement.run)?;
    writeln!(out, "target      {} ({})", clean(&measurement.target.name), clean(&measurement.target.input))?;
    if let Endpoint::Vpn { protocol, .. } = measurement.target.endpoint {
        writeln!(out, "kind        {}", tunnel_words(protocol))?;
    }
    writeln!(out, "started     {}, took {:.0} ms", measurement.started_at, measurement.duration_ms)?;
    writeln!(out, "vantage     {}", words::network(&measurement.network))?;
    for (word, check) in [("before", &witnessed.witness.before), ("after", &witnessed.witness.after)] {
        match check.as_deref().map(local_health) {
            Some(health) => {
                let (ok, tried) = (health.controls_ok, health.controls_tried);
                writeln!(out, "health      {word}: {}, {ok} of {tried} controls answered", health.state)?;
            }
            None => writeln!(out, "health      {word}: not checked")?,
        }
    }
    Ok(())
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
