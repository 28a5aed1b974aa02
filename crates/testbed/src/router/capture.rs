//! Captures: what each host sent and received, one pcap-ng file a link, for debugging and for comparing worlds.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::time::{Instant, SystemTime};

use anyhow::{Context as _, Result};
use pcap_file::DataLink;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};

use super::path::{LinkId, Topology};
use super::queue::MTU;

/// Which way a packet went, as the option `epb_flags` has it (draft-ietf-opsawg-pcapng section 4.3.1).
#[derive(Debug, Clone, Copy)]
pub enum Way {
    /// To the host.
    In = 1,
    /// From the host.
    Out = 2,
}

/// Time stamps count ten to the power of minus this (option `if_tsresol`, section 4.2).
const NANOSECONDS: u8 = 9;

/// The files of a world. What cannot be written is not captured: packets do not wait for a disk.
pub struct Captures {
    files: Vec<PcapNgWriter<BufWriter<File>>>,
    start: (Instant, SystemTime),
}

impl std::fmt::Debug for Captures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Captures").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

impl Captures {
    /// One file in `folder` for each link, by its name.
    pub fn new(topology: &Topology, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("make the folder {}", folder.display()))?;
        let open = |name: &str| -> Result<_> {
            let path = folder.join(format!("{name}.pcapng"));
            let file = File::create(&path).with_context(|| format!("write {}", path.display()))?;
            let mut writer = PcapNgWriter::new(BufWriter::new(file))?;
            writer.write_pcapng_block(InterfaceDescriptionBlock {
                linktype: DataLink::RAW,
                snaplen: u32::try_from(MTU)?,
                options: vec![
                    InterfaceDescriptionOption::IfName(name.to_owned().into()),
                    InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
                ],
            })?;
            Ok(writer)
        };
        let files = topology.links.iter().map(|link| open(&link.name)).collect::<Result<_>>()?;
        Ok(Self { files, start: (Instant::now(), SystemTime::now()) })
    }

    /// Keeps a packet that a link's host sent or received.
    pub fn keep(&mut self, link: LinkId, way: Way, bytes: &[u8], now: Instant) {
        let since = now.saturating_duration_since(self.start.0);
        let epoch = self.start.1.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let block = EnhancedPacketBlock {
            interface_id: 0,
            timestamp: epoch + since,
            original_len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            data: bytes.into(),
            options: vec![EnhancedPacketOption::Flags(way as u32)],
        };
        let _ = self.files[link.0].write_pcapng_block(block);
    }
}
