//! Products and norms of inputs of every kind, on every instruction set: denormals, the largest
//! numbers, infinities, NaN. Small enough for Miri, which runs them on the portable code.
#![allow(clippy::unwrap_used)]

use hawk_kernels::{
    Activations, Chunks, Divide, Epilogue, GROUP, Guide, Isa, LayerNorm, Matrix, Precision, Product, RmsNorm, Softmax,
    Threads, TopP, Turn, bf16_bits, keep_largest, round_to_bf16,
};

fn isas() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_here())
}

/// Random bits, every one a number.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    /// A finite number of any magnitude.
    fn finite(&mut self) -> f32 {
        loop {
            let number = f32::from_bits(self.bits());
            if number.is_finite() {
                return number;
            }
        }
    }

    fn small(&mut self) -> f32 {
        (self.bits() >> 8) as f32 / 16_777_216.0 - 0.5
    }
}

/// A kind of inputs: a name, and the inputs of a block from random numbers.
type Kind = (&'static str, fn(&mut Random) -> f32);

const KINDS: [Kind; 10] = [
    ("ordinary", |random| random.small()),
    ("any finite", Random::finite),
    ("denormal", |random| f32::from_bits(random.bits() & 0x807f_ffff)),
    ("around the smallest normal number", |random| random.small() * 4.0 * f32::MIN_POSITIVE),
    ("around the smallest block", |random| random.small() * 4e-30),
    ("around the least magnitude with a finite inverse", |random| random.small() * 1e-36),
    ("largest", |random| if random.bits() & 1 == 0 { f32::MAX } else { -f32::MAX }),
    ("zeros of both signs", |random| if random.bits() & 1 == 0 { 0.0 } else { -0.0 }),
    (
        "an infinity here and there",
        |random| {
            if random.bits().is_multiple_of(97) { f32::INFINITY } else { random.small() }
        },
    ),
    ("NaN of any bits here and there", |random| {
        let bits = random.bits();
        if bits.is_multiple_of(97) { f32::from_bits(0x7f80_0001 | random.bits()) } else { random.small() }
    }),
];

/// All kinds; Miri sees the same reads and writes for all of them.
fn kinds() -> impl Iterator<Item = Kind> {
    KINDS.into_iter().take(if cfg!(miri) { 2 } else { KINDS.len() })
}

/// The bits of numbers. Which bits a NaN has is left open by IEEE 754 and by Rust: all NaN are one.
fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }).collect()
}

/// The bits of a product's outputs. Under int8 a NaN has the same bits everywhere too; Miri gives it
/// any.
fn bits_of(precision: Precision, outputs: &[f32]) -> Vec<u32> {
    match precision {
        Precision::Int8 if !cfg!(miri) => outputs.iter().map(|x| x.to_bits()).collect(),
        _ => bits(outputs),
    }
}

#[test]
fn bits_of_bf16_are_the_definitions_for_every_length() {
    let mut random = Random(11);
    for (name, number) in KINDS {
        for length in [0, 1, 2, 15, 16, 17, 64, 67] {
            let x: Vec<f32> = (0..length).map(|_| number(&mut random)).collect();
            let wanted: Vec<u16> = x.iter().map(|x| round_to_bf16(*x).to_bits()).collect();
            for isa in isas() {
                let mut bits = vec![0; length];
                bf16_bits(isa, &x, &mut bits);
                assert_eq!(bits, wanted, "{isa}, {name}, {length} numbers");
            }
        }
    }
}

#[test]
fn threads_write_every_chunk_of_rows_however_few_or_short() {
    let threads = Threads::new(2);
    for (rows, numbers) in [(0, 7), (1, 1), (5, 3), (3, 1000), (64, 100)] {
        let mut out = vec![0; rows * numbers];
        let chunks = Chunks::new(&mut out, numbers);
        // SAFETY: every row is called once.
        threads.run_rows(rows, numbers, &|row| unsafe { chunks.chunk(row) }.fill(row + 1));
        assert!((0..rows * numbers).all(|at| out[at] == at / numbers + 1), "{rows} rows of {numbers}");
    }
    let mut out = [0; 6];
    let chunks = Chunks::new(&mut out, 4);
    // SAFETY: nobody else has a chunk.
    let outside = || unsafe { chunks.chunk(1) }.len();
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(outside)).is_err());
}

