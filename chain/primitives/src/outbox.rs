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
//! The chain keeps a [`Frontier`] (the peaks: at most 64 hashes). A node that serves proofs keeps the
//! hash of every perfect subtree, which never changes once its last leaf is there: each leaf
//! [`completes`] some, and a [`path`] in the tree of any size needs O(log size) of them. For a given
//! index and size a path has one length.
//!
//! ```txt
//! level 2          (2,0)                  perfect subtree (l, p): leaves p·2^l .. (p+1)·2^l
//! level 1    (1,0)       (1,1)            written down with leaf 0: (0,0)
//! level 0  (0,0) (0,1) (0,2) (0,3) (0,4)                     leaf 3: (0,3) (1,1) (2,0)
//! ```

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

/// A perfect subtree: the leaves from `position * 2^level` on, `2^level` of them.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Subtree {
    /// Levels above the leaves; at most 63.
    pub level: u32,
    /// Its place among those of its level.
    pub position: u64,
}

/// The perfect subtrees that a leaf completes, with their hashes, from the leaf up. `known` is asked for
/// those that were complete before.
pub fn completes<E>(
    index: u64,
    commitment: B256,
    mut known: impl FnMut(Subtree) -> Result<B256, E>,
) -> Result<Vec<(Subtree, B256)>, E> {
    let mut at = Subtree {
        level: 0,
        position: index,
    };
    let mut hash = leaf(index, commitment);
    let mut all = vec![(at, hash)];
    while at.position & 1 == 1 && at.level < 63 {
        let left = known(Subtree {
            position: at.position - 1,
            ..at
        })?;
        hash = node(left, hash);
        at = Subtree {
            level: at.level + 1,
            position: at.position >> 1,
        };
        all.push((at, hash));
    }
    Ok(all)
}

/// The path of leaf `index` in the tree of `size` leaves, from the leaf up; `None` if out of range.
/// `known` is asked for perfect subtrees within these leaves, O(log size) of them.
pub fn path<E>(
    index: u64,
    size: u64,
    mut known: impl FnMut(Subtree) -> Result<B256, E>,
) -> Result<Option<Vec<B256>>, E> {
    if index >= size {
        return Ok(None);
    }
    let mut siblings = Vec::new();
    // The subtree that holds the leaf: its first leaf, and how many it has.
    let (mut first, mut length) = (0u64, size);
    while length > 1 {
        let left = 1u64 << (63 - (length - 1).leading_zeros());
        let middle = first + left;
        let right = length - left;
        if index < middle {
            siblings.push(range(middle, right, &mut known)?);
            length = left;
        } else {
            siblings.push(range(first, left, &mut known)?);
            (first, length) = (middle, right);
        }
    }
    siblings.reverse();
    Ok(Some(siblings))
}

/// The same where all leaves are at hand, each hashed anew: for tests and small trees.
pub fn path_over(leaves: &[B256], index: usize) -> Option<Vec<B256>> {
    let known = |at: Subtree| {
        let first = usize::try_from(at.position << at.level).ok()?;
        let end = first.checked_add(1 << at.level)?;
        leaves.get(first..end).map(tree)
    };
    let known = |at: Subtree| known(at).ok_or(());
    path(index as u64, leaves.len() as u64, known)
        .ok()
        .flatten()
}

/// `MTH` of `length >= 1` leaves of the tree from `first` on: of the perfect subtrees that they are made
/// of, the right ones first.
fn range<E>(
    first: u64,
    length: u64,
    known: &mut impl FnMut(Subtree) -> Result<B256, E>,
) -> Result<B256, E> {
    let mut hash: Option<B256> = None;
    let mut left = length;
    while left > 0 {
        // The last perfect subtree is as large as the lowest bit of what is left.
        let level = left.trailing_zeros();
        left -= 1 << level;
        let one = known(Subtree {
            level,
            position: (first + left) >> level,
        })?;
        hash = Some(hash.map_or(one, |right| node(one, right)));
    }
    Ok(hash.unwrap_or_default())
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
    #![allow(clippy::cast_possible_truncation, clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

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
                let path = path_over(&leaves, index).unwrap_or_default();
                assert!(verify(
                    frontier.tree(),
                    size as u64,
                    index as u64,
                    *commitment,
                    &path
                ));
            }
        }
        assert!(path_over(&hashes(&all), all.len()).is_none());
    }

    #[test]
    fn what_the_leaves_completed_proves_each_of_them_in_every_tree_and_little_is_asked() {
        let all = commitments(70);
        let leaves = hashes(&all);
        let mut subtrees: BTreeMap<Subtree, B256> = BTreeMap::new();
        for (index, commitment) in (0u64..).zip(&all) {
            let known = |at: Subtree| subtrees.get(&at).copied().ok_or(at);
            let completed = completes(index, *commitment, known).unwrap();
            subtrees.extend(completed);
            let size = index + 1;
            for proven in 0..size {
                let mut asked = 0u32;
                let found = path(proven, size, |at| {
                    asked += 1;
                    subtrees.get(&at).copied().ok_or(at)
                });
                let naive = naive_path(&leaves[..size as usize], proven as usize);
                assert_eq!(found, Ok(Some(naive)), "{proven} of {size}");
                assert!(
                    asked <= 2 * size.ilog2() + 1,
                    "{asked} for {proven} of {size}"
                );
            }
        }
        // Each of 70 leaves, and what they are the right half of.
        assert_eq!(subtrees.len(), 70 + 35 + 17 + 8 + 4 + 2 + 1);
        assert_eq!(path(70, 70, Err), Ok(None));
        let lost = Subtree {
            level: 0,
            position: 1,
        };
        assert_eq!(path(0, 2, Err), Err(lost));
    }

    /// As RFC 9162, section 2.1.3.1, has it.
    fn naive_path(leaves: &[B256], index: usize) -> Vec<B256> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let (left, right) = leaves.split_at(split(leaves.len()));
        let (mut below, sibling) = match index.checked_sub(left.len()) {
            None => (naive_path(left, index), tree(right)),
            Some(index) => (naive_path(right, index), tree(left)),
        };
        below.push(sibling);
        below
    }

    proptest! {
        #[test]
        fn nothing_else_proves(size in 1u64..200, pick in any::<prop::sample::Index>(), other in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>()) {
            let all = commitments(size);
            let leaves = hashes(&all);
            let tree = tree(&leaves);
            let index = pick.index(all.len());
            let good = path_over(&leaves, index).unwrap_or_default();
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
