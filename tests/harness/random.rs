//! Numbers from a seed.

/// xorshift64*, after Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled" (2016).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// At least 0, and less than this.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }

    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// The index of one of so many.
    pub fn index(&mut self, count: usize) -> usize {
        let count = u64::try_from(count).expect("a few choices");
        usize::try_from(self.below(count)).expect("a small number")
    }

    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }
}
