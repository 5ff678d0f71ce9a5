//! Sets of classes, and the wait before a change is believed.

use crate::card::MAX_CLASSES;

/// A set of class indices, as 128 bits: copied, never allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct ClassSet(u128);

impl ClassSet {
    /// Whether the class is in the set.
    #[must_use]
    pub fn contains(self, class: usize) -> bool {
        class < MAX_CLASSES && self.0 & (1 << class) != 0
    }

    /// Puts the class in, or takes it out.
    pub fn set(&mut self, class: usize, on: bool) {
        if class < MAX_CLASSES {
            if on {
                self.0 |= 1 << class;
            } else {
                self.0 &= !(1 << class);
            }
        }
    }

    /// Whether no class is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The indices, in ascending order.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..MAX_CLASSES).filter(move |&c| self.contains(c))
    }

    /// The set as bits, class 0 lowest: to hand it through an atomic or a ring.
    #[must_use]
    pub fn bits(self) -> u128 {
        self.0
    }

    /// The set of these bits.
    #[must_use]
    pub fn from_bits(bits: u128) -> Self {
        Self(bits)
    }
}

impl FromIterator<usize> for ClassSet {
    fn from_iter<T: IntoIterator<Item = usize>>(classes: T) -> Self {
        let mut set = Self::default();
        for class in classes {
            set.set(class, true);
        }
        set
    }
}

/// Counts for how many hops in a row a change has been wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hold(u32);

impl Hold {
    /// One more hop wants the change; true once `hops` hops in a row (at least one) have.
    pub fn held(&mut self, hops: u32) -> bool {
        self.0 = self.0.saturating_add(1);
        self.0 >= hops.max(1)
    }
}

/// How many hops of `hop_ms` it takes until `ms` have passed, at least 1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 10 s, never negative")]
pub(super) fn hops(ms: f32, hop_ms: f32) -> u32 {
    (ms / hop_ms).ceil().clamp(1.0, 100_000.0) as u32
}
