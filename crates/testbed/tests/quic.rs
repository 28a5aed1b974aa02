//! QUIC's version negotiation in worlds, seen by perl's sockets: who answers, and whom a filter lets answer.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and that is all it can do")]

mod common;

use common::{can_run_with, in_client};

/// Asks three hosts for their versions (RFC 9000 section 6): a reserved version, padded to 1200 octets. Prints each with the version
/// of the answer's header, the connection ids in it and its length, or that nothing came.
const ASK: &str = r#"perl -MIO::Socket::INET -MIO::Select -e '
my $head = pack("C N C a8 C a8 C n", 0xc3, 0x5a6a7a8a, 8, "destin_8", 8, "source_8", 0, 0x4496);
for my $at ("8.8.8.8", "1.1.1.1", "104.244.42.1") {
    my $socket = IO::Socket::INET->new(Proto => "udp", PeerAddr => $at, PeerPort => 443) or die;
    $socket->send($head . ("\0" x 1174));
    if (IO::Select->new($socket)->can_read(2) and defined $socket->recv(my $answer, 2048)) {
        my (undef, $version, undef, $to, undef, $from) = unpack("C N C a8 C a8", $answer);
        printf "%s %d %s %s %d\n", $at, $version, $to, $from, (length($answer) - 23) / 4;
    } else { print "$at silent\n" }
}'"#;

fn asked(scenario: &str) -> Vec<String> {
    in_client(scenario, ASK).lines().map(str::to_owned).collect()
}

#[test]
fn the_resolvers_that_speak_quic_and_the_site_say_their_versions_and_a_filter_of_initials_lets_them() {
    if !can_run_with(&["caddy", "gtlsserver"]) {
        return;
    }
    let said = asked("quic-all-initials-dropped");
    assert!(said.len() == 3 && said.iter().all(|line| line.contains(" 0 source_8 destin_8 ")), "{said:?}");
}

#[test]
fn nobody_says_anything_where_the_port_is_closed_for_all() {
    if can_run_with(&["caddy", "gtlsserver"]) {
        let said = asked("quic-port-dropped-for-all");
        assert!(said.len() == 3 && said.iter().all(|line| line.ends_with("silent")), "{said:?}");
    }
}
