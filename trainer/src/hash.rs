//! Numbers that stand for data and are written down: folds, caches, checkpoints. They are spelled out here because a
//! library's may change from version to version, and with it everything that was ever written.

const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// Fowler, Noll and Vo's function, variant 1a.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(BASIS, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// The finaliser of SplitMix64: near numbers become far ones.
pub(crate) fn spread(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A sum that tells equal data from other data (Fowler, Noll and Vo, variant 1a, over words of 64 bits). No defence
/// against forgers.
pub(crate) struct Sum(u64);

impl Sum {
    pub fn new() -> Self {
        Self(BASIS)
    }

    pub fn add(&mut self, word: u64) {
        // The turn lets high bits reach low ones, which a product alone does not.
        self.0 = (self.0 ^ word).wrapping_mul(PRIME).rotate_left(23);
    }

    pub fn add_bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        words.iter().for_each(|word| self.add(u64::from_le_bytes(*word)));
        rest.iter().for_each(|byte| self.add(u64::from(*byte)));
        self.add(bytes.len() as u64);
    }

    pub fn value(&self) -> u64 {
        self.0
    }

    pub fn of_bytes(bytes: &[u8]) -> u64 {
        let mut sum = Self::new();
        sum.add_bytes(bytes);
        sum.value()
    }
}
