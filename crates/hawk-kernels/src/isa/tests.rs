//! Every method of every instruction set of this CPU against the portable one, on random and on
//! special values, and against the definitions where a layout is an instruction set's own.

use std::panic::catch_unwind;

use super::simd::SMALLEST_BF16;
use super::{Isa, Kernel, LANES, ROUND, Simd, dispatch_on, round_to_bf16};
use crate::matrix::{BLOCK, PANEL, WEIGHT_OFFSET};

const ROUNDS: usize = 3_000;

/// Zeros, numbers about 1, the ends of the range, subnormal numbers, ties of rounding to bf16 and to
/// integers, the border below which bf16 is 0, infinities, NaN with and without a sign, quiet and
/// signalling, with payloads that rounding to bf16 would lose.
const SPECIAL: [u32; 40] = [
    0x0000_0000,
    0x8000_0000,
    0x3f80_0000,
    0xbf80_0000,
    0x3f80_0001,
    0x3f7f_ffff,
    0x7f7f_ffff,
    0xff7f_ffff,
    0x0000_0001,
    0x8000_0001,
    0x007f_ffff,
    0x807f_ffff,
    0x0080_0000,
    0x8080_0000,
    0x0000_8000,
    0x0001_8000,
    0x3f80_8000,
    0x3f81_8000,
    0xbf80_8000,
    0xbf81_8000,
    0x3f80_7fff,
    0x3f80_8001,
    0x3f81_7fff,
    0x7f7f_8000,
    0x3f00_0000,
    0xbf00_0000,
    0x3fc0_0000,
    0x4020_0000,
    0xc020_0000,
    0x42fd_0000,
    0x2680_0000,
    0x267f_ffff,
    0xa680_0000,
    0xa67f_ffff,
    0x7f80_0000,
    0xff80_0000,
    0x7fc0_0000,
    0xffc1_2345,
    0x7f80_0001,
    0xffbf_ffff,
];

/// Random bits by a linear congruential generator.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    /// In `[-1, 1)`.
    fn unit(&mut self) -> f32 {
        (self.bits() >> 8) as f32 / 8_388_608.0 - 1.0
    }

    /// Special, of any bits, or of a usual size.
    fn number(&mut self) -> f32 {
        match self.bits() % 4 {
            0 => f32::from_bits(SPECIAL[self.bits() as usize % SPECIAL.len()]),
            1 => f32::from_bits(self.bits()),
            2 => self.bits().cast_signed() as f32 / 2_147_483_648.0,
            _ => (self.bits() % 17) as f32 / 2.0 - 4.0,
        }
    }

    fn numbers<const N: usize>(&mut self) -> [f32; N] {
        std::array::from_fn(|_| self.number())
    }
}

/// The instruction sets of this CPU.
fn here() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_here())
}

/// What a kernel returns on an instruction set.
fn on<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    assert!(isa.is_here());
    // SAFETY: this CPU has the instruction set; the kernels of the tests own what they point to.
    unsafe { dispatch_on(isa, kernel) }
}

/// The lanes of words.
unsafe fn words<S: Simd>(v: S::W) -> [u32; LANES] {
    assert_eq!(size_of::<S::W>(), size_of::<[u32; LANES]>());
    // SAFETY: as long, and any bits are words.
    unsafe { std::mem::transmute_copy(&v) }
}

/// The name of a method and the bits that it gave.
type Answer = (&'static str, Vec<u32>);

/// Bits of numbers. Where an operation gives NaN, its sign and payload are the processor's choice.
fn arithmetic(v: &[f32]) -> Vec<u32> {
    v.iter().map(|x| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }).collect()
}

fn exactly(v: &[f32]) -> Vec<u32> {
    v.iter().map(|x| x.to_bits()).collect()
}

/// The methods over eight numbers.
#[derive(Clone, Copy)]
struct Eight<'a>(&'a [[f32; LANES]; 4]);