#[test]
fn products_have_the_same_bits_on_every_instruction_set_for_every_input() {
    let (shapes, rows): (&[(usize, usize)], usize) = match cfg!(miri) {
        true => (&[(17, 70)], 2),
        false => (&[(17, 70), (48, 64), (33, 145), (32, 1408)], 14),
    };
    let threads = Threads::new(1);
    let mut random = Random(7);
    for &(n, k) in shapes {
        for precision in Precision::ALL {
            for (kind, number) in kinds() {
                // Weights of the same kind, as far as they may be: those of a file are finite.
                let weights: Vec<f32> = (0..n * k).map(|_| number(&mut random)).collect();
                let fits = |x: f32| if half::bf16::from_f32(x).is_finite() { x } else { random_free(x) };
                let weights: Vec<f32> = weights.into_iter().map(fits).collect();
                for strange in [false, true] {
                    let mut small = Random(11);
                    let mut weight = |at: usize| if strange { weights[at] } else { small.small() };
                    let packed = Matrix::pack(precision, n, k, &mut |row, out| {
                        (0..k).for_each(|column| out[column] = weight(row * k + column));
                    });
                    let x: Vec<f32> = (0..rows * k).map(|_| number(&mut random)).collect();
                    let run = |isa: Isa, rows: std::ops::Range<usize>| {
                        let mut y = vec![0.0; rows.len() * n];
                        let mut activations = Activations::new(precision, rows.len(), k);
                        let x = &x[rows.start * k..rows.end * k];
                        Product::new(&threads, isa, &packed).run(&mut activations, x, rows.len(), &mut y);
                        bits_of(precision, &y)
                    };
                    let reference = run(Isa::Scalar, 0..rows);
                    for isa in isas() {
                        let what = format!("{isa} {precision} {n}x{k}, {kind}, such weights: {strange}");
                        assert!(run(isa, 0..rows) == reference, "{what}");
                        for row in 0..rows {
                            assert!(run(isa, row..row + 1) == reference[row * n..][..n], "{what}, row {row} alone");
                        }
                    }
                }
            }
        }
    }
}

/// A number of the same sign that bf16 has.
fn random_free(x: f32) -> f32 {
    if x.is_sign_negative() { -1.0 } else { 1.0 }
}

#[test]
fn gates_and_sums_have_the_same_bits_on_every_instruction_set_for_every_input() {
    let (threads, n, k, rows) = (Threads::new(2), if cfg!(miri) { 32 } else { 64 }, 70, 3);
    let mut random = Random(5);
    for precision in Precision::ALL {
        let weights = Matrix::pack(precision, n, k, &mut |_, out| out.iter_mut().for_each(|x| *x = random.small()));
        for (kind, number) in kinds() {
            let mut random = Random(3);
            let x: Vec<f32> = (0..rows * k).map(|_| number(&mut random)).collect();
            let before: Vec<f32> = (0..rows * n).map(|_| random.small()).collect();
            for (epilogue, columns) in [(Epilogue::Add, n), (Epilogue::SiluGate, n / 2)] {
                let run = |isa: Isa| {
                    let mut y = before[..rows * columns].to_vec();
                    let mut activations = Activations::new(precision, rows, k);
                    Product { epilogue, ..Product::new(&threads, isa, &weights) }.run(
                        &mut activations,
                        &x,
                        rows,
                        &mut y,
                    );
                    bits_of(precision, &y)
                };
                let reference = run(Isa::Scalar);
                isas().for_each(|isa| assert!(run(isa) == reference, "{isa} {precision} {epilogue:?}, {kind}"));
            }
        }
    }
}

#[test]
fn norms_and_rankings_have_the_same_bits_on_every_instruction_set_for_every_input() {
    for (kind, number) in kinds() {
        for count in [8, 34] {
            let mut random = Random(9);
            let x: Vec<f32> = (0..count).map(|_| number(&mut random)).collect();
            let weight: Vec<f32> = (0..count).map(|_| random.small()).collect();
            let same = |what: &str, run: &dyn Fn(Isa) -> Vec<f32>| {
                let reference = bits(&run(Isa::Scalar));
                isas().for_each(|isa| assert!(bits(&run(isa)) == reference, "{isa} {what} of {count}, {kind}"));
            };
            same("RmsNorm", &|isa| {
                let mut out = vec![0.0; count];
                RmsNorm { x: &x, weight: &weight, eps: 1e-5, out: &mut out }.on(isa);
                out
            });
            same("LayerNorm", &|isa| {
                let mut x = x.clone();
                LayerNorm { x: &mut x, weight: &weight, bias: &weight, eps: 1e-5 }.on(isa);
                x
            });
            same("Turn", &|isa| {
                let mut x = x.clone();
                Turn { x: &mut x, cos: &weight[..count / 2], sin: &weight[count / 2..] }.on(isa);
                x
            });
            same("Softmax", &|isa| {
                let mut scores = x.clone();
                Softmax { scores: &mut scores, scale: 0.25 }.on(isa);
                scores
            });
            same("guidance, temperature, top-k and top-p", &|isa| {
                let mut out = vec![0.0; x.len().next_multiple_of(GROUP)];
                let Some(highest) = Guide { cond: &x, uncond: Some((&weight, 3.0)), out: &mut out }.on(isa) else {
                    return vec![f32::NAN];
                };
                keep_largest(isa, &mut out, 5);
                Divide { scores: &mut out, divisor: 0.7 }.on(isa);
                let floor = (highest / 0.7).is_finite().then(|| TopP::new(count).floor(isa, &out, highest / 0.7, 0.9));
                out.push(floor.flatten().unwrap_or(f32::NAN));
                out
            });
        }
    }
}
