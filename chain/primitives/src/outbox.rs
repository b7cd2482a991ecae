//! The outbox: one append-only Merkle tree over every packet the chain ever sent.
//!
//! RFC 9162, section 2.1, with keccak256 and with each leaf bound to its index:
//!
//! ```txt
//! leaf(i, commitment) = keccak256(0x00 ‖ i as u64 ‖ commitment)
//! node(left, right)   = keccak256(0x01 ‖ left ‖ right)
//! root(n)             = keccak256(0x02 ‖ n as u64 ‖ MTH(n))        MTH(0) = 0
//! ```
//!
//! The chain keeps a [`Frontier`] (the peaks: at most 64 hashes); a node that serves proofs
//! keeps all leaves and answers [`path`]. For a given index and size a path has one length.

use alloy::primitives::{B256, keccak256};

const LEAF: u8 = 0;
const NODE: u8 = 1;
const ROOT: u8 = 2;

/// Hash of the leaf at `index`.
pub fn leaf(index: u64, commitment: B256) -> B256 {
    let mut bytes = [0u8; 41];
    bytes[0] = LEAF;
    bytes[1..9].copy_from_slice(&index.to_be_bytes());
    bytes[9..].copy_from_slice(commitment.as_slice());
    keccak256(bytes)
}

fn node(left: B256, right: B256) -> B256 {
    let mut bytes = [0u8; 65];
    bytes[0] = NODE;
    bytes[1..33].copy_from_slice(left.as_slice());
    bytes[33..].copy_from_slice(right.as_slice());
    keccak256(bytes)
}

/// The root that stands in a header: binds the tree's size to its hash.
pub fn root(size: u64, tree: B256) -> B256 {
    let mut bytes = [0u8; 41];
    bytes[0] = ROOT;
    bytes[1..9].copy_from_slice(&size.to_be_bytes());
    bytes[9..].copy_from_slice(tree.as_slice());
    keccak256(bytes)
}

/// The right edge of the tree: enough to append and to hash, not to prove.
///
/// Peak `k` covers a perfect subtree and exists for each bit set in `size`, largest first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<B256>,
}

impl Frontier {
    /// Restores a frontier from what was stored; `None` if the number of peaks cannot be right.
    pub fn restore(size: u64, peaks: Vec<B256>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    /// Leaves so far, which is also the next leaf's index.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The peaks, largest subtree first.
    pub fn peaks(&self) -> &[B256] {
        &self.peaks
    }

    /// Appends a commitment and returns its index; `None` only when 2^64 leaves are full.
    pub fn append(&mut self, commitment: B256) -> Option<u64> {
        let index = self.size;
        let next = index.checked_add(1)?;
        let mut hash = leaf(index, commitment);
        for _ in 0..index.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node(left, hash);
            }
        }
        self.peaks.push(hash);
        self.size = next;
        Some(index)
    }

    /// `MTH(size)`.
    pub fn tree(&self) -> B256 {
        let mut peaks = self.peaks.iter().rev().copied();
        let Some(last) = peaks.next() else {
            return B256::ZERO;
        };
        peaks.fold(last, |right, left| node(left, right))
    }

    /// The root for a header.
    pub fn root(&self) -> B256 {
        root(self.size, self.tree())
    }
}

/// `MTH` over these leaf hashes.
pub fn tree(leaves: &[B256]) -> B256 {
    match leaves {
        [] => B256::ZERO,
        [one] => *one,
        many => {
            let (left, right) = many.split_at(split(many.len()));
            node(tree(left), tree(right))
        }
    }
}

/// The path of leaf `index` in the tree over `leaves`, from the leaf up; `None` if out of range.
pub fn path(leaves: &[B256], index: usize) -> Option<Vec<B256>> {
    if index >= leaves.len() {
        return None;
    }
    if leaves.len() == 1 {
        return Some(Vec::new());
    }
    let at = split(leaves.len());
    let (left, right) = leaves.split_at(at);
    let (mut below, sibling) = if index < at {
        (path(left, index)?, tree(right))
    } else {
        (path(right, index.checked_sub(at)?)?, tree(left))
    };
    below.push(sibling);
    Some(below)
}

/// Largest power of two below `length`, for `length >= 2`.
const fn split(length: usize) -> usize {
    1 << (usize::BITS - 1 - (length - 1).leading_zeros())
}

/// Whether `commitment` is leaf `index` of the tree of `size` leaves that hashes to `tree`.
///
/// RFC 9162, section 2.1.3.2. Refuses a path of any but the one right length.
pub fn verify(tree: B256, size: u64, index: u64, commitment: B256, path: &[B256]) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = leaf(index, commitment);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(*sibling, hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(hash, *sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == tree
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn commitments(count: u64) -> Vec<B256> {
        (0..count).map(|i| keccak256(i.to_le_bytes())).collect()
    }

    fn hashes(commitments: &[B256]) -> Vec<B256> {
        (0u64..)
            .zip(commitments)
            .map(|(i, c)| leaf(i, *c))
            .collect()
    }

    #[test]
    fn frontier_and_whole_tree_agree_and_every_leaf_proves() {
        let all = commitments(70);
        let mut frontier = Frontier::default();
        assert_eq!(frontier.tree(), B256::ZERO);
        for size in 1..=all.len() {
            assert_eq!(frontier.append(all[size - 1]), Some(size as u64 - 1));
            let leaves = hashes(&all[..size]);
            assert_eq!(frontier.tree(), tree(&leaves), "size {size}");
            let restored = Frontier::restore(frontier.size(), frontier.peaks().to_vec());
            assert_eq!(restored.as_ref(), Some(&frontier));
            for (index, commitment) in all[..size].iter().enumerate() {
                let path = path(&leaves, index).unwrap_or_default();
                assert!(verify(
                    frontier.tree(),
                    size as u64,
                    index as u64,
                    *commitment,
                    &path
                ));
            }
        }
        assert!(path(&hashes(&all), all.len()).is_none());
    }

    proptest! {
        #[test]
        fn nothing_else_proves(size in 1u64..200, pick in any::<prop::sample::Index>(), other in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>()) {
            let all = commitments(size);
            let leaves = hashes(&all);
            let tree = tree(&leaves);
            let index = pick.index(all.len());
            let good = path(&leaves, index).unwrap_or_default();
            let check = |size: u64, index: usize, commitment: B256, path: &[B256]| verify(tree, size, index as u64, commitment, path);
            prop_assert!(check(size, index, all[index], &good));
            let wrong = other.index(all.len());
            if wrong != index {
                prop_assert!(!check(size, wrong, all[index], &good), "another index");
                prop_assert!(!check(size, index, all[wrong], &good), "another commitment");
            }
            let mut longer = good.clone();
            longer.push(B256::ZERO);
            prop_assert!(!check(size, index, all[index], &longer), "over-long");
            if !good.is_empty() {
                prop_assert!(!check(size, index, all[index], &good[..good.len() - 1]), "truncated");
                let mut bent = good.clone();
                let at = flip.index(bent.len());
                bent[at].0[0] ^= 1;
                prop_assert!(!check(size, index, all[index], &bent), "changed");
            }
            prop_assert!(!check(0, index, all[index], &good), "empty tree");
            prop_assert!(!check(size, all.len(), all[index], &good), "out of range");
        }
    }
}
