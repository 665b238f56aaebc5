//! The instruction sets, and which of them this CPU has.

use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
use super::amx;
use crate::error::{Error, Result};

/// An instruction set of this build. All give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Portable code.
    Scalar,
    /// 128-bit Arm with dot products of 8-bit integers.
    Neon,
    /// 256-bit x86 with fused multiply-add.
    Avx2,
    /// 512-bit x86 with products of 8-bit integers.
    Avx512,
    /// The same with products of bf16.
    Avx512Bf16,
    /// The same with tiles of bytes.
    Amx,
}

impl Isa {
    /// All; of those that one CPU has, the slowest first.
    pub const ALL: [Self; 6] = [Self::Scalar, Self::Neon, Self::Avx2, Self::Avx512, Self::Avx512Bf16, Self::Amx];

    /// Whether this CPU has it.
    pub fn is_here(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        let (avx2, avx512, bf16, amx) = (
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c"),
            is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vnni"),
            is_x86_feature_detected!("avx512bf16"),
            amx::is_here,
        );
        #[cfg(not(target_arch = "x86_64"))]
        let (avx2, avx512, bf16, amx) = (false, false, false, || false);
        #[cfg(target_arch = "aarch64")]
        let neon =
            std::arch::is_aarch64_feature_detected!("neon") && std::arch::is_aarch64_feature_detected!("dotprod");
        #[cfg(not(target_arch = "aarch64"))]
        let neon = false;
        match self {
            Self::Scalar => true,
            Self::Neon => neon,
            Self::Avx2 => avx2,
            Self::Avx512 => avx2 && avx512,
            Self::Avx512Bf16 => avx2 && avx512 && bf16,
            Self::Amx => avx2 && avx512 && bf16 && amx(),
        }
    }

    /// The one that kernels run on: the one [`asked`](Self::asked) for, else the best of this CPU. Where
    /// what is asked for is an error, it is the best of this CPU too; whoever loads a model reports the
    /// error.
    pub fn detect() -> Self {
        static FOUND: OnceLock<Isa> = OnceLock::new();
        *FOUND.get_or_init(|| {
            let best = || Self::ALL.into_iter().rfind(|isa| isa.is_here());
            Self::asked().ok().flatten().or_else(best).unwrap_or(Self::Scalar)
        })
    }

    /// The one that the environment variable `HAWK_ISA` names: `scalar`, `neon`, `avx2`,
    /// `avx512`, `avx512bf16` or `amx`. None where it is empty.
    ///
    /// # Errors
    /// The name is unknown, or this CPU lacks the instruction set.
    pub fn asked() -> Result<Option<Self>> {
        let Some(name) = std::env::var_os("HAWK_ISA").filter(|name| !name.is_empty()) else { return Ok(None) };
        let name = name.to_string_lossy();
        let here = || Self::ALL.into_iter().filter(|isa| isa.is_here());
        match here().find(|isa| isa.name() == name) {
            Some(isa) => Ok(Some(isa)),
            None => Err(Error {
                what: "this machine has no such instruction set",
                place: Some("HAWK_ISA"),
                expected: here().map(Self::name).collect::<Vec<_>>().join(", "),
                got: name.into_owned(),
            }),
        }
    }

    /// Refuses an instruction set that this CPU lacks, so that running on it is sound.
    #[inline]
    pub(crate) fn check(self) {
        // By the order of the variants, which is that of `ALL`.
        static HERE: OnceLock<[bool; Isa::ALL.len()]> = OnceLock::new();
        let here = HERE.get_or_init(|| Self::ALL.map(Self::is_here));
        assert!(here[self as usize], "this CPU does not have {self}");
    }

    fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Bf16 => "avx512bf16",
            Self::Amx => "amx",
        }
    }
}

impl std::fmt::Display for Isa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Scalar => "scalar",
            Self::Neon => "NEON",
            Self::Avx2 => "AVX2",
            Self::Avx512 => "AVX-512",
            Self::Avx512Bf16 => "AVX-512 with BF16",
            Self::Amx => "AVX-512 with BF16 and AMX",
        })
    }
}
