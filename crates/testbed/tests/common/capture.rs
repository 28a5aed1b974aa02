//! What the testbed's captures (pcap-ng) hold.

use std::path::Path;

use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::{Block, PcapNgReader};

/// A captured packet: whether its host sent it, when (milliseconds from the first), and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    pub is_sent: bool,
    pub at_ms: u128,
    pub bytes: Vec<u8>,
}

/// What a link saw.
pub fn captured(file: &Path) -> Vec<Captured> {
    let mut reader = PcapNgReader::new(std::fs::File::open(file).unwrap()).unwrap();
    let (mut packets, mut start) = (Vec::new(), None);
    while let Some(block) = reader.next_block() {
        let Block::EnhancedPacket(packet) = block.unwrap() else { continue };
        let start = *start.get_or_insert(packet.timestamp);
        let is_sent = packet.options.contains(&EnhancedPacketOption::Flags(2));
        let at_ms = packet.timestamp.saturating_sub(start).as_millis();
        packets.push(Captured { is_sent, at_ms, bytes: packet.data.to_vec() });
    }
    packets
}
