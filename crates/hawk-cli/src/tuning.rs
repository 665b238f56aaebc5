//! What the autotuner of tree sizes has learnt, in the user's cache folder.
//!
//! The file is a convenience: whatever goes wrong with it, a run goes on without.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use hawk::{Engine, Tree, TunerMemory};
use hawk_files::atomic::{self, Durability};
use hawk_hub::user_cache;
use hawk_kernels::Isa;

/// A file that is larger was not written by this program.
const MOST_BYTES: u64 = 4 << 20;

/// Lets the engine go on from what earlier runs have learnt, where trees are autotuned.
pub(crate) fn recall(engine: &Engine, tree: Tree) {
    if let Some(file) = file().filter(|_| tree == Tree::Auto) {
        // The digest that this may fail to compute is asked for again by what needs it.
        let _ = engine.recall_tuning(&read(&file));
    }
}

/// Keeps what the engine has learnt for later runs, where trees are autotuned.
pub(crate) fn remember(engine: &Engine, tree: Tree) {
    let Some(file) = file().filter(|_| tree == Tree::Auto) else { return };
    // Another run may have written since the start of this one.
    let mut memory = read(&file);
    if engine.remember_tuning(&mut memory).is_ok() {
        let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
        let _ = folder.map(|()| atomic::write_with(&file, &memory.to_json(), Durability::Fast));
    }
}

fn file() -> Option<PathBuf> {
    Some(user_cache()?.join("hawk").join("tuner.json"))
}

fn read(file: &PathBuf) -> TunerMemory {
    let days = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs() / 86_400;
    let memory = TunerMemory::new(&machine(), days);
    let small = std::fs::metadata(file).is_ok_and(|data| data.is_file() && data.len() <= MOST_BYTES);
    let bytes = small.then(|| std::fs::read(file).ok()).flatten();
    bytes.map_or(memory.clone(), |bytes| memory.from_json(&bytes))
}

/// Processor, cores and kernels.
fn machine() -> String {
    let processor = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let processor = processor.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    format!("{processor}, {cores} cores, {}", Isa::detect())
}