impl Kernel for Eight<'_> {
    type Output = Vec<Answer>;
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> Vec<Answer> {
        // SAFETY: the caller gives the instruction set; all arrays are of one vector.
        unsafe {
            let [a, b, c, d] = self.0.map(|v| S::load(v.as_ptr()));
            let mut out = [0.0; LANES];
            let mut read = |v: S::F| {
                S::store(out.as_mut_ptr(), v);
                out
            };
            vec![
                ("load and store", exactly(&read(a))),
                ("splat", exactly(&read(S::splat(self.0[0][0])))),
                ("fma", arithmetic(&read(S::fma(a, b, c)))),
                ("add", arithmetic(&read(S::add(a, b)))),
                ("sub", arithmetic(&read(S::sub(a, b)))),
                ("mul", arithmetic(&read(S::mul(a, b)))),
                ("div", arithmetic(&read(S::div(a, b)))),
                ("max", exactly(&read(S::max(a, b)))),
                ("min", exactly(&read(S::min(a, b)))),
                ("at_least", vec![S::at_least(a, b), S::at_least(a, a)]),
                ("choose", exactly(&read(S::choose(a, b, c, d)))),
            ]
        }
    }
}

/// The methods over eight words.
#[derive(Clone, Copy)]
struct Words<'a> {
    words: &'a [[u32; LANES]; 4],
    table: &'a [f32; 1024],
}

impl Kernel for Words<'_> {
    type Output = Vec<Answer>;
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> Vec<Answer> {
        // SAFETY: the caller gives the instruction set; all arrays are of one vector.
        unsafe {
            let v = self.words.map(|words| S::load_words(words.as_ptr()));
            let bits = |v: S::W| words::<S>(v).to_vec();
            let mut found = [0.0; LANES];
            S::store(found.as_mut_ptr(), S::look_up(self.table.as_ptr(), v[0]));
            vec![
                ("load_words", bits(v[0])),
                ("splat_word", bits(S::splat_word(self.words[0][0]))),
                ("xor", bits(S::xor(v[0], v[1]))),
                ("wide_product", S::wide_product(v[0], v[1]).map(bits).concat()),
                ("weave", S::weave(v).map(bits).concat()),
                ("look_up", exactly(&found)),
            ]
        }
    }
}

/// The methods over the sixteen outputs of a panel that have one layout everywhere.
#[derive(Clone, Copy)]
struct Sixteen<'a> {
    numbers: &'a [[f32; PANEL]; 3],
    scales: &'a [u16; PANEL],
    halves: &'a [u16; PANEL],
    integer: i32,
}

impl Kernel for Sixteen<'_> {
    type Output = Vec<Answer>;
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> Vec<Answer> {
        // SAFETY: the caller gives the instruction set; all arrays are of sixteen elements.
        unsafe {
            let [a, b, c] = self.numbers.map(|v| S::load16(v.as_ptr()));
            let mut out = [0.0; PANEL];
            let mut read = |v: S::F16| {
                S::store16(out.as_mut_ptr(), v);
                out
            };
            vec![
                ("load16 and store16", exactly(&read(a))),
                ("splat16", exactly(&read(S::splat16(self.numbers[0][0])))),
                ("add16", arithmetic(&read(S::add16(a, b)))),
                ("sub16", arithmetic(&read(S::sub16(a, b)))),
                ("mul16", arithmetic(&read(S::mul16(a, b)))),
                ("fma16", arithmetic(&read(S::fma16(a, b, c)))),
                ("max16", exactly(&read(S::max16(a, b)))),
                ("load_scales", exactly(&read(S::load_scales(self.scales.as_ptr())))),
                ("load_halves", exactly(&read(S::load_halves(self.halves.as_ptr())))),
                ("splat_i32 and to_f32", exactly(&read(S::to_f32(S::splat_i32(self.integer))))),
            ]
        }
    }
}

