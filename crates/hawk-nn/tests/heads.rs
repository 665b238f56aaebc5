//! Draft heads against their definition, alone and in company, and from files that somebody else wrote.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell as Counter;
use std::path::{Path, PathBuf};

use hawk_nn::kernels::{Precision, Threads};
use hawk_nn::{Checkpoint, Fault, Heads, HeadsConfig, ModelSource, Target, TransformerConfig};
use proptest::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

thread_local! {
    static ALLOCATIONS: Counter<u64> = const { Counter::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator as it came; counting touches no memory of its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise about `layout` is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` by `alloc` above, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const NAMES: [&str; 4] = ["H1", "H2", "V1", "D1-1"];

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/chameleon")
}

fn target(precision: Precision) -> Target {
    let source = ModelSource::Dir(golden());
    let config = TransformerConfig::from_json(&source.read("config.json").unwrap()).unwrap();
    Target::load(config, &Checkpoint::open(&source, "").unwrap(), precision).unwrap()
}

/// Numbers in -0.5..0.5.
fn numbers(count: usize, salt: usize) -> Vec<f32> {
    (0..count).map(|i| (((i + salt) * 7919 % 1009) as f32 / 1009.0) - 0.5).collect()
}

fn config(d: usize, names: &[&str]) -> serde_json::Value {
    let heads: Vec<_> = names
        .iter()
        .map(|name| {
            let offset: hawk_nn::HeadOffset = name.parse().unwrap();
            serde_json::json!({"name": name, "offset": [offset.down(), offset.right()]})
        })
        .collect();
    serde_json::json!({
        "architectures": ["HawkHeads"], "speculators_model_type": "hawk", "block": "residual_silu", "hidden_size": d,
        "target": {"name": "golden", "digest": "0".repeat(64)}, "grid": [4, 4], "heads": heads,
    })
}

/// Writes heads with these numbers; bf16 keeps half of each.
fn write(dir: &Path, d: usize, dtype: Dtype) {
    let bytes = |numbers: &[f32]| -> Vec<u8> {
        match dtype {
            Dtype::BF16 => numbers.iter().flat_map(|x| half::bf16::from_f32(*x).to_le_bytes()).collect(),
            _ => numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    };
    let tensors: Vec<_> = (0..NAMES.len())
        .flat_map(|head| {
            [
                (format!("heads.{head}.weight"), vec![d, d], bytes(&numbers(d * d, 17 * head))),
                (format!("heads.{head}.bias"), vec![d], bytes(&numbers(d, 31 * head))),
            ]
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, data)| (name, TensorView::new(dtype, shape.clone(), data).unwrap()));
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    std::fs::write(dir.join("config.json"), config(d, &NAMES).to_string()).unwrap();
}

/// A model's folder with heads in `heads/`.
fn heads(target: &Target, dtype: Dtype) -> (tempfile::TempDir, Heads) {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("heads"), target.config().hidden, dtype);
    let heads = Heads::load(&ModelSource::Dir(dir.path().to_owned()), "heads/", target).unwrap();
    (dir, heads)
}

/// `lm_head (h + silu(W h + b))` in f64, as it is defined.
fn naive(head: usize, h: &[f32], vocab: usize, round: impl Fn(f32) -> f32) -> Vec<f64> {
    let d = h.len();
    let row = |w: &[f32], row: usize, x: &[f64]| -> f64 {
        w[row * d..][..d].iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum()
    };
    let (w, b): (Vec<f32>, Vec<f32>) = (
        numbers(d * d, 17 * head).into_iter().map(&round).collect(),
        numbers(d, 31 * head).into_iter().map(&round).collect(),
    );
    let h: Vec<f64> = h.iter().map(|x| f64::from(*x)).collect();
    let state: Vec<f64> = (0..d)
        .map(|i| {
            let x = row(&w, i, &h) + f64::from(b[i]);
            h[i] + x / (1.0 + (-x).exp())
        })
        .collect();
    let checkpoint = Checkpoint::open(&ModelSource::Dir(golden()), "").unwrap();
    let projection = checkpoint.tensor("lm_head.weight", &[vocab, d]).unwrap().to_f32();
    (0..vocab).map(|id| row(&projection, id, &state)).collect()
}

#[test]
fn logits_are_their_definition() {
    let (target, pool) = (target(Precision::F32), Threads::new(2));
    let (d, vocab) = (target.config().hidden, target.config().vocab);
    for dtype in [Dtype::F32, Dtype::BF16] {
        let round = |x: f32| if dtype == Dtype::BF16 { half::bf16::from_f32(x).to_f32() } else { x };
        let (_dir, heads) = heads(&target, dtype);
        assert_eq!(heads.config().heads.len(), NAMES.len());
        assert_eq!(heads.bytes(), NAMES.len() * (d * d + d) * 4);
        let mut workspace = heads.workspace(&target, 8, vocab).unwrap();
        for row in 0..8 {
            assert_eq!(workspace.push(row * 3 % 4, &numbers(d, 100 * row)), row);
        }
        heads.run(&target, &pool, &mut workspace, 0..vocab).unwrap();
        for row in 0..8 {
            let want = naive(row * 3 % 4, &numbers(d, 100 * row), vocab, round);
            let worst = workspace.logits(row).iter().zip(want).map(|(a, b)| (f64::from(*a) - b).abs());
            assert!(worst.fold(0.0, f64::max) < 1e-4, "{dtype:?}, row {row}");
        }
    }
}

#[test]
fn a_row_has_the_same_bits_alone_and_in_company_on_any_threads_and_in_any_range() {
    for precision in Precision::ALL {
        let target = target(precision);
        let (d, vocab) = (target.config().hidden, target.config().vocab);
        let (_dir, heads) = heads(&target, Dtype::F32);
        let alone: Vec<Vec<f32>> = (0..30)
            .map(|row| {
                let mut workspace = heads.workspace(&target, 1, vocab).unwrap();
                workspace.push(row % 4, &numbers(d, row));
                heads.run(&target, &Threads::new(1), &mut workspace, 0..vocab).unwrap();
                workspace.logits(0).to_vec()
            })
            .collect();
        for (threads, rows, range) in [(1, 30, 0..vocab), (2, 7, 3..90), (3, 30, 20..vocab - 1), (2, 2, 0..1)] {
            let mut workspace = heads.workspace(&target, rows, range.len()).unwrap();
            for order in [1, rows - 1] {
                workspace.clear();
                let pushed: Vec<usize> = (0..rows).map(|i| i * order % rows).collect();
                pushed.iter().for_each(|&row| _ = workspace.push(row % 4, &numbers(d, row)));
                heads.run(&target, &Threads::new(threads), &mut workspace, range.clone()).unwrap();
                for (i, row) in pushed.into_iter().enumerate() {
                    assert!(workspace.logits(i) == &alone[row][range.clone()], "{precision} {threads} {rows} {row}");
                }
            }
        }
    }
}

#[test]
fn a_step_allocates_nothing() {
    for precision in [Precision::F32, Precision::Int8] {
        let target = target(precision);
        let (_dir, heads) = heads(&target, Dtype::F32);
        let (mut workspace, pool) = (heads.workspace(&target, 12, 90).unwrap(), Threads::new(1));
        let hidden = numbers(target.config().hidden, 0);
        let before = ALLOCATIONS.with(Counter::get);
        for rows in [12, 3, 0, 12] {
            workspace.clear();
            (0..rows).for_each(|row| _ = workspace.push(row % 4, &hidden));
            heads.run(&target, &pool, &mut workspace, 5..95).unwrap();
        }
        assert_eq!(ALLOCATIONS.with(Counter::get), before, "{precision}");
    }
}

#[test]
fn files_that_do_not_fit_are_named() {
    let target = target(Precision::Bf16);
    let (d, vocab) = (target.config().hidden, target.config().vocab);
    let (dir, heads) = heads(&target, Dtype::BF16);
    let mut workspace = heads.workspace(&target, 1, vocab).unwrap();
    workspace.push(0, &numbers(d, 0));
    for range in [0..vocab + 1, vocab..vocab + 2] {
        assert!(heads.run(&target, &Threads::new(1), &mut workspace, range).is_err());
    }
    let load = |folder: &str| Heads::load(&ModelSource::Dir(dir.path().to_owned()), folder, &target).map(drop);
    let cases = [
        (config(d, &["H1", "H2", "V1", "V2", "V3"]), "heads.4.weight"),
        (config(d + 1, &NAMES), "hidden_size"),
        (serde_json::json!({}), "architectures"),
    ];
    for (config, named) in cases {
        std::fs::write(dir.path().join("heads/config.json"), config.to_string()).unwrap();
        let error = load("heads/").unwrap_err();
        assert_eq!(error.fault(), Fault::Input);
        assert!(error.to_string().contains(named), "{named}: {error}");
    }
    assert!(load("").unwrap_err().to_string().contains("config.json"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn damaged_configs_never_panic(edits in proptest::collection::vec((any::<prop::sample::Index>(), 0x20_u8..0x7f), 1..4)) {
        let mut bytes = config(64, &NAMES).to_string().into_bytes();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = HeadsConfig::from_json(&bytes);
    }

    #[test]
    fn offsets_lead_to_later_cells_of_the_right_row_and_column(down in 0_u32..20, right in -20_i32..20, rows in 1_u32..20, cols in 1_u32..20) {
        let (Ok(offset), grid) = (hawk_nn::HeadOffset::new(down, right), hawk_spec::Grid::new(rows, cols).unwrap()) else { return Ok(()) };
        prop_assert_eq!(offset.to_string().parse::<hawk_nn::HeadOffset>().unwrap(), offset);
        for cell in (0..grid.cells()).map(hawk_spec::Cell) {
            if let Some(target) = offset.target(grid, cell) {
                prop_assert!(target > cell && target.0 < grid.cells());
                if down > 0 {
                    prop_assert_eq!(grid.row(target), grid.row(cell) + down);
                    prop_assert_eq!(grid.col(target) as i32, grid.col(cell) as i32 + right);
                }
            } else {
                let (row, col) = (grid.row(cell) + down, grid.col(cell) as i32 + right);
                let inside = (0..cols as i32).contains(&col) || down == 0;
                let index = i64::from(row * cols) + i64::from(col);
                prop_assert!(!inside || index >= i64::from(grid.cells()));
            }
        }
    }
}
