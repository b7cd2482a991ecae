//! Pages of the disk: how large they are, and how many of them are kept in memory.
//!
//! ```txt
//! 4,096 bytes on the disk  =  4,084 of data  +  12 of checksum
//! ```
//!
//! A page is as long as the disk's own and begins where one of those begins, so that what is read at
//! random costs one read. The engine reads past the system's cache: what is not kept here is read from the
//! disk each time. The size is part of the files; files of another size must be made anew.

use commonware_runtime::buffer::paged::{CacheRef, page_size};
use commonware_utils::NZU32;
use std::num::{NonZeroU32, NonZeroUsize};

/// Bytes of a page on the disk, its checksum among them.
const PAGE: u32 = 4_096;
const MIB: u32 = 1024 * 1024;
const PAGES_OF_MIB: u32 = MIB / PAGE;
/// Least memory for them that a node takes by itself, MiB.
pub const LEAST_MIB: NonZeroU32 = NZU32!(64);
/// Most memory for them, MiB.
pub const MOST_MIB: NonZeroU32 = NZU32!(65_536);
/// One part in so many of a machine's memory goes to them at most, if nobody decides otherwise.
const SHARE: u64 = 8;

/// The MiB that a state of so many bytes is worth on a machine with so many: room for all of it, but at most
/// an eighth of the machine's memory, and between [`LEAST_MIB`] and [`MOST_MIB`] in any case.
pub fn fitting(state_bytes: u64, memory_bytes: u64) -> NonZeroU32 {
    let mib = state_bytes.min(memory_bytes / SHARE).div_ceil(MIB.into());
    let mib = u32::try_from(mib).unwrap_or(u32::MAX);
    NonZeroU32::new(mib)
        .unwrap_or(LEAST_MIB)
        .clamp(LEAST_MIB, MOST_MIB)
}

/// Keeps so many MiB of pages, which take that much memory from the start.
pub fn cache(mib: NonZeroU32) -> CacheRef {
    let pages = usize::try_from(mib.get().saturating_mul(PAGES_OF_MIB)).unwrap_or(usize::MAX);
    CacheRef::new(
        page_size(PAGE),
        NonZeroUsize::new(pages).unwrap_or(NonZeroUsize::MIN),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_grows_with_the_state_up_to_a_share_of_the_machines() {
        const GIB: u64 = 1 << 30;
        let cases = [
            (0, 0, 64),
            (0, 24 * GIB, 64),
            (64 << 20, 24 * GIB, 64),
            ((64 << 20) + 1, 24 * GIB, 65),
            (GIB, 24 * GIB, 1_024),
            (GIB, 4 * GIB, 512),
            (10 * GIB, 24 * GIB, 3_072),
            (GIB, 256 << 20, 64),
            (u64::MAX, u64::MAX, 65_536),
        ];
        for (state, memory, mib) in cases {
            assert_eq!(fitting(state, memory).get(), mib, "{state} of {memory}");
        }
    }
}