#[test]
fn every_method_has_the_bits_of_the_portable_one() {
    let mut random = Random(1);
    let table = std::array::from_fn(|_| random.number());
    for round in 0..ROUNDS {
        let eight = std::array::from_fn(|_| random.numbers());
        let words = std::array::from_fn(|_| std::array::from_fn(|_| random.bits()));
        let numbers = std::array::from_fn(|_| random.numbers());
        let scales = std::array::from_fn(|_| random.bits() as u16);
        // Those of every second round are subnormal.
        let halves = std::array::from_fn(|_| random.bits() as u16 & if round % 2 == 0 { 0x83ff } else { 0xfbff });
        let integer = [i32::MIN, i32::MAX, 0, 16_777_217, -16_777_219, 33_554_435, 127 * 127 * 64];
        let integer = integer.get(round).copied().unwrap_or(random.bits().cast_signed() >> (round % 20));
        let answers = |isa| {
            let words = on(isa, Words { words: &words, table: &table });
            let sixteen = on(isa, Sixteen { numbers: &numbers, scales: &scales, halves: &halves, integer });
            [on(isa, Eight(&eight)), words, sixteen].concat()
        };
        let portable = answers(Isa::Scalar);
        for isa in here() {
            for ((name, found), (_, wanted)) in answers(isa).iter().zip(&portable) {
                assert_eq!(found, wanted, "{isa} {name}, round {round}: {eight:08x?} {words:08x?} {numbers:08x?}");
            }
        }
    }
}

/// `2^n`.
struct Power(i32);

impl Kernel for Power {
    type Output = [f32; LANES];
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        // SAFETY: the caller gives the instruction set; the array is one vector.
        unsafe { S::store(out.as_mut_ptr(), S::pow2(S::splat(self.0 as f32 + ROUND))) };
        out
    }
}

#[test]
fn powers_of_two_are_exact() {
    for isa in here() {
        for n in -126..=127 {
            assert_eq!(on(isa, Power(n)), [2.0_f32.powi(n); LANES], "{isa} {n}");
        }
    }
}

/// The largest and the sum.
struct Reduced<'a>(&'a [f32; PANEL]);

impl Kernel for Reduced<'_> {
    type Output = (f32, f32);
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> (f32, f32) {
        // SAFETY: the caller gives the instruction set; a prefetch may point anywhere.
        unsafe {
            S::prefetch(std::ptr::null());
            let v = S::load16(self.0.as_ptr());
            (S::largest(v), S::exact_sum(v))
        }
    }
}

#[test]
fn sixteen_numbers_have_a_largest_and_a_sum() {
    let mut random = Random(2);
    for round in 0..ROUNDS {
        // Their sums are exact in any order; the largest is in every lane once.
        let mut x: [f32; PANEL] = std::array::from_fn(|_| (random.bits() % 2_000) as f32 - 1_999.0);
        x[round % PANEL] = 1.0 + (round % 7) as f32;
        let wanted = (x[round % PANEL], x.iter().sum());
        let mut fault = x;
        fault[round % PANEL] = f32::NAN;
        for isa in here() {
            assert_eq!(on(isa, Reduced(&x)), wanted, "{isa} {x:?}");
            assert!(on(isa, Reduced(&fault)).1.is_nan(), "{isa} loses NaN in lane {}", round % PANEL);
        }
    }
}

/// Sixteen numbers rounded to bf16.
struct Pairs<'a>(&'a [f32; PANEL]);

impl Kernel for Pairs<'_> {
    type Output = Vec<u32>;
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> Vec<u32> {
        let mut bytes = [0xaa_u8; PANEL / 2 * 8 + 1];
        // SAFETY: the caller gives the instruction set, and no one has larger pairs.
        unsafe { S::store_pairs(bytes.as_mut_ptr(), S::load16(self.0.as_ptr())) };
        let (written, rest) = bytes.split_at(PANEL / 2 * S::PAIR_BYTES);
        assert!(rest.iter().all(|byte| *byte == 0xaa), "bytes behind the pairs");
        match S::PAIR_BYTES {
            4 => written.as_chunks().0.iter().map(|half| u32::from(u16::from_le_bytes(*half)) << 16).collect(),
            _ => written.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect(),
        }
    }
}

