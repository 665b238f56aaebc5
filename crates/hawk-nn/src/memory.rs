//! Memory whose size a request or a file decides. What it takes is compared with what is free
//! before any of it is allocated.

use std::fmt;

use bytemuck::Zeroable;
use hawk_files::{Error, Result};
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// What a program needs beside all that is planned, where its address space is limited: threads, files
/// that are mapped, the allocator's reserves.
const UNPLANNED_BYTES: u64 = 16 << 20;

/// The bytes that parts of a request will take, to be compared with what is free.
#[derive(Clone, Debug, Default)]
pub struct Demand {
    parts: Vec<(&'static str, u128)>,
}

impl Demand {
    /// Adds a part: the product of these factors, in bytes.
    #[must_use]
    pub fn with(mut self, part: &'static str, factors: &[usize]) -> Self {
        let bytes = factors.iter().fold(1_u128, |bytes, &factor| bytes.saturating_mul(factor as u128));
        self.parts.push((part, bytes));
        self
    }

    /// Compares the sum with the free memory of this machine.
    ///
    /// # Errors
    /// Less is free. The message names the largest part. Where the system does not tell what is free,
    /// there is no error.
    pub fn check(&self) -> Result<()> {
        match free_bytes() {
            Some(free) => self.check_against(u128::from(free)),
            None => Ok(()),
        }
    }

    fn check_against(&self, free: u128) -> Result<()> {
        let all = self.parts.iter().fold(0_u128, |all, (_, bytes)| all.saturating_add(*bytes));
        if all <= free {
            return Ok(());
        }
        let (part, most) = self.parts.iter().max_by_key(|(_, bytes)| bytes).copied().unwrap_or(("memory", all));
        let others = match all - most {
            0 => String::new(),
            rest => format!(" and {} beside them", Bytes(rest)),
        };
        let needs = format!("needs {} for {part}{others}, {} are free", Bytes(most), Bytes(free));
        Err(Error::environment(format!("not enough memory: {needs}")))
    }
}

/// Memory that can be had without taking it from other programs; none where the system does not
/// tell. Pages of files that are cached count as free.
fn free_bytes() -> Option<u64> {
    // Miri has no system to ask.
    if cfg!(miri) {
        return None;
    }
    let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::everything());
    let system = System::new_with_specifics(memory);
    let free = system.available_memory().saturating_add(system.free_swap());
    let limited = system.cgroup_limits().map(|limits| limits.total_memory.saturating_sub(limits.rss));
    let free = [limited, address_space_left()].into_iter().flatten().fold(free, u64::min);
    // A system that tells nothing says 0.
    Some(free).filter(|_| system.available_memory() > 0)
}

/// What is left of the address space that the process may have (`ulimit -v`), where it has a limit and
/// the system is Linux.
fn address_space_left() -> Option<u64> {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).ok();
    left_of(&read("limits")?, &read("status")?)
}

/// As [`address_space_left`], from the text of these two files.
fn left_of(limits: &str, status: &str) -> Option<u64> {
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    let limit: u64 = limit.split_whitespace().next()?.parse().ok()?;
    let used = status.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
    let used: u64 = used.split_whitespace().next()?.parse().ok()?;
    Some(limit.saturating_sub(used.saturating_mul(1024)).saturating_sub(UNPLANNED_BYTES))
}

/// Zeros. Their pages take no memory before they are used.
///
/// # Errors
/// The system has no room for them.
pub(crate) fn zeros<T: Zeroable>(what: &'static str, factors: &[usize]) -> Result<Vec<T>> {
    let count = factors.iter().try_fold(1_usize, |count, &factor| count.checked_mul(factor));
    let zeros = count.and_then(|count| bytemuck::try_zeroed_vec(count).ok());
    zeros.ok_or_else(|| {
        let factors: Vec<String> = [size_of::<T>()].iter().chain(factors).map(usize::to_string).collect();
        Error::environment(format!("not enough memory for {what}: the system refuses {} bytes", factors.join(" x ")))
    })
}

/// A number of bytes in the largest unit that leaves a digit before the point.
struct Bytes(u128);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = ["bytes", "kB", "MB", "GB"];
        let mut left = self.0 as f64;
        for unit in &units[..3] {
            // What would be written as 1000 is 1 of the next unit.
            if left < 999.5 {
                return write!(f, "{left:.0} {unit}");
            }
            left /= 1000.0;
        }
        if left < 9.95 { write!(f, "{left:.1} GB") } else { write!(f, "{left:.0} GB") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exceeds_the_free_memory_is_told_in_full() {
        let demand = Demand::default().with("keys and values", &[412, 1 << 30]).with("a pass", &[3_000_000]);
        let error = demand.check_against(23_400_000_000).unwrap_err();
        assert_eq!(error.fault(), hawk_files::Fault::Environment);
        let told = "needs 442 GB for keys and values and 3 MB beside them, 23 GB are free";
        assert!(error.to_string().contains(told), "{error}");
        assert!(demand.check_against(500_000_000_000).is_ok());
        let without_end = Demand::default().with("keys and values", &[usize::MAX; 4]);
        assert!(without_end.check_against(u128::from(u64::MAX)).is_err());
        assert_eq!(
            [999, 1000, 999_600, 1_250_000_000].map(|n| Bytes(n).to_string()),
            ["999 bytes", "1 kB", "1 MB", "1.2 GB"]
        );
    }

    #[test]
    fn the_free_memory_is_between_none_and_all() {
        let small = Demand::default().with("one byte", &[1]);
        small.check().unwrap();
        let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::everything());
        let system = System::new_with_specifics(memory);
        let all = system.total_memory() + system.total_swap();
        assert!(free_bytes().is_none_or(|free| free <= all));
    }

    #[test]
    fn the_limit_of_the_address_space_counts() {
        let limits =
            |soft: &str| format!("Limit  Soft Limit  Hard Limit  Units\nMax address space  {soft}  unlimited  bytes\n");
        let status = "Name:\thawk\nVmPeak:\t  900 kB\nVmSize:\t    300 kB\n";
        assert_eq!(left_of(&limits("102400000"), status), Some(102_400_000 - 300 * 1024 - UNPLANNED_BYTES));
        assert_eq!(left_of(&limits("1024"), status), Some(0));
        assert_eq!(left_of(&limits("unlimited"), status), None);
        assert_eq!(left_of("", ""), None);
    }

    #[test]
    fn zeros_without_room_are_an_error() {
        assert_eq!(zeros::<f32>("rows", &[2, 3]).unwrap(), [0.0; 6]);
        for factors in [&[usize::MAX][..], &[1 << 40, 1 << 40]] {
            let error = zeros::<f32>("rows", factors).unwrap_err();
            assert!(error.to_string().contains("rows"), "{error}");
        }
    }
}
