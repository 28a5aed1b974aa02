//! Prints what storing and reading one typical measurement costs: ten steps, two certificates and a body of 10 KB that
//! were seen before.
//!
//! `cargo run --release -p faultline-record --example insert_speed -- 20000`

#[path = "../tests/support/mod.rs"]
mod support;

use std::ops::ControlFlow;
use std::time::Instant;

use faultline_record::{
    Database, DnsAnswer, DnsRecord, Engine, Filter, Measurement, MeasurementId, Reader, StepData, merge,
};
use support::{chain, dns, empty_measurement, http, run, step, tls};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let number: u32 = std::env::args().nth(1).map_or(Ok(5_000), |number| number.parse())?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("speed.sqlite");
    let mut database = Database::open_or_create(&file)?;
    database.insert_run(&run(1))?;
    let mut measurement = typical();
    per_measurement("store", number, || {
        for offset in 0..number {
            measurement.id = MeasurementId::new();
            measurement.offset_ms = f64::from(offset);
            database.insert_measurement(&measurement)?;
        }
        Ok(())
    })?;
    drop(database);
    let reader = per_measurement("open and check", number, || Ok(Reader::open(&file)?))?;
    per_measurement("read", number, || {
        reader.for_each(&Filter::default(), |_| ControlFlow::<()>::Continue(()))?;
        Ok(())
    })?;
    let out = folder.path().join("merged.sqlite");
    for words in ["merge", "merge again"] {
        per_measurement(words, number, || {
            merge(&out, std::slice::from_ref(&file), |_| ControlFlow::Continue(()))?;
            Ok(())
        })?;
    }
    println!("{} bytes a measurement on disk", std::fs::metadata(&file)?.len() / u64::from(number));
    Ok(())
}

fn per_measurement<T>(words: &str, number: u32, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let start = Instant::now();
    let result = work()?;
    let each = start.elapsed() / number;
    println!("{words}: {:.1} µs a measurement", each.as_secs_f64() * 1e6);
    Ok(result)
}

fn typical() -> Measurement {
    let record = |last| DnsRecord::Address([192, 0, 2, last].into());
    let answers = |_| {
        (1..4).map(|n| DnsAnswer {
            reply: 0,
            rcode: Some(0),
            after_ms: 9,
            ttl: Some(60),
            opt: None,
            case_kept: None,
            record: record(n),
        })
    };
    let resolve = |seq| step(seq, dns(Engine::Udp, answers(seq).collect()));
    let page = step(10, StepData::Http(http(&[b'x'; 10_000])));
    let connections = [step(7, StepData::Tcp), step(8, StepData::Tcp), step(9, tls(chain())), page];
    Measurement { observations: (1..=6).map(resolve).chain(connections).collect(), ..empty_measurement(0, 0.0) }
}
