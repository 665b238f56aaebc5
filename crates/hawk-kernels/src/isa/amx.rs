//! AMX: products of tiles of bytes, for blocks of several rows under int8. All else is that of
//! [`Avx512Bf16`](super::avx512::Avx512Bf16).
//!
//! The compiler knows nothing of tiles here: the instructions are inline assembly, and nothing else
//! uses the tile registers. Tile 0 has the sums, tile 1 the inputs, tile 2 the weights.

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::sync::OnceLock;

use super::tile_product::TileProduct;

/// Rows of a tile, and bytes of its rows.
const TILE: usize = 16;
const ROW_BYTES: usize = 64;

/// What `ldtilecfg` reads.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// Whether this CPU and its system have tiles of bytes, and whether they give the products.
pub(super) fn is_here() -> bool {
    static HERE: OnceLock<bool> = OnceLock::new();
    *HERE.get_or_init(|| has_tiles() && is_permitted() && gives_products())
}

/// Whether the CPU has the instructions and the system keeps the registers.
fn has_tiles() -> bool {
    const TILES_AND_BYTES: u32 = 0b11 << 24;
    const REGISTERS: u32 = 0b11 << 17;
    if !is_x86_feature_detected!("xsave") || __cpuid_count(0, 0).eax < 7 {
        return false;
    }
    let kept: u32;
    // SAFETY: the system has switched on `xsave`, of which this instruction is a part.
    unsafe { asm!("xgetbv", in("ecx") 0, out("eax") kept, out("edx") _, options(nomem, nostack)) };
    __cpuid_count(7, 0).edx & TILES_AND_BYTES == TILES_AND_BYTES && kept & REGISTERS == REGISTERS
}

/// Asks Linux for the registers, for all threads of the process: `arch_prctl(ARCH_REQ_XCOMP_PERM,
/// XFEATURE_XTILEDATA)`.
fn is_permitted() -> bool {
    #[cfg(target_os = "linux")]
    {
        const ARCH_PRCTL: i64 = 158;
        let result: i64;
        // SAFETY: the call changes nothing but the permission.
        unsafe {
            asm!(
                "syscall",
                inlateout("rax") ARCH_PRCTL => result,
                in("rdi") 0x1023, in("rsi") 18,
                out("rcx") _, out("r11") _,
                options(nostack),
            );
        };
        result == 0
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// Compares a product with the definition. These instructions cannot be run on most machines, so
/// that they are tried before they are used.
fn gives_products() -> bool {
    for rows in [1, 5, TILE] {
        let inputs: Vec<u8> = (0..rows * ROW_BYTES).map(|i| (i * 37 + i / 64 * 11) as u8).collect();
        let weights: Vec<u8> = (0..TILE * ROW_BYTES).map(|i| (i * 59 + i / 64 * 7) as u8).collect();
        let mut sums = [[0; TILE]; TILE];
        // SAFETY: the CPU has the instructions, the system gave the registers, and all parts are as
        // large as a product of so many rows needs.
        unsafe {
            configure(rows);
            multiply(TileProduct {
                inputs: inputs.as_ptr(),
                stride: ROW_BYTES,
                weights: weights.as_ptr(),
                rows,
                sums: sums.as_mut_ptr().cast(),
            });
            release();
        }
        for (row, sums) in sums.iter().enumerate().take(rows) {
            for (output, sum) in sums.iter().enumerate() {
                let product = |k: usize| {
                    let input = i32::from(inputs[row * ROW_BYTES + k] as i8);
                    input * i32::from(weights[k / 4 * ROW_BYTES + 4 * output + k % 4])
                };
                if *sum != (0..ROW_BYTES).map(product).sum::<i32>() {
                    return false;
                }
            }
        }
    }
    true
}

/// Gives the tiles their shapes, for blocks of up to 16 rows.
///
/// # Safety
/// [`is_here`].
#[inline(always)]
pub(super) unsafe fn configure(rows: usize) {
    let mut shapes = Shapes { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
    for (tile, rows) in [rows, rows, TILE].into_iter().enumerate() {
        (shapes.row_bytes[tile], shapes.rows[tile]) = (ROW_BYTES as u16, rows as u8);
    }
    // SAFETY: the caller's promise.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const shapes, options(readonly, nostack)) };
}

/// The products of a block of 64 inputs, in the shapes of [`configure`].
///
/// # Safety
/// [`is_here`], and the pointers are valid for the shapes.
#[inline(always)]
pub(super) unsafe fn multiply(product: TileProduct) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tileloadd tmm1, [{inputs} + {stride}]",
            "tileloadd tmm2, [{weights} + {line}]",
            // Signed inputs, unsigned weights.
            "tdpbsud tmm0, tmm1, tmm2",
            "tilestored [{sums} + {line}], tmm0",
            inputs = in(reg) product.inputs,
            stride = in(reg) product.stride,
            weights = in(reg) product.weights,
            sums = in(reg) product.sums,
            line = in(reg) ROW_BYTES,
            options(nostack),
        );
    }
}

/// Gives the tiles back, so that the system need not keep them.
///
/// # Safety
/// [`is_here`].
#[inline(always)]
pub(super) unsafe fn release() {
    // SAFETY: the caller's promise.
    unsafe { asm!("tilerelease", options(nomem, nostack)) };
}
