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
use std::num::{NonZeroU32, NonZeroUsize};

/// Bytes of a page on the disk, its checksum among them.
const PAGE: u32 = 4_096;
const PAGES_OF_MIB: u32 = 1024 * 1024 / PAGE;

/// Keeps so many MiB of pages, which take that much memory from the start.
pub fn cache(mib: NonZeroU32) -> CacheRef {
    let pages = usize::try_from(mib.get().saturating_mul(PAGES_OF_MIB)).unwrap_or(usize::MAX);
    CacheRef::new(
        page_size(PAGE),
        NonZeroUsize::new(pages).unwrap_or(NonZeroUsize::MIN),
    )
}