#[test]
fn rounding_to_bf16_keeps_ties_nan_infinities_and_the_border_of_0() {
    let mut random = Random(3);
    let special = SPECIAL.map(f32::from_bits);
    let (chunks, _) = special.as_chunks::<LANES>();
    let check = |x: [f32; PANEL]| {
        let wanted: Vec<u32> = x.iter().map(|x| round_to_bf16(*x).to_f32().to_bits()).collect();
        for isa in here() {
            assert_eq!(on(isa, Pairs(&x)), wanted, "{isa} {:08x?}", x.map(f32::to_bits));
        }
    };
    for chunk in chunks {
        check([chunk.as_slice(), chunk].concat().try_into().unwrap_or([0.0; PANEL]));
    }
    (0..10 * ROUNDS).for_each(|_| check(random.numbers()));
    // The definition itself: to even, to infinity, to 0 below 2^-50, NaN stays NaN.
    let round = |bits| round_to_bf16(f32::from_bits(bits)).to_bits();
    assert_eq!([0x3f80_8000, 0x3f81_8000, 0x7f7f_8000].map(round), [0x3f80, 0x3f82, 0x7f80]);
    assert_eq!([0x2680_0000, 0xa67f_ffff, 0x0000_0001].map(round), [0x2680, 0, 0]);
    assert_eq!([0x7f80_0001, 0xffbf_ffff].map(round), [0x7fc0, 0xffff]);
    assert_eq!(SMALLEST_BF16.to_bits(), 0x2680_0000);
}

/// Bytes aligned as panels are.
#[repr(align(64))]
#[derive(Clone, Copy)]
struct Aligned([[u16; 2]; PANEL]);

/// A chain of products of pairs.
struct PairSums<'a> {
    weights: &'a [Aligned; PANEL / 2],
    inputs: &'a [f32; PANEL],
}

impl Kernel for PairSums<'_> {
    type Output = [f32; PANEL];
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> [f32; PANEL] {
        let (mut rounded, mut out) = ([0_u8; PANEL / 2 * 8], [0.0; PANEL]);
        // SAFETY: the caller gives the instruction set; the arrays have room for the largest pairs.
        unsafe {
            S::store_pairs(rounded.as_mut_ptr(), S::load16(self.inputs.as_ptr()));
            let mut sums = S::splat16(0.0);
            for (step, weights) in self.weights.iter().enumerate() {
                for part in 0..S::PAIR_PARTS {
                    let x = S::splat_pair(rounded.as_ptr().add(step * S::PAIR_BYTES), part);
                    sums = S::dot_pairs(sums, S::load_pairs(weights.0.as_ptr().cast(), part), x);
                }
            }
            S::store16(out.as_mut_ptr(), sums);
        }
        out
    }
}

#[test]
fn sums_of_bf16_products_round_after_each_the_second_of_a_pair_first() {
    let mut random = Random(4);
    for round in 0..ROUNDS {
        // Of sizes far apart, so that the order shows.
        let mut number = || random.unit() * 2.0_f32.powi((random.bits() % 24).cast_signed() - 12);
        let inputs: [f32; PANEL] = std::array::from_fn(|_| number());
        let mut weight = || round_to_bf16(number()).to_bits();
        let weights: [Aligned; PANEL / 2] =
            std::array::from_fn(|_| Aligned(std::array::from_fn(|_| std::array::from_fn(|_| weight()))));
        let wanted: [f32; PANEL] = std::array::from_fn(|output| {
            let order = (0..PANEL).map(|step| step ^ 1);
            order.fold(0.0, |sum, step| {
                let weight = f32::from_bits(u32::from(weights[step / 2].0[output][step % 2]) << 16);
                weight.mul_add(round_to_bf16(inputs[step]).to_f32(), sum)
            })
        });
        for isa in here() {
            assert_eq!(on(isa, PairSums { weights: &weights, inputs: &inputs }), wanted, "{isa}, round {round}");
        }
    }
}

/// Sixteen numbers rounded to 8 bits, in their own order.
struct Quads<'a>(&'a [f32; PANEL]);

impl Kernel for Quads<'_> {
    type Output = Vec<i16>;
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> Vec<i16> {
        let mut bytes = [0xaa_u8; PANEL / 4 * 8 + 1];
        // SAFETY: the caller gives the instruction set, and no one has larger quads.
        unsafe { S::store_quads(bytes.as_mut_ptr(), S::load16(self.0.as_ptr())) };
        let (written, rest) = bytes.split_at(PANEL / 4 * S::QUAD_BYTES);
        assert!(rest.iter().all(|byte| *byte == 0xaa), "bytes behind the quads");
        match S::QUAD_BYTES {
            4 => written.iter().map(|byte| i16::from(byte.cast_signed())).collect(),
            _ => {
                let (quads, _) = written.as_chunks::<8>();
                let shorts = |quad: &[u8; 8]| [0, 4, 2, 6].map(|at| i16::from_le_bytes([quad[at], quad[at + 1]]));
                quads.iter().flat_map(shorts).collect()
            }
        }
    }
}

