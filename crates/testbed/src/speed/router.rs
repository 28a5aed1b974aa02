//! What the router carries, with nobody measuring through it.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::{Figure, Target, as_f64, scenario};
use crate::internet::CLIENT;
use crate::scenario::Links;
use crate::world::{Making, World};

/// Bytes sent over one TCP connection.
const BULK: usize = 150_000_000;
/// Datagrams sent, and in which time.
const DATAGRAMS: u32 = 50_000;
const DATAGRAM_TIME: Duration = Duration::from_millis(2_500);
/// Size of one, about that of a small answer.
const DATAGRAM: usize = 120;

/// The figures.
pub fn figures() -> Result<Vec<Figure>> {
    let start = Instant::now();
    let world =
        World::start(&scenario("speed-router", Vec::new(), Links::default()), Making { seed: 1, ..Making::default() })?;
    let started = start.elapsed().as_secs_f64();
    let megabits = bulk(&world)?;
    let received = datagrams(&world)?;
    let per_second = as_f64(received) / DATAGRAM_TIME.as_secs_f64();
    let lost = world.router().counters().overflowed.load(Ordering::Relaxed);
    Ok(vec![
        Figure::new("world, start until every server answers", started, "s", Target::AtMost(2.0)),
        Figure::new("router, one TCP connection at 50 ms", megabits, "Mbit/s", Target::AtLeast(200.0)),
        Figure::new("router, datagrams carried", per_second, "packets/s", Target::AtLeast(19_900.0)),
        Figure::new("router, packets lost for want of room", as_f64(usize::try_from(lost)?), "packets", Target::Any),
    ])
}

fn bulk(world: &World) -> Result<f64> {
    let any = SocketAddr::new(IpAddr::from([0, 0, 0, 0]), 5001);
    let listener = world.client().inside(|| TcpListener::bind(any))??;
    let mut stream = world.abroad().inside(|| TcpStream::connect((CLIENT, 5001)))?.context("connect to the client")?;
    let (mut sink, _) = listener.accept()?;
    let start = Instant::now();
    std::thread::scope(|scope| -> Result<f64> {
        let sender = scope.spawn(move || {
            let block = vec![0; 1 << 16];
            (0..BULK / block.len()).try_for_each(|_| stream.write_all(&block))
        });
        let (mut block, mut total) = (vec![0; 1 << 18], 0);
        loop {
            match sink.read(&mut block)? {
                0 => break,
                count => total += count,
            }
        }
        sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))??;
        Ok(as_f64(total) * 8.0 / 1e6 / start.elapsed().as_secs_f64())
    })
}

/// Sends datagrams at an even pace, and gives the number that arrived.
fn datagrams(world: &World) -> Result<usize> {
    let bind = || UdpSocket::bind((IpAddr::from([0, 0, 0, 0]), 5002));
    let receiver = world.client().inside(bind)??;
    let sender = world.abroad().inside(bind)??;
    receiver.set_read_timeout(Some(Duration::from_millis(500)))?;
    sender.connect((CLIENT, 5002))?;
    std::thread::scope(|scope| {
        let counter = scope.spawn(move || {
            let mut buffer = [0; DATAGRAM];
            std::iter::from_fn(|| receiver.recv(&mut buffer).ok()).count()
        });
        let start = Instant::now();
        for number in 0..DATAGRAMS {
            let due = DATAGRAM_TIME * number / DATAGRAMS;
            // A millisecond's worth at a time: sleeping for less than that is not to be had.
            if due > start.elapsed() + Duration::from_millis(1) {
                std::thread::sleep(Duration::from_millis(1));
            }
            sender.send(&[0; DATAGRAM])?;
        }
        counter.join().map_err(|_| anyhow::anyhow!("the receiver panicked"))
    })
}
