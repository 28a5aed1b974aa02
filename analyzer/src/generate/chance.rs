//! Chance that a seed decides: SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators").

fn mixed(state: u64) -> u64 {
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A stream of numbers.
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// One of the streams of that seed. Their beginnings are mixed: streams that began side by side would soon overlap.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self(mixed(mixed(seed) ^ stream))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// A number below this one, which is not 0 and far below 2^64.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap_or(0)
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Milliseconds within a range, in steps of a microsecond.
    pub fn ms(&mut self, from: u32, to: u32) -> f64 {
        let thousandths = self.below(((to - from) * 1_000) as usize);
        f64::from(from) + f64::from(u32::try_from(thousandths).unwrap_or(0)) / 1_000.0
    }

    /// A `UUIDv7` of that time (RFC 9562, 5.7).
    pub fn id(&mut self, ms: i64) -> [u8; 16] {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(ms << 16).to_be_bytes());
        let random = self.next().to_be_bytes();
        id[6] = 0x70 | (random[0] & 0x0f);
        id[7] = random[1];
        id[8..].copy_from_slice(&self.next().to_be_bytes());
        id[8] = 0x80 | (id[8] & 0x3f);
        id
    }
}
