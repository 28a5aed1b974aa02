//! Dialogues of tunnels and proxies: no answer makes one panic, spend what did not come, or go on for ever, and the end does not
//! depend on how the octets were cut.
#![no_main]

use faultline_wire::dialogue::{Dialogue, Turn};
use faultline_wire::{anyconnect, http_proxy, pptp, socks5, softether, sstp};
use libfuzzer_sys::fuzz_target;

fn client(kind: u8) -> Box<dyn Dialogue> {
    match kind % 6 {
        0 => Box::new(pptp::Client::default()),
        1 => Box::new(sstp::Client::new("a.example", [7; 16])),
        2 => Box::new(anyconnect::Client::new("a.example")),
        3 => Box::new(softether::Client::new("a.example")),
        4 => Box::new(socks5::Client::new("a.example", 443)),
        _ => Box::new(http_proxy::Client::new("a.example", 443)),
    }
}

/// Turns until the last, octets heard `step` by `step`.
fn talk(kind: u8, octets: &[u8], step: usize) -> Option<Turn> {
    let (mut client, mut start, mut end, mut turns) = (client(kind), 0, 0, 0);
    assert!(!client.opening().is_empty());
    loop {
        match client.hear(&octets[start..end]) {
            Turn::More if end == octets.len() => return None,
            Turn::More => end = octets.len().min(end + step),
            Turn::Next { spent, send } => {
                assert!(spent > 0 && spent <= end - start && !send.is_empty());
                start += spent;
                turns += 1;
                assert!(turns <= 16, "for ever");
            }
            last => return Some(last),
        }
    }
}

fuzz_target!(|octets: &[u8]| {
    let Some((kind, octets)) = octets.split_first() else { return };
    let by_one = talk(*kind, octets, 1);
    if let Some(Turn::End { spent, .. }) = &by_one {
        assert!(*spent <= octets.len());
    }
    let ends = |turn: &Option<Turn>| turn.as_ref().map(std::mem::discriminant);
    // In one piece more may be there than is read; what is no answer in pieces is none at once.
    if let (Some(Turn::End { .. }), Some(_)) = (&by_one, &talk(*kind, octets, octets.len().max(1))) {
        assert_eq!(ends(&by_one), ends(&talk(*kind, octets, 7)));
    }
});
