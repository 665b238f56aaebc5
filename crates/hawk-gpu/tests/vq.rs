//! Codes to pixels on a GPU, or on a driver that computes like one, beside the CPU.
#![cfg(feature = "wgpu")]
#![allow(clippy::unwrap_used)]

use std::path::Path;

use hawk_files::ModelSource;
use hawk_gpu::{Api, Gpu};
use hawk_nn::{Cpu, Device};
use hawk_spec::{Code, Grid};

#[test]
fn pixels_are_the_cpus_to_a_level() {
    let (gpu, cpu) = (Gpu::open(Api::Vulkan, 0, 2).unwrap(), Cpu::new(2).unwrap());
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hawk-nn/tests/golden");
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/built-in");
    for dir in [golden.join("taming"), golden.join("llamagen-c2i"), golden.join("janus"), built_in] {
        let vq = ModelSource::Dir(dir.clone()).vq_tokenizer().unwrap();
        let [on_gpu, on_cpu] = [&gpu as &dyn Device, &cpu].map(|device| device.load_vq(&vq).unwrap());
        // A grid that is no square, and a single cell.
        for (rows, columns) in [(5, 7), (1, 1)] {
            let grid = Grid::new(rows, columns).unwrap();
            let codes: Vec<Code> = (0..rows * columns).map(|i| Code(i * 7919 % on_cpu.config().codes as u32)).collect();
            let (got, wanted) = (on_gpu.decode(&codes, grid).unwrap(), on_cpu.decode(&codes, grid).unwrap());
            assert_eq!((got.width, got.height), (wanted.width, wanted.height), "{}", dir.display());
            let off = |by: u8| got.pixels.iter().zip(&wanted.pixels).filter(|(a, b)| a.abs_diff(**b) >= by).count();
            let of = wanted.pixels.len();
            println!("{} {rows} x {columns}: {} of {of} colours are a level off", dir.display(), off(1));
            assert!(off(2) == 0 && off(1) * 50 <= of.max(50), "{}: {} of {of}", dir.display(), off(1));
            assert!(wanted.pixels.iter().any(|level| *level != wanted.pixels[0]), "{}: one colour", dir.display());
            assert_eq!(on_gpu.decode(&codes, grid).unwrap(), got, "{}: the same bits again", dir.display());
        }
        let error = on_gpu.decode(&[Code(0)], Grid::new(2, 2).unwrap()).unwrap_err().to_string();
        assert!(error.contains("4 codes"), "{error}");
    }
}