#[test]
fn rounding_to_8_bits_takes_ties_to_even() {
    let mut random = Random(5);
    for round in 0..ROUNDS {
        let x: [f32; PANEL] = std::array::from_fn(|lane| match random.bits() % 8 {
            0 => [0.0, -0.0, 127.0, -127.0, 0.499_999_97, -0.5, 1e-40, -1e-40][lane % 8],
            1 | 2 => (random.bits() % 509) as f32 / 2.0 - 127.0,
            _ => random.unit() * 127.0,
        });
        let wanted: Vec<i16> = x.iter().map(|x| x.round_ties_even() as i16).collect();
        for isa in here() {
            assert_eq!(on(isa, Quads(&x)), wanted, "{isa} {x:?}, round {round}");
        }
    }
}

/// The sums of a block of inputs.
struct QuadSums<'a> {
    weights: &'a [[u8; 4 * PANEL]; BLOCK / 4],
    inputs: &'a [f32; BLOCK],
}

impl Kernel for QuadSums<'_> {
    type Output = [f32; PANEL];
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> [f32; PANEL] {
        let (mut rounded, mut out) = ([0_u8; BLOCK / 4 * 8], [0.0; PANEL]);
        let offset = -i32::from(WEIGHT_OFFSET) * self.inputs.iter().sum::<f32>() as i32;
        // SAFETY: the caller gives the instruction set; the arrays have room for the largest quads.
        unsafe {
            for (inputs, out) in self.inputs.as_chunks::<PANEL>().0.iter().zip(rounded.chunks_mut(4 * S::QUAD_BYTES)) {
                S::store_quads(out.as_mut_ptr(), S::load16(inputs.as_ptr()));
            }
            let mut sums = S::first_sums(offset);
            for (step, weights) in self.weights.iter().enumerate() {
                for part in 0..S::PARTS {
                    let x = S::splat_quad(rounded.as_ptr().add(step * S::QUAD_BYTES), part);
                    sums = S::dot(sums, S::load_u8(weights.as_ptr(), part), x);
                }
            }
            S::store16(out.as_mut_ptr(), S::to_f32(sums));
        }
        out
    }
}

#[test]
fn sums_of_8_bit_products_are_exact() {
    let mut random = Random(6);
    for round in 0..ROUNDS {
        // The first rounds have the largest magnitudes.
        let mut weight = || [0, 255, 128, random.bits() as u8][round.min(3)];
        let weights: [[u8; 4 * PANEL]; BLOCK / 4] = std::array::from_fn(|_| std::array::from_fn(|_| weight()));
        let mut input =
            || if round < 6 { [-127.0, 127.0][round % 2] } else { (random.unit() * 127.0).round_ties_even() };
        let inputs: [f32; BLOCK] = std::array::from_fn(|_| input());
        let wanted: [f32; PANEL] = std::array::from_fn(|output| {
            let weight = |step: usize| i32::from(weights[step / 4][4 * output + step % 4]) - i32::from(WEIGHT_OFFSET);
            inputs.iter().enumerate().map(|(step, x)| weight(step) * *x as i32).sum::<i32>() as f32
        });
        for isa in here() {
            assert_eq!(on(isa, QuadSums { weights: &weights, inputs: &inputs }), wanted, "{isa}, round {round}");
        }
    }
}

#[test]
fn an_instruction_set_that_is_not_here_is_refused() {
    // The order of the variants is that of `ALL`, which `check` relies on.
    assert!(Isa::ALL.is_sorted());
    for isa in Isa::ALL {
        assert_eq!(catch_unwind(|| isa.check()).is_ok(), isa.is_here(), "{isa}");
    }
}

/// So that a run with `HAWK_ISA` cannot pass without the instruction set that it is about.
#[test]
fn the_instruction_set_that_the_environment_names_is_here_and_used() {
    let asked = Isa::asked().map_err(|error| error.to_string());
    assert!(asked.is_ok(), "{asked:?}");
    assert!(asked.is_ok_and(|asked| asked.is_none_or(|asked| asked == Isa::detect() && asked.is_here())));
}
